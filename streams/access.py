"""How Kafka and Redis are reached: addresses, certificates, credentials, and what their clients need of them.

Secrets come from files or the environment. None is part of a ``repr``, of an error or of a log line.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from schemas.errors import ConfigurationError

KafkaSecurity = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

_PEM: Final = "must be PEM; look at it with: openssl x509 -in FILE -noout -subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """Everything it takes to reach Kafka; ``security`` says which of the rest is used.

    Attributes
    ----------
    bootstrap : str
        ``host:port[,host:port…]``.
    ca_file : Path or None
        PEM of the authority that signed the brokers' certificates; None trusts those of the system.
    cert_file, key_file : Path or None
        PEM of the certificate by which we are known (mTLS) and of its key.
    key_password, password : SecretStr or None
        Of the key, if it is encrypted; of ``user``.
    mechanism, user : str or None
        Of SASL.
    """

    bootstrap: str
    security: KafkaSecurity = "PLAINTEXT"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: SecretStr | None = field(default=None, repr=False)
    mechanism: SaslMechanism = "SCRAM-SHA-512"
    user: str | None = None
    password: SecretStr | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Address alone, as messages name it."""
        return self.bootstrap

    @property
    def is_encrypted(self) -> bool:
        """Whether connections are TLS."""
        return self.security in ("SSL", "SASL_SSL")

    @property
    def has_sasl(self) -> bool:
        """Whether we say who we are by user and password."""
        return self.security in ("SASL_PLAINTEXT", "SASL_SSL")

    @property
    def principal(self) -> str:
        """By what name Kafka's rules know us, unless it maps certificates to names of its own."""
        if self.has_sasl:
            return f"User:{self.user}"
        if self.is_encrypted and self.cert_file is not None:
            return f"User:{_subject(self.cert_file)}"
        return "User:ANONYMOUS"

    def ssl_context(self) -> ssl.SSLContext | None:
        """Read the certificates anew, so that renewed ones serve the next connection; None without TLS.

        Raises
        ------
        ConfigurationError
            When a file cannot be used.
        """
        if not self.is_encrypted:
            return None
        context = _trusting(self.ca_file, "KAFKA_CA_FILE")
        if self.cert_file is not None:
            _present(context, self.cert_file, self.key_file, self.key_password, "KAFKA")
        return context

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments for every client of ``aiokafka``; they hold the password, so log none of them.

        Raises
        ------
        ConfigurationError
            When a certificate or key cannot be used.
        """
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap}
        if self.security == "PLAINTEXT":
            return options
        options |= {"security_protocol": self.security, "ssl_context": self.ssl_context()}
        if self.has_sasl:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": _revealed(self.password),
            }
        return options


#: A bare address means plain text.
Broker = str | KafkaAccess


def kafka_access(broker: Broker) -> KafkaAccess:
    """Complete a bare address; give anything else back."""
    return broker if isinstance(broker, KafkaAccess) else KafkaAccess(bootstrap=broker)


def client_options(broker: Broker) -> dict[str, Any]:
    """Keyword arguments for ``aiokafka``, its address among them; see :meth:`KafkaAccess.client_options`.

    Whoever makes a client with them also reads records whose header names are no UTF-8.
    """
    # Imported here: whoever only describes access needs no client.
    from streams.adapters.header_names import bear_any_header_name

    bear_any_header_name()
    return kafka_access(broker).client_options()


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAccess:
    """Everything it takes to reach Redis.

    Attributes
    ----------
    url : str
        ``rediss://`` is TLS; user and password in it go before those beside it.
    ca_file, cert_file, key_file : Path or None
        As with Kafka.
    user, password
        Of an ACL user; without a user the password is the default user's.
    """

    url: str = field(repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    user: str | None = None
    password: SecretStr | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Host and port, or path, without the password that the URL may hold."""
        _, _, place = without_password(self.url).partition("://")
        return place if place.startswith("/") else place.partition("/")[0]

    @property
    def is_encrypted(self) -> bool:
        """Whether connections are TLS."""
        return self.url.startswith("rediss://")

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments for ``redis.asyncio``'s ``from_url``; they hold the password, so log none."""
        options: dict[str, Any] = {"username": self.user, "password": _revealed(self.password)}
        if self.is_encrypted:
            options |= {
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_ca_certs": _text(self.ca_file),
                "ssl_certfile": _text(self.cert_file),
                "ssl_keyfile": _text(self.key_file),
            }
        return {name: option for name, option in options.items() if option is not None}

    def require_usable(self) -> None:
        """Read the certificates once, as the client will.

        Raises
        ------
        ConfigurationError
            When a file cannot be used.
        """
        if self.is_encrypted:
            context = _trusting(self.ca_file, "REDIS_CA_FILE")
            if self.cert_file is not None:
                _present(context, self.cert_file, self.key_file, None, "REDIS")


