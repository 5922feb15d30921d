"""What is wrong with the settings of the connections: one line each, naming the variable and what helps.

No line quotes what was set: it may be a secret.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import ConfigurationError
from streams.access import has_password
from streams.private_files import read_secret, require_file, require_private

if TYPE_CHECKING:
    from streams.access_settings import AccessSettings


def access_problems(settings: "AccessSettings") -> list[str]:
    """List what keeps Kafka and Redis from being reached as set; files are opened, servers are not asked."""
    problems = [*_kafka_problems(settings), *_redis_problems(settings), *_registry_problems(settings)]
    if problems:
        return problems
    # Each file is there; whether they fit together only the library knows.
    return [
        *_refusal(lambda: settings.kafka.ssl_context()),
        *_refusal(lambda: settings.redis.require_usable()),
        *_refusal(lambda: settings.registry and settings.registry.ssl_context()),
    ]


def _kafka_problems(settings: "AccessSettings") -> Iterator[str]:
    security = settings.kafka_security
    files = settings.kafka_ca_file, settings.kafka_cert_file, settings.kafka_key_file
    n_passwords = _n_set(settings.kafka_password_file, settings.kafka_password)
    if any(files) and not security.endswith("SSL"):
        yield (
            "DIASTOLE_KAFKA_CA_FILE, DIASTOLE_KAFKA_CERT_FILE, DIASTOLE_KAFKA_KEY_FILE: used with TLS alone; "
            "set DIASTOLE_KAFKA_SECURITY to SASL_SSL or SSL"
        )
    if security.startswith("SASL"):
        if settings.kafka_user is None:
            yield f"DIASTOLE_KAFKA_USER: must be set with {security}"
        if n_passwords != 1:
            yield f"DIASTOLE_KAFKA_PASSWORD_FILE: {security} needs it, or DIASTOLE_KAFKA_PASSWORD alone"
    elif settings.kafka_user is not None or n_passwords:
        yield (
            "DIASTOLE_KAFKA_USER, DIASTOLE_KAFKA_PASSWORD_FILE: used with SASL alone; "
            "set DIASTOLE_KAFKA_SECURITY to SASL_SSL"
        )
    yield from _file_problems("DIASTOLE_KAFKA", *files)
    yield from _secret_problems("DIASTOLE_KAFKA_KEY_PASSWORD_FILE", settings.kafka_key_password_file)
    yield from _secret_problems("DIASTOLE_KAFKA_PASSWORD_FILE", settings.kafka_password_file)


def _redis_problems(settings: "AccessSettings") -> Iterator[str]:
    files = settings.redis_ca_file, settings.redis_cert_file, settings.redis_key_file
    n_passwords = _n_set(settings.redis_password_file, settings.redis_password)
    n_passwords += has_password(settings.redis_url)
    if any(files) and not settings.redis_url.startswith("rediss://"):
        yield (
            "DIASTOLE_REDIS_CA_FILE, DIASTOLE_REDIS_CERT_FILE, DIASTOLE_REDIS_KEY_FILE: used with TLS alone; "
            "begin DIASTOLE_REDIS_URL with rediss://"
        )
    if settings.redis_user is not None and not n_passwords:
        yield "DIASTOLE_REDIS_USER: needs a password; set DIASTOLE_REDIS_PASSWORD_FILE"
    if n_passwords > 1:
        yield (
            "DIASTOLE_REDIS_PASSWORD_FILE, DIASTOLE_REDIS_PASSWORD, DIASTOLE_REDIS_URL: "
            "give the password in one of them"
        )
    yield from _file_problems("DIASTOLE_REDIS", *files)
    yield from _secret_problems("DIASTOLE_REDIS_PASSWORD_FILE", settings.redis_password_file)


def _registry_problems(settings: "AccessSettings") -> Iterator[str]:
    ca_file, url = settings.registry_ca_file, settings.registry_url or ""
    if ca_file is not None:
        if not url.startswith("https://"):
            yield "DIASTOLE_REGISTRY_CA_FILE: used with TLS alone; begin DIASTOLE_REGISTRY_URL with https://"
        yield from _refusal(lambda: require_file(ca_file, "DIASTOLE_REGISTRY_CA_FILE"))
    if _n_set(settings.registry_user, settings.registry_password_file) == 1:
        yield "DIASTOLE_REGISTRY_USER, DIASTOLE_REGISTRY_PASSWORD_FILE: set both"
    if settings.registry_user is not None and has_password(url):
        yield "DIASTOLE_REGISTRY_URL, DIASTOLE_REGISTRY_PASSWORD_FILE: give the password in one of them"
    yield from _secret_problems("DIASTOLE_REGISTRY_PASSWORD_FILE", settings.registry_password_file)


def _file_problems(
    whose: str, ca_file: Path | None, cert_file: Path | None, key_file: Path | None
) -> Iterator[str]:
    cert, key = f"{whose}_CERT_FILE", f"{whose}_KEY_FILE"
    if _n_set(cert_file, key_file) == 1:
        yield f"{cert}, {key}: a certificate needs its key and a key its certificate; set both"
    if ca_file is not None:
        yield from _refusal(lambda: require_file(ca_file, f"{whose}_CA_FILE"))
    if cert_file is not None:
        yield from _refusal(lambda: require_file(cert_file, cert))
    if key_file is not None:
        yield from _refusal(lambda: require_private(key_file, key))


def _secret_problems(name: str, path: Path | None) -> Iterator[str]:
    if path is not None:
        yield from _refusal(lambda: read_secret(path, name))


def _n_set(*given: object) -> int:
    return sum(one is not None for one in given)


def _refusal(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except ConfigurationError as error:
        yield str(error)
