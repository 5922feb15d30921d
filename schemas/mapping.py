"""Frozen dataclass ↔ the plain values Avro knows. Field names are the same on both sides.

Each type is compiled once into a pair of functions; fields that Avro carries as they are (strings, numbers,
datetimes) cost one attribute access. An array becomes its little-endian bytes in row-major order, and comes
back as a read-only view on the received bytes, never a copy.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from schemas.featurized import MEDIAN_BEAT_SAMPLES, MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES
from schemas.risk import MOTION_SAMPLES, MOTION_WALLS, RHYTHM_STRIP_SAMPLES

Plain = dict[str, Any]
Convert = Callable[[Any], Any]
Shape = Callable[[Plain], tuple[int, ...]]

#: How bytes become an array again, by field name; an array field not listed here fails when compiled.
_SHAPES: Mapping[str, Shape] = {
    "samples": lambda plain: (
        len(plain["lead_names"]),
        len(plain["samples"]) // (2 * len(plain["lead_names"])),
    ),
    "model_input_uv": lambda _: (MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES),
    "median_beat_uv": lambda _: (MODEL_INPUT_LEADS, MEDIAN_BEAT_SAMPLES),
    "velocities_cm_s": lambda _: (MOTION_WALLS, MOTION_SAMPLES),
    "rhythm_strip_uv": lambda _: (RHYTHM_STRIP_SAMPLES,),
}

_AS_IT_IS = (str, bytes, int, float, bool, datetime)


def to_plain(record: Any) -> Plain:
    """Turn a record into what fastavro writes."""
    record_type: type = type(record)
    plain: Plain = _writer(record_type)(record)
    return plain


def from_plain(record_type: type, plain: Plain) -> Any:
    """Turn what fastavro read into a record.

    Raises
    ------
    ValueError, ZeroDivisionError
        When an array's bytes do not fill its shape.
    InvalidRecordError
        When the record's own rules are broken.
    """
    return _reader(record_type)(plain)


@cache
def _writer(record_type: type) -> Convert:
    hints = get_type_hints(record_type)
    parts = [(field.name, _convert_out(hints[field.name])) for field in fields(record_type)]

    def write(record: Any) -> Plain:
        return {
            name: convert(getattr(record, name)) if convert else getattr(record, name)
            for name, convert in parts
        }

    return write


@cache
def _reader(record_type: type) -> Convert:
    hints = get_type_hints(record_type)
    parts = [
        (field.name, convert)
        for field in fields(record_type)
        if (convert := _convert_in(field.name, hints[field.name]))
    ]

    def read(plain: Plain) -> Any:
        read_fields = dict(plain)
        for name, convert in parts:
            if plain[name] is not None:
                read_fields[name] = convert(plain)
        return record_type(**read_fields)

    return read


def _convert_out(hint: Any) -> Convert | None:
    hint, optional = _without_none(hint)
    convert = _convert_out_required(hint)
    if convert is None or not optional:
        return convert
    return lambda held: None if held is None else convert(held)


def _convert_out_required(hint: Any) -> Convert | None:
    if hint in _AS_IT_IS:
        return None
    if get_origin(hint) is np.ndarray:
        dtype = _little_endian(hint)
        return lambda array: array.astype(dtype, copy=False).tobytes()  # row-major whatever its layout
    if get_origin(hint) is tuple:
        item = _convert_out_required(get_args(hint)[0])
        return (lambda items: [item(each) for each in items]) if item else list
    if issubclass(hint, Enum):
        return str
    return _writer(hint)


def _convert_in(name: str, hint: Any) -> Convert | None:
    """Compile a conversion from the whole plain record, since an array's shape may stand in another field."""
    hint, _ = _without_none(hint)
    if get_origin(hint) is np.ndarray:
        dtype, shape = _little_endian(hint), _SHAPES[name]
        return lambda plain: np.frombuffer(plain[name], dtype).reshape(shape(plain))
    convert = _convert_in_required(hint)
    return (lambda plain: convert(plain[name])) if convert else None


def _convert_in_required(hint: Any) -> Convert | None:
    if hint in _AS_IT_IS:
        return None
    if get_origin(hint) is tuple:
        item = _convert_in_required(get_args(hint)[0])
        return (lambda items: tuple([item(each) for each in items])) if item else tuple
    if issubclass(hint, Enum):
        return hint  # type: ignore[no-any-return]
    return _reader(hint)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) is not UnionType:
        return hint, False
    (held,) = (each for each in get_args(hint) if each is not NoneType)
    return held, True


def _little_endian(hint: Any) -> np.dtype[Any]:
    # NDArray[np.int16] is ndarray[shape, dtype[int16]]
    (scalar,) = get_args(get_args(hint)[1])
    little_endian: np.dtype[Any] = np.dtype(scalar).newbyteorder("<")
    return little_endian
