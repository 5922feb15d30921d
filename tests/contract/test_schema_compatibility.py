"""What a new schema version may change, and what it may not."""

import copy
from collections.abc import Callable
from io import BytesIO
from itertools import combinations
from typing import Any

import pytest
from fastavro import schemaless_reader, schemaless_writer

from schemas.compatibility import full_incompatibilities, unbounded_parts
from schemas.registry import raw_schema, schema_ids

Schema = dict[str, Any]

COLOUR = {"type": "enum", "name": "Colour", "symbols": ["NONE", "RED"], "default": "NONE"}
BARE_COLOUR = {"type": "enum", "name": "Bare", "symbols": ["RED"]}
PART = {"type": "record", "name": "Part", "fields": [{"name": "length_mm", "type": "int"}]}
OLD: Schema = {
    "type": "record",
    "name": "Thing",
    "namespace": "org.example",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "colour", "type": COLOUR},
        {"name": "bare", "type": BARE_COLOUR},
        {"name": "parts", "type": {"type": "array", "items": PART}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}
THING = {"id": "x", "at": 1, "colour": "RED", "bare": "RED", "parts": [{"length_mm": 3}], "note": "n"}


def changed(change: Callable[[Schema], Any]) -> Schema:
    new = copy.deepcopy(OLD)
    change(new)
    return new


def field(schema: Schema, name: str) -> Schema:
    (found,) = (each for each in schema["fields"] if each["name"] == name)
    return found  # type: ignore[no-any-return]


def drop(schema: Schema, name: str) -> None:
    schema["fields"].remove(field(schema, name))


FORBIDDEN: dict[str, Callable[[Schema], Any]] = {
    "field renamed": lambda s: field(s, "id").update(name="ident"),
    "field renamed with an alias": lambda s: field(s, "id").update(name="ident", aliases=["id"]),
    "field without default removed": lambda s: drop(s, "id"),
    "required field added": lambda s: s["fields"].append({"name": "new", "type": "int"}),
    "optional field without default added": lambda s: s["fields"].append(
        {"name": "new", "type": ["null", "int"]}
    ),
    "type changed": lambda s: field(s, "id").update(type="bytes"),
    "type promoted": lambda s: field(s, "parts")["type"]["items"]["fields"][0].update(type="long"),
    "logical type lost": lambda s: field(s, "at").update(type="long"),
    "time unit changed": lambda s: field(s, "at")["type"].update(logicalType="timestamp-millis"),
    "made optional": lambda s: field(s, "id").update(type=["null", "string"]),
    "made required": lambda s: field(s, "note").update(type="string", default=""),
    "union widened": lambda s: field(s, "note").update(type=["null", "string", "int"]),
    "union branches swapped": lambda s: field(s, "note").update(type=["string", "null"], default=""),
    "symbol added to an enum without default": lambda s: field(s, "bare")["type"]["symbols"].append("BLUE"),
    "symbol removed from an enum without default": lambda s: field(s, "bare")["type"].update(
        symbols=["BLUE"]
    ),
    "enum default removed with a symbol": lambda s: field(s, "colour").update(
        type={"type": "enum", "name": "Colour", "symbols": ["RED"]}
    ),
    "nested field required": lambda s: field(s, "parts")["type"]["items"]["fields"].append(
        {"name": "new", "type": "int"}
    ),
    "array became one": lambda s: field(s, "parts").update(type=PART),
    "nested type renamed": lambda s: field(s, "parts")["type"]["items"].update(name="Piece"),
    "record renamed": lambda s: s.update(name="Other"),
    "namespace changed": lambda s: s.update(namespace="org.other"),
}

ALLOWED: dict[str, Callable[[Schema], Any]] = {
    "nothing": lambda s: None,
    "doc added": lambda s: s.update(doc="A thing."),
    "field with default added": lambda s: s["fields"].append(
        {"name": "new", "type": ["null", "int"], "default": None}
    ),
    "field with default removed": lambda s: drop(s, "note"),
    "nested field with default added": lambda s: field(s, "parts")["type"]["items"]["fields"].append(
        {"name": "new", "type": "int", "default": 0}
    ),
    "symbol added to an enum with default": lambda s: field(s, "colour")["type"]["symbols"].append("BLUE"),
    "fields reordered": lambda s: s["fields"].reverse(),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_an_incompatible_change_is_refused_in_both_directions(what: str) -> None:
    new = changed(FORBIDDEN[what])
    assert full_incompatibilities(OLD, new)
    assert full_incompatibilities(new, OLD)


@pytest.mark.parametrize("what", ALLOWED)
def test_a_compatible_change_is_allowed_and_really_reads_both_ways(what: str) -> None:
    new = changed(ALLOWED[what])
    assert full_incompatibilities(OLD, new) == []
    for writer, reader in ((OLD, new), (new, OLD)):
        written = BytesIO()
        schemaless_writer(written, writer, THING)
        written.seek(0)
        read: Any = schemaless_reader(written, writer, reader)
        assert read["id"] == "x"
        assert read["parts"][0]["length_mm"] == 3


@pytest.mark.parametrize("name", sorted(schema_ids()))
def test_all_versions_of_a_record_are_pairwise_compatible(name: str) -> None:
    versions = [raw_schema(name, version) for version in sorted(schema_ids()[name])]
    assert versions
    for one, other in [*combinations(versions, 2), (versions[0], versions[0])]:
        assert full_incompatibilities(one, other) == []


@pytest.mark.parametrize("name", sorted(schema_ids()))
def test_our_schemas_are_bounded(name: str) -> None:
    assert all(unbounded_parts(raw_schema(name, version)) == [] for version in schema_ids()[name])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "array", "items": "null"},
        {"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}},
        {"type": "array", "items": {"type": "fixed", "name": "Nothing", "size": 0}},
        ["null", {"type": "map", "values": {"type": "array", "items": "null"}}],
        ["null", "org.example.Thing"],
    ],
)
def test_a_schema_that_lets_few_bytes_claim_endless_work_is_found_out(part: Any) -> None:
    assert unbounded_parts(changed(lambda s: s["fields"].append({"name": "bomb", "type": part})))
