"""Read frozen dataclasses from JSON, strictly: every field there, none beside them, each of its type."""

import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


class StrictReadingError(ValueError):
    """The text does not say what it must say; the message names the field."""


def read_object(text: str) -> dict[str, Any]:
    """Read the object a JSON text holds.

    Raises
    ------
    StrictReadingError
        Not JSON (NaN and infinities are not), or JSON of something else.
    """
    try:
        fields = json.loads(text, parse_constant=_refuse_constant)
    except StrictReadingError:
        raise
    except ValueError as error:
        raise StrictReadingError("it is not JSON") from error
    if not isinstance(fields, dict):
        raise StrictReadingError("it is not a JSON object")
    return fields


def read_dataclass(kind: type[T], given: Any, where: str) -> T:
    """Read one dataclass from what JSON held.

    Fields may be str, int, float, bool, one of these or None, dataclasses, tuples of one kind, and dicts
    from str. A whole number is taken as a float where one is expected.

    Raises
    ------
    StrictReadingError
        A field is missing, unknown or of another type; it is named as ``where.field``.
    """
    if not isinstance(given, dict):
        raise StrictReadingError(f"{where} is not an object")
    hints = typing.get_type_hints(kind)
    names = set(hints)
    for name in sorted(names ^ set(given)):
        raise StrictReadingError(f"{where}.{name} is {'missing' if name in names else 'unknown'}")
    return kind(**{name: _read(hints[name], given[name], f"{where}.{name}") for name in hints})


def _read(hint: Any, given: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return read_dataclass(typing.cast("type[Any]", hint), given, where)
    if isinstance(hint, types.UnionType):
        (kind,) = (each for each in typing.get_args(hint) if each is not types.NoneType)
        return None if given is None else _read(kind, given, where)
    if isinstance(hint, types.GenericAlias):
        return _read_container(hint, given, where)
    if hint is float and type(given) is int:
        return float(given)
    if type(given) is not hint:
        raise StrictReadingError(f"{where} is not of type {hint.__name__}")
    return given


def _read_container(hint: types.GenericAlias, given: Any, where: str) -> Any:
    item = typing.get_args(hint)
    if hint.__origin__ is tuple and isinstance(given, list):
        return tuple(_read(item[0], entry, f"{where}[{i}]") for i, entry in enumerate(given))
    if hint.__origin__ is dict and isinstance(given, dict):
        return {key: _read(item[1], entry, f"{where}.{key}") for key, entry in given.items()}
    raise StrictReadingError(f"{where} is not a {hint.__origin__.__name__}")


def _refuse_constant(name: str) -> None:
    raise StrictReadingError(f"{name} is no number of JSON")
