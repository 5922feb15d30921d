"""A Confluent-compatible schema registry behind the same interface as the files.

A record is registered under its full name (``org.diastole.AlertRaised``), not under its topic's: one topic
carries three records, and each evolves by itself. Every subject is held at FULL_TRANSITIVE.

Answers are kept for the life of the object, so a running stage asks once per schema; that there is no schema
under an id is believed for a minute. Calls block for at most
``timeout_s`` each; doing any of them twice changes nothing in the registry.
"""

import json
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx
from fastavro.schema import SchemaParseException
from schema_registry.client import SchemaRegistryClient
from schema_registry.client.errors import ClientError

from schemas.errors import ConfigurationError, RetriableError, UnknownSchemaError
from schemas.registry import (
    NAMESPACE,
    ParsedSchema,
    SchemaId,
    newest_version,
    parse_record_schema,
    raw_schema,
)
from streams.access import RegistryAccess
from streams.adapters.tls_trouble import tls_trouble

T = TypeVar("T")

COMPATIBILITY: Final = "FULL_TRANSITIVE"

#: Ids are a Java int at the registry; what lies outside (0 and random garbage) need not be asked for.
_MAX_ID: Final = 2**31 - 1

#: The registry's own code for "no schema under that id"; any other 404 to an id is a wrong address, not a bad
#: message. (To a GUID it is what a registry answers that does not know GUIDs at all.)
_SCHEMA_NOT_FOUND: Final = 40403

#: For so long an unknown id is not asked for again: a producer gone wrong would cost a request per message.
_UNKNOWN_S: Final = 60.0
_MAX_UNKNOWN: Final = 10_000

_NOT_FOUND = 404
_WAIT_AND_RETRY = (408, 429)
_SERVER_ERRORS = 500


class RegistryUnavailableError(RetriableError):
    """The schema registry did not answer, or answered that it cannot now."""

    code = "REGISTRY_UNAVAILABLE"


class _Client(SchemaRegistryClient):
    """The library's client, which heeds an authority only beside a certificate of ours."""

    def __init__(self, access: RegistryAccess, timeout: httpx.Timeout) -> None:
        known_as = access.credentials()
        auth = None if known_as is None else httpx.BasicAuth(*known_as)
        self._tls = access.ssl_context()
        super().__init__(url=access.url, timeout=timeout, auth=auth)

    def _get_client_kwargs(self) -> dict[str, Any]:
        options: dict[str, Any] = super()._get_client_kwargs()
        return options if self._tls is None else options | {"verify": self._tls}