#: A bare address means that all there is to say stands in the URL.
RedisPlace = str | RedisAccess


def redis_access(place: RedisPlace) -> RedisAccess:
    """Complete a bare address; give anything else back."""
    return place if isinstance(place, RedisAccess) else RedisAccess(url=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """Everything it takes to reach a schema registry.

    Attributes
    ----------
    url : str
        ``http://`` or ``https://``; user and password may stand in it.
    ca_file, user, password
        As with Redis; without a user those in the URL are used.
    """

    url: str = field(repr=False)
    ca_file: Path | None = None
    user: str | None = None
    password: SecretStr | None = field(default=None, repr=False)

    def credentials(self) -> tuple[str, str] | None:
        """User and password, if they are not in the URL."""
        return None if self.user is None else (self.user, _revealed(self.password) or "")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Trust of the site's own authority; None leaves it to the library. Raises as Kafka's does."""
        return None if self.ca_file is None else _trusting(self.ca_file, "REGISTRY_CA_FILE")


def without_password(url: str) -> str:
    """Leave user and password out of an address, so that it can be shown; one that is none is not shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(no address)"
    *_, place = parts.netloc.rpartition("@")
    if "@" in parts.path + parts.query + parts.fragment:
        # A password with an unescaped / ? or # ends the address early, and its beginning looks like a host.
        return "(an address whose password must be percent-encoded)"
    # The query is left out: it may hold a password too.
    return f"{parts.scheme}://{place}{parts.path}"


def has_password(url: str) -> bool:
    """Whether an address brings a password along."""
    try:
        parts = urlsplit(url)
        return parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        return False


def _subject(cert_file: Path) -> str:
    # Imported here: only who is asked for a name of a certificate needs it.
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(cert_file.read_bytes()).subject.rfc4514_string()
    except (OSError, ValueError):
        return "(the certificate's subject)"


def _trusting(ca_file: Path | None, name: str) -> ssl.SSLContext:
    try:
        # Names are checked and a certificate is asked for: this function's defaults.
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=_text(ca_file))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"DIASTOLE_{name}: cannot be used ({type(error).__name__}); {_PEM}"
        ) from None


def _present(
    context: ssl.SSLContext, cert_file: Path, key_file: Path | None, password: SecretStr | None, whose: str
) -> None:
    def revealed() -> str:
        # Without this the library would ask at the terminal, and a service would wait there for ever.
        if password is None:
            raise ConfigurationError(
                f"DIASTOLE_{whose}_KEY_FILE: the key is encrypted; "
                + (
                    "set DIASTOLE_KAFKA_KEY_PASSWORD_FILE"
                    if whose == "KAFKA"
                    else "give one that is not, in a file of mode 600"
                )
            )
        return password.get_secret_value()

    try:
        context.load_cert_chain(cert_file, key_file, revealed)
    except (OSError, ValueError) as error:
        what = getattr(error, "reason", None) or type(error).__name__
        raise ConfigurationError(
            f"DIASTOLE_{whose}_CERT_FILE, DIASTOLE_{whose}_KEY_FILE: cannot be used together ({what}); "
            "both must be PEM, and the key the certificate's own"
        ) from None


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
