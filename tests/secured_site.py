"""A Kafka and a Redis as a hospital should run them: TLS, a user for each part, and only its own rights."""

import asyncio
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from certificates import Authority
from kafka_acls import grant

from ops.access_lines import redis_acl
from ops.access_rules import access_rules
from ops.services import (
    RunningBroker,
    RunningRedis,
    SecuredListeners,
    SecuredRedis,
    start_broker,
    start_redis,
)
from ops.topics import apply_topics
from streams.access import client_options
from streams.settings import Settings, load_settings

ADMIN = "admin"

#: The part that shows a certificate instead of a password.
BY_CERTIFICATE = "infer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredSite:
    """Both servers, and what each part is given to reach them."""

    broker: RunningBroker
    redis: RunningRedis
    mtls_port: int
    authority: Authority
    secrets: Path

    def given(self, part: str) -> dict[str, Any]:
        """Settings of a part: user and password of its own at both."""
        return {
            "broker": self.broker.bootstrap,
            "kafka_security": "SASL_SSL",
            "kafka_ca_file": self.authority.ca_file,
            "kafka_user": part,
            "kafka_password_file": self.secrets / part,
            "redis_url": self.redis.url,
            "redis_ca_file": self.authority.ca_file,
            "redis_user": part,
            "redis_password_file": self.secrets / part,
        }

    def given_certificate(self, part: str) -> dict[str, Any]:
        """Settings of a part that shows a certificate to Kafka."""
        issued = self.authority.issue(part)
        return {
            "broker": f"127.0.0.1:{self.mtls_port}",
            "kafka_security": "SSL",
            "kafka_ca_file": self.authority.ca_file,
            "kafka_cert_file": issued.cert_file,
            "kafka_key_file": issued.key_file,
        }

    def settings(self, part: str, **changes: Any) -> Settings:
        """Those of :meth:`given`, read and checked as a process does it."""
        return load_settings(**self.given(part) | changes)

    def password(self, part: str) -> str:
        """What nobody may ever see."""
        return password_of(part)


def password_of(part: str) -> str:
    """Of the right length, and easily found where it should not be."""
    return f"s3cr3t of {part} ü"


@contextmanager
def secured_site(root: Path, folder: Path) -> Iterator[SecuredSite]:
    """Start both servers with every topic, every part's user and every part's rights."""
    rules, authority = access_rules(), Authority(folder / "authority")
    users = {name: password_of(name) for name in (ADMIN, *rules)}
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    for name, password in users.items():
        (secrets / name).touch(mode=0o600)
        (secrets / name).write_text(password)
    own = authority.issue("servers")
    listeners = SecuredListeners(
        ca_file=authority.ca_file,
        both_file=own.both_file,
        users=users,
        super_users=("User:CN=servers", f"User:{ADMIN}"),
    )
    secured = SecuredRedis(
        ca_file=authority.ca_file,
        cert_file=own.cert_file,
        key_file=own.key_file,
        acl_lines=(f"user {ADMIN} on #{_hash(users[ADMIN])} ~* &* +@all", *_redis_users(users)),
    )
    with ThreadPoolExecutor() as threads:
        starting = threads.submit(start_broker, "apache", root, secured=listeners)
        with start_redis(root, secured=secured) as redis, starting.result() as broker:
            site = SecuredSite(
                broker=broker,
                redis=redis,
                mtls_port=listeners.mtls_port,
                authority=authority,
                secrets=secrets,
            )
            asyncio.run(_set_up(site))
            yield site


async def _set_up(site: SecuredSite) -> None:
    access = site.settings(ADMIN).kafka
    admin = AIOKafkaAdminClient(**client_options(access))
    await admin.start()
    try:
        for part in access_rules().values():
            await grant(admin, f"User:{part.name}", part.kafka)
            if part.name == BY_CERTIFICATE:
                await grant(admin, f"User:CN={part.name}", part.kafka)
        await _until_groups_are_kept(admin)
    finally:
        await admin.close()
    # By the operator, whose rights are enough for that.
    await apply_topics(site.settings("operator").kafka, partitions=2)


async def _until_groups_are_kept(admin: AIOKafkaAdminClient) -> None:
    """The first question about a group makes the topic of all groups; until then it has no answer."""
    async with asyncio.timeout(30):
        while True:
            try:
                await admin.find_coordinator("any")
            except GroupCoordinatorNotAvailableError:
                continue
            return


def _redis_users(users: dict[str, str]) -> list[str]:
    return [
        line.replace("#SHA256_OF_ITS_PASSWORD", f"#{_hash(users[line.split()[1]])}")
        for line in redis_acl(access_rules().values())
    ]


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