class ConfluentRegistry:
    """Registers our schemas with, and asks writer schemas of, a Confluent-compatible registry.

    Parameters
    ----------
    place : str or RegistryAccess
        ``http://`` or ``https://`` address, credentials in it if it asks for them; or everything it takes.
    timeout_s : float
        For each request.
    clock_s : callable
        Monotonic seconds.

    Raises
    ------
    ConfigurationError
        When the address is not an HTTP one.
    """

    def __init__(
        self,
        place: str | RegistryAccess,
        *,
        timeout_s: float = 5.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        access = place if isinstance(place, RegistryAccess) else RegistryAccess(url=place)
        if not access.url.startswith(("http://", "https://")):
            raise ConfigurationError("the schema registry's address must begin with http:// or https://")
        self._client = _Client(access, httpx.Timeout(timeout_s))
        self._ids: dict[type, int] = {}
        self._schemas: dict[SchemaId, ParsedSchema] = {}
        self._unknown: dict[SchemaId, tuple[float, str]] = {}
        self._clock_s = clock_s

    def id_of(self, record_type: type) -> int:
        """Register the newest schema of ``record_type``, or find it registered; see :class:`SchemaRegistry`.

        Raises
        ------
        ConfigurationError
            When the registry refuses it: incompatible with what is there, not Avro to it, not allowed.
        RegistryUnavailableError
            When it does not answer.
        """
        if record_type not in self._ids:
            name = record_type.__name__
            self._ids[record_type] = _asked(lambda: self._register(name))
        return self._ids[record_type]

    def schema_of(self, schema_id: SchemaId) -> ParsedSchema:
        """Ask for the schema of an id or GUID; see :class:`SchemaRegistry`.

        Raises
        ------
        UnknownSchemaError
            When the registry has none, or not an Avro record.
        ConfigurationError
            When it refuses the question or is no schema registry.
        RegistryUnavailableError
            When it does not answer.
        """
        if schema_id not in self._schemas:
            self._schemas[schema_id] = self._fetch_once_a_minute(schema_id)
        return self._schemas[schema_id]

    def _register(self, record_name: str) -> int:
        subject = f"{NAMESPACE}.{record_name}"
        # 1. the rule first, so that the registration is judged by it
        if self._compatibility(subject) != COMPATIBILITY:
            self._client.update_compatibility(COMPATIBILITY, subject)
        # 2. finds the same schema where it is registered already, so a read-only account will do then
        schema_id: int = self._client.register(
            subject, json.dumps(raw_schema(record_name, newest_version(record_name)))
        )
        return schema_id

    def _compatibility(self, subject: str) -> str | None:
        try:
            level: str = self._client.get_compatibility(subject)
        except ClientError as error:
            if error.http_code == _NOT_FOUND:
                return None  # no rule of its own yet
            raise
        return level

    def _fetch_once_a_minute(self, schema_id: SchemaId) -> ParsedSchema:
        unknown_since_s, said = self._unknown.get(schema_id, (-_UNKNOWN_S, ""))
        if said and self._clock_s() - unknown_since_s < _UNKNOWN_S:
            raise UnknownSchemaError(said)
        try:
            return _asked(lambda: self._fetch(schema_id))
        except UnknownSchemaError as error:
            if len(self._unknown) >= _MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[schema_id] = self._clock_s(), str(error)
            raise

    def _fetch(self, schema_id: SchemaId) -> ParsedSchema:
        if isinstance(schema_id, int) and not 1 <= schema_id <= _MAX_ID:
            raise UnknownSchemaError(f"schema id {schema_id} is not one a registry gives")
        kind = "guids" if isinstance(schema_id, UUID) else "ids"
        response = self._client.request(f"{self._client.url_manager.url}schemas/{kind}/{schema_id}")
        if response.status_code == _NOT_FOUND and (
            kind == "guids" or _error_code(response) == _SCHEMA_NOT_FOUND
        ):
            raise UnknownSchemaError(f"the registry has no schema under {schema_id}")
        if not response.is_success:
            raise ClientError("Unable to fetch schema", http_code=response.status_code)
        return _parse(response.json(), schema_id)


def _parse(answer: Any, schema_id: SchemaId) -> ParsedSchema:
    try:
        raw = json.loads(answer["schema"])
        if (
            answer.get("schemaType", "AVRO") == "AVRO"
            and isinstance(raw, dict)
            and raw.get("type") == "record"
        ):
            return parse_record_schema(raw)
    except (SchemaParseException, LookupError, TypeError, ValueError) as error:
        raise UnknownSchemaError(
            f"the registry's schema {schema_id} is not Avro ({type(error).__name__})"
        ) from None
    raise UnknownSchemaError(f"the registry's schema {schema_id} is not an Avro record")


def _error_code(response: httpx.Response) -> int | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer.get("error_code") if isinstance(answer, dict) else None


def _asked(question: Callable[[], T]) -> T:
    """Put a question to the registry and give its failures our policy."""
    try:
        return question()
    except ClientError as error:
        raise _failure(error.http_code, str(error)) from None
    except httpx.TransportError as error:
        if why := tls_trouble(error, "DIASTOLE_REGISTRY"):
            raise ConfigurationError(f"the schema registry: {why}") from None
        raise RegistryUnavailableError(
            f"the schema registry does not answer ({type(error).__name__}); check DIASTOLE_REGISTRY_URL"
        ) from None
    except json.JSONDecodeError:
        raise RegistryUnavailableError(
            "the schema registry's answer is not JSON; is something else in front of it?"
        ) from None


def _failure(http_code: int | None, said: str) -> RetriableError | ConfigurationError:
    if http_code is None or http_code in _WAIT_AND_RETRY or http_code >= _SERVER_ERRORS:
        return RegistryUnavailableError(f"the schema registry cannot answer now ({said}, HTTP {http_code})")
    return ConfigurationError(
        f"the schema registry refused ({said}, HTTP {http_code}); check its address, our rights on it, and "
        "that the registered versions are of this or an older release"
    )
