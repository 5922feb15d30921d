"""Whether two versions of a schema can live on one topic: FULL compatibility, both ways.

Stricter than Avro's own resolution: numbers are not promoted and aliases do not count, so a field keeps its
name and its type for good. Versions are checked pairwise, which makes it FULL_TRANSITIVE.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastavro import parse_schema

from schemas.registry import ParsedSchema

Named = Mapping[str, Any]

_ZERO_SIZE = "null"


def full_incompatibilities(one: ParsedSchema, other: ParsedSchema) -> list[str]:
    """Say why readers and writers of the two schemas cannot read each other.

    Parameters
    ----------
    one, other : dict
        Record schemas, parsed or as plain JSON; the order does not matter.

    Returns
    -------
    list of str
        One sentence per fault, naming the field; empty when the schemas are FULL compatible.
    """
    one, named_one = _with_names(one)
    other, named_other = _with_names(other)
    return list(_compare(one, other, named_one, named_other, one["name"].rpartition(".")[2]))


def unbounded_parts(schema: ParsedSchema) -> list[str]:
    """Say where a few bytes could claim endless work of a reader: empty items, types that hold themselves.

    A registry is run by others; a schema from it is judged before bytes are read by it.
    """
    schema, named = _with_names(schema)
    return list(_unbounded(schema, named, ()))


def _with_names(schema: ParsedSchema) -> tuple[ParsedSchema, Named]:
    named: dict[str, Any] = {}
    # named types are collected on a fresh parse only, so marks of an earlier one are taken off
    fresh = {key: held for key, held in schema.items() if not key.startswith("__")}
    parsed: Any = parse_schema(fresh, named)
    return parsed, named


def _resolve(schema: Any, named: Named) -> Any:
    """Give every schema the same form: unions as lists, the rest as dicts."""
    if isinstance(schema, str):
        return named.get(schema, {"type": schema})
    return schema


def _kind(schema: Any) -> str:
    if isinstance(schema, list):
        return "union"
    kind: str = schema["type"]
    return kind + (f" ({schema['logicalType']})" if "logicalType" in schema else "")


def _compare(one: Any, other: Any, named_one: Named, named_other: Named, path: str) -> Iterator[str]:
    one, other = _resolve(one, named_one), _resolve(other, named_other)
    if _kind(one) != _kind(other):
        yield f"{path}: {_kind(one)} became {_kind(other)}"
        return
    if isinstance(one, list):
        yield from _compare_unions(one, other, named_one, named_other, path)
        return
    if one.get("name") != other.get("name"):
        yield f"{path}: the type {one.get('name')} was renamed to {other.get('name')}"
    if one["type"] == "record":
        yield from _compare_records(one, other, named_one, named_other, path)
    elif one["type"] == "enum":
        yield from _compare_enums(one, other, path)
    elif one["type"] == "fixed" and one["size"] != other["size"]:
        yield f"{path}: fixed of {one['size']} became fixed of {other['size']} bytes"
    for part in ("items", "values"):
        if part in one:
            yield from _compare(one[part], other[part], named_one, named_other, f"{path}[]")


def _compare_unions(one: Any, other: Any, named_one: Named, named_other: Named, path: str) -> Iterator[str]:
    if len(one) != len(other):
        yield f"{path}: a union of {len(one)} became one of {len(other)}"
        return
    for branch_one, branch_other in zip(one, other, strict=True):
        yield from _compare(branch_one, branch_other, named_one, named_other, path)


def _compare_records(one: Any, other: Any, named_one: Named, named_other: Named, path: str) -> Iterator[str]:
    fields_one = {field["name"]: field for field in one["fields"]}
    fields_other = {field["name"]: field for field in other["fields"]}
    for name in fields_one.keys() & fields_other.keys():
        types = fields_one[name]["type"], fields_other[name]["type"]
        yield from _compare(*types, named_one, named_other, f"{path}.{name}")
    for name in fields_one.keys() ^ fields_other.keys():
        if "default" not in {**fields_one, **fields_other}[name]:
            yield f"{path}.{name}: only one side has it, and it has no default"


def _compare_enums(one: Any, other: Any, path: str) -> Iterator[str]:
    for writer, reader in ((one, other), (other, one)):
        missing = set(writer["symbols"]) - set(reader["symbols"])
        if missing and reader.get("default") not in reader["symbols"]:
            yield f"{path}: {', '.join(sorted(missing))} is not known to a reader that has no default symbol"


def _unbounded(schema: Any, named: Named, inside: tuple[str, ...]) -> Iterator[str]:
    schema = _resolve(schema, named)
    if isinstance(schema, list):
        for branch in schema:
            yield from _unbounded(branch, named, inside)
        return
    if schema["type"] == "array" and _is_empty(schema["items"], named):
        yield "an array whose items take no bytes"
        return
    if schema.get("name") in inside:
        yield f"{schema['name']} holds itself"
        return
    held = (*inside, schema["name"]) if "name" in schema else inside
    parts = [schema[part] for part in ("items", "values") if part in schema]
    for part in parts + [field["type"] for field in schema.get("fields", ())]:
        yield from _unbounded(part, named, held)


def _is_empty(schema: Any, named: Named, depth: int = 0) -> bool:
    schema = _resolve(schema, named)
    if isinstance(schema, list):
        return False  # the branch number is a byte
    if schema["type"] == "record" and depth < 32:
        return all(_is_empty(field["type"], named, depth + 1) for field in schema["fields"])
    return bool(schema["type"] == _ZERO_SIZE or schema.get("size") == 0)
