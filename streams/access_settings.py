"""Settings of the connections: to Kafka, Redis and the schema registry, with certificates and credentials."""

from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, SecretStr, field_serializer, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.access import (
    KafkaAccess,
    KafkaSecurity,
    RedisAccess,
    RegistryAccess,
    SaslMechanism,
    without_password,
)
from streams.access_checks import access_problems
from streams.private_files import read_secret

PREFIX: Final = "DIASTOLE_"


class AccessSettings(BaseSettings):
    """How the other programs are reached; part of :class:`streams.settings.Settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    broker: str = "127.0.0.1:9092"
    """Kafka bootstrap servers, `host:port[,host:port…]`."""

    kafka_security: KafkaSecurity = "PLAINTEXT"
    """How Kafka is spoken to: `PLAINTEXT`, `SSL` (TLS, mTLS with a certificate of ours), `SASL_SSL` (TLS with
    user and password), `SASL_PLAINTEXT` (the same unencrypted)."""

    kafka_ca_file: Path | None = None
    """PEM of the authority that signed the brokers' certificates; unset trusts the system's authorities."""

    kafka_cert_file: Path | None = None
    """PEM of our own certificate, for mTLS."""

    kafka_key_file: Path | None = None
    """PEM of its private key; of mode 600 or 640."""

    kafka_key_password_file: Path | None = None
    """File with the password of that key, if it is encrypted."""

    kafka_sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    """`SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`."""

    kafka_user: str | None = None
    """Our name at Kafka with SASL; each stage has its own (`diastole topics rights`)."""

    kafka_password_file: Path | None = None
    """File whose first line is its password; of mode 600 or 640."""

    kafka_password: SecretStr | None = Field(default=None, repr=False)
    """The password itself, where there is no file; environment alone, never an option."""

    redis_url: str = Field(default="redis://127.0.0.1:6379/0", repr=False)
    """Where the risk history is cached; `rediss://` for TLS."""

    redis_ca_file: Path | None = None
    """PEM of the authority that signed Redis's certificate; unset trusts the system's authorities."""

    redis_cert_file: Path | None = None
    """PEM of our own certificate, where Redis asks for one."""

    redis_key_file: Path | None = None
    """PEM of its private key, not encrypted; of mode 600 or 640."""

    redis_user: str | None = None
    """Our ACL user at Redis; unset is its `default` user."""

    redis_password_file: Path | None = None
    """File whose first line is the password at Redis; of mode 600 or 640."""

    redis_password: SecretStr | None = Field(default=None, repr=False)
    """The password itself, where there is no file; environment alone, never an option."""

    registry_url: str | None = Field(default=None, repr=False)
    """Confluent-compatible schema registry; unset uses the files in `schemas/`."""

    registry_ca_file: Path | None = None
    """PEM of the authority that signed the registry's certificate; unset trusts the usual authorities."""

    registry_user: str | None = None
    """Our name at the registry, if it asks for one."""

    registry_password_file: Path | None = None
    """File whose first line is the password at the registry; of mode 600 or 640."""

    @property
    def registry(self) -> RegistryAccess | None:
        """Everything it takes to reach the schema registry, None without one; raises as :attr:`kafka`."""
        if self.registry_url is None:
            return None
        return RegistryAccess(
            url=self.registry_url,
            ca_file=self.registry_ca_file,
            user=self.registry_user,
            password=_secret(self.registry_password_file, None, "REGISTRY_PASSWORD_FILE"),
        )

    @property
    def kafka(self) -> KafkaAccess:
        """Everything it takes to reach Kafka; the password file is read anew.

        Raises
        ------
        ConfigurationError
            When a file with a password cannot be used any more.
        """
        return KafkaAccess(
            bootstrap=self.broker,
            security=self.kafka_security,
            ca_file=self.kafka_ca_file,
            cert_file=self.kafka_cert_file,
            key_file=self.kafka_key_file,
            key_password=_secret(self.kafka_key_password_file, None, "KAFKA_KEY_PASSWORD_FILE"),
            mechanism=self.kafka_sasl_mechanism,
            user=self.kafka_user,
            password=_secret(self.kafka_password_file, self.kafka_password, "KAFKA_PASSWORD_FILE"),
        )

    @property
    def redis(self) -> RedisAccess:
        """Everything it takes to reach Redis; raises as :attr:`kafka`."""
        return RedisAccess(
            url=self.redis_url,
            ca_file=self.redis_ca_file,
            cert_file=self.redis_cert_file,
            key_file=self.redis_key_file,
            user=self.redis_user,
            password=_secret(self.redis_password_file, self.redis_password, "REDIS_PASSWORD_FILE"),
        )

    @field_validator("broker")
    @classmethod
    def _names_a_port(cls, broker: str) -> str:
        for server in broker.split(","):
            host, _, port = server.strip().removeprefix("kafka://").rpartition(":")
            if not host or not port.isdigit():
                raise ValueError("must be host:port[,host:port…]")
        return broker.replace("kafka://", "").replace(" ", "")

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis_url(cls, redis_url: str) -> str:
        if not redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return redis_url

    @field_validator(
        *("kafka_ca_file", "kafka_cert_file", "kafka_key_file", "kafka_key_password_file"),
        *("kafka_user", "kafka_password_file", "kafka_password"),
        *("redis_ca_file", "redis_cert_file", "redis_key_file"),
        *("redis_user", "redis_password_file", "redis_password"),
        *("registry_ca_file", "registry_user", "registry_password_file"),
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, given: Any) -> Any:
        # VARIABLE= is how an environment file leaves one out.
        return None if isinstance(given, str) and not given.strip() else given

    @field_serializer("redis_url", "registry_url")
    def _without_password(self, url: str | None) -> str | None:
        return None if url is None else without_password(url)

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        if problems := access_problems(self):
            raise ValueError("\n".join(problems))
        return self


def _secret(path: Path | None, given: SecretStr | None, name: str) -> SecretStr | None:
    return given if path is None else read_secret(path, PREFIX + name)
