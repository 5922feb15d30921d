"""The schema files say what the dataclasses say, and say it with units."""

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from importlib.resources import files
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest

from schemas.codec import RECORD_TYPES
from schemas.registry import NAMESPACE, FileRegistry, newest_version, raw_schema, schema_ids

#: Ids are in the bytes of every message ever written: this copy only ever grows.
GIVEN_IDS = {
    ("EcgRecorded", 1): 1,
    ("EcgFeaturized", 1): 2,
    ("RiskAssessed", 1): 3,
    ("AlertRaised", 1): 4,
    ("AlertClosed", 1): 5,
    ("TechnicalAlarm", 1): 6,
    ("CareAction", 1): 7,
    ("EcgFeaturized", 2): 8,
    ("RiskAssessed", 2): 9,
    ("AlertRaised", 2): 10,
    ("EcgRecorded", 2): 11,
    ("TechnicalAlarm", 2): 12,
    ("EcgQuarantined", 1): 13,
    ("QuarantineAct", 1): 14,
    ("FeedHealth", 1): 15,
    ("PatientLinked", 1): 16,
    ("CareAction", 2): 17,
    ("CareAction", 3): 18,
}

UNITS = re.compile(
    r"\b(Hz|mV|µV|mV·ms|ms|mm|cm/s|years|UTC|code|no unit|samples at 500 Hz|bpm|deg)\b\)?\.?( |\.|,|$)"
)
VERSIONS = [(name, version) for name in sorted(RECORD_TYPES) for version in sorted(schema_ids()[name])]


def named_types(schema: Any) -> Iterator[dict[str, Any]]:
    """Every record and enum in a schema, itself included."""
    if isinstance(schema, list):
        for branch in schema:
            yield from named_types(branch)
    elif isinstance(schema, dict):
        if schema["type"] in ("record", "enum"):
            yield schema
        for held in (schema.get("items"), *(field["type"] for field in schema.get("fields", ()))):
            yield from named_types(held)


def dataclasses_within(record_type: type) -> Iterator[type]:
    """A dataclass and all dataclasses its fields hold."""
    yield record_type
    for hint in get_type_hints(record_type).values():
        for held in (hint, *get_args(hint)):
            if is_dataclass(held) and isinstance(held, type):
                yield from dataclasses_within(held)


def enums_within(record_type: type) -> Iterator[type[StrEnum]]:
    for part in dataclasses_within(record_type):
        for hint in get_type_hints(part).values():
            if isinstance(hint, type) and issubclass(hint, StrEnum):
                yield hint


def default_in_avro(field: Any) -> Any:
    """A dataclass field's default as its schema must give it; MISSING for none."""
    if NoneType in get_args(field.type):
        return None
    if field.default == b"":
        return ""
    return [] if field.default == () else field.default


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_every_field_and_type_is_documented_with_a_unit(name: str, version: int) -> None:
    for part in named_types(raw_schema(name, version)):
        assert part["doc"].strip()
        for field in part.get("fields", ()):
            assert UNITS.search(field["doc"]), f"{part['name']}.{field['name']} has no unit: {field['doc']}"


@pytest.mark.parametrize("name", sorted(RECORD_TYPES))
def test_the_newest_schema_has_the_fields_and_defaults_of_its_dataclass(name: str) -> None:
    schema = raw_schema(name, newest_version(name))
    assert schema["namespace"] == NAMESPACE
    in_schema = {part["name"]: part["fields"] for part in named_types(schema) if part["type"] == "record"}
    in_code = {part.__name__: fields(part) for part in dataclasses_within(RECORD_TYPES[name])}
    assert in_schema.keys() == in_code.keys()
    for part, code_fields in in_code.items():
        avro = [(field["name"], field.get("default", MISSING)) for field in in_schema[part]]
        assert avro == [(field.name, default_in_avro(field)) for field in code_fields]


@pytest.mark.parametrize("name", sorted(RECORD_TYPES))
def test_enums_have_the_symbols_of_their_class_and_a_default(name: str) -> None:
    schema = raw_schema(name, newest_version(name))
    in_schema = {part["name"]: part for part in named_types(schema) if part["type"] == "enum"}
    in_code = {enum.__name__: enum for enum in enums_within(RECORD_TYPES[name])}
    assert in_schema.keys() == in_code.keys()
    for enum_name, enum in in_code.items():
        assert in_schema[enum_name]["symbols"] == [member.value for member in enum]
        assert in_schema[enum_name]["default"] in in_schema[enum_name]["symbols"]


def test_ids_are_never_reassigned() -> None:
    ids = {
        (name, version): id_ for name, versions in schema_ids().items() for version, id_ in versions.items()
    }
    assert ids == GIVEN_IDS
    assert len(set(ids.values())) == len(ids)


def test_every_schema_file_has_an_id_and_every_id_a_file() -> None:
    folder = files("schemas").joinpath("avro")
    found = {
        (record.name, int(file.name.removesuffix(".avsc")))
        for record in folder.iterdir()
        if record.is_dir()
        for file in record.iterdir()
    }
    assert found == GIVEN_IDS.keys()


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_the_file_registry_gives_each_schema_under_its_id(name: str, version: int) -> None:
    schema = FileRegistry().schema_of(schema_ids()[name][version])
    assert schema["name"] == f"{NAMESPACE}.{name}"
