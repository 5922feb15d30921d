"""Listeners of Apache Kafka that ask who comes: SCRAM over TLS, certificates over TLS, and rules for both."""

import base64
import hashlib
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.services.ports import LOOPBACK, free_port
from ops.services.probes import broker_answers

#: Kafka's own least number of rounds for SCRAM.
_ROUNDS: Final = 4096

_SETTINGS: Final = """\
listeners=SASL_SSL://{host}:{port},SSL://{host}:{mtls_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=SASL_SSL://{host}:{port},SSL://{host}:{mtls_port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:SSL
inter.broker.listener.name=SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.client.auth=required
listener.name.sasl_ssl.ssl.client.auth=none
ssl.keystore.type=PEM
ssl.keystore.location={both_file}
ssl.truststore.type=PEM
ssl.truststore.location={ca_file}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users={super_users}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredListeners:
    """In place of the plain listener: one for SCRAM-SHA-512, one for certificates, both TLS, with ACLs.

    Attributes
    ----------
    ca_file : Path
        Authority of the broker's certificate and of those that clients may show.
    both_file : Path
        Key (PKCS 8, not encrypted) and certificate of the broker, in this order.
    users : mapping
        Passwords of the SCRAM users.
    super_users : tuple of str
        Principals that need no rule (``User:admin``), the broker's own certificate among them.
    mtls_port : int
        Where certificates are asked for.
    """

    ca_file: Path
    both_file: Path
    users: Mapping[str, str] = field(repr=False)
    super_users: tuple[str, ...]
    mtls_port: int = field(default_factory=free_port)

    def properties(self, port: int, controller_port: int) -> str:
        """Lines of ``server.properties``; no password is among them."""
        return _SETTINGS.format(
            host=LOOPBACK,
            port=port,
            mtls_port=self.mtls_port,
            controller_port=controller_port,
            both_file=self.both_file,
            ca_file=self.ca_file,
            super_users=";".join(self.super_users),
        )

    def format_options(self) -> list[str]:
        """Options of the storage tool that make the users; they hold salted hashes, not passwords."""
        return [
            word for user, password in self.users.items() for word in ("--add-scram", _scram(user, password))
        ]

    def answers(self, port: int) -> bool:
        """Whether the broker can serve; asked with its own certificate: ``port`` wants a user."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(self.both_file)
        return broker_answers(self.mtls_port, context)


def _scram(user: str, password: str) -> str:
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    fields = {
        "name": user,
        "salt": f'"{base64.b64encode(salt).decode()}"',
        "saltedpassword": f'"{base64.b64encode(salted).decode()}"',
        "iterations": str(_ROUNDS),
    }
    return f"SCRAM-SHA-512=[{','.join(f'{name}={text}' for name, text in fields.items())}]"
