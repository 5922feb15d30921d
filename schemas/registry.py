"""Where schemas and their ids come from: the interface, and the files that ship with the package.

The files are the truth: ``avro/<RecordName>/<version>.avsc``, each with a fixed id in ``avro/ids.json``. A
record is written with its newest version and read from any version into the newest.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Protocol
from uuid import UUID

from fastavro import parse_schema

from schemas.errors import UnknownSchemaError

#: A schema as fastavro parsed it.
ParsedSchema = dict[str, Any]

#: How a message names its writer schema: the registry's number, or (newer clients, in a header) a GUID.
SchemaId = int | UUID

NAMESPACE = "org.diastole"


class SchemaRegistry(Protocol):
    """Knows which id a record type is written under, and which schema an id stands for."""

    def id_of(self, record_type: type) -> int:
        """Give the id that ``record_type`` is written under.

        Raises
        ------
        ConfigurationError
            When the registry refuses the schema.
        RetriableError
            When the registry cannot be reached.
        """
        ...

    def schema_of(self, schema_id: SchemaId) -> ParsedSchema:
        """Give the writer schema of a received message.

        Raises
        ------
        UnknownSchemaError
            When there is none under that id.
        RetriableError
            When the registry cannot be reached.
        """
        ...


def _avro_folder() -> Traversable:
    return files("schemas").joinpath("avro")


@cache
def schema_ids() -> Mapping[str, Mapping[int, int]]:
    """Read the fixed ids: record name → version → schema id."""
    by_name = json.loads(_avro_folder().joinpath("ids.json").read_text(encoding="utf-8"))
    return {
        name: {int(version): schema_id for version, schema_id in versions.items()}
        for name, versions in by_name.items()
    }


def newest_version(record_name: str) -> int:
    """Give the version that ``record_name`` is written with."""
    return max(schema_ids()[record_name])


def raw_schema(record_name: str, version: int) -> dict[str, Any]:
    """Read one schema file as plain JSON, docs included."""
    file = _avro_folder().joinpath(record_name, f"{version}.avsc")
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


@cache
def current_schema(record_name: str) -> ParsedSchema:
    """Parse the newest schema of ``record_name``: what we write, and what everything is read into."""
    return parse_record_schema(raw_schema(record_name, newest_version(record_name)))


def parse_record_schema(raw: dict[str, Any]) -> ParsedSchema:
    """Parse one record schema.

    Raises
    ------
    fastavro.schema.SchemaParseException
        When it is not an Avro schema.
    """
    parsed: Any = parse_schema(raw)
    return parsed  # type: ignore[no-any-return]  # a record schema parses to a dict


class FileRegistry:
    """The registry of a system that has none: the files of this package. Never does network I/O."""

    def __init__(self) -> None:
        self._places = {
            schema_id: (name, version)
            for name, versions in schema_ids().items()
            for version, schema_id in versions.items()
        }
        self._parsed: dict[int, ParsedSchema] = {}

    def id_of(self, record_type: type) -> int:
        """Give the fixed id of the newest version; see :meth:`SchemaRegistry.id_of`."""
        versions = schema_ids()[record_type.__name__]
        return versions[newest_version(record_type.__name__)]

    def schema_of(self, schema_id: SchemaId) -> ParsedSchema:
        """Give the schema of a fixed id; GUIDs are known to real registries only."""
        if not isinstance(schema_id, int) or schema_id not in self._places:
            raise UnknownSchemaError(
                f"schema id {schema_id} is not one of this release's files; if a registry assigned it, "
                "configure that registry"
            )
        if schema_id not in self._parsed:
            self._parsed[schema_id] = parse_record_schema(raw_schema(*self._places[schema_id]))
        return self._parsed[schema_id]
