"""Fingerprint of a cohort: what manifests and run folders name it by."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.cohorts.featurized import Cohort
from models.cohorts.npy_files import blocks

_TEXT_ARRAYS: Final = ("keys", "patient_keys")
_ARRAYS: Final = ("inputs_uv", "beats_uv", "features", "velocities_cm_s")


def cohort_sha256(cohort: Cohort) -> str:
    """SHA-256 over the content of a cohort, in hexadecimal.

    It is the same for arrays in memory and mapped from disk, which are gone through in blocks. Every NaN
    counts as the same, and outcomes count by name, in any order.
    """
    return sha256_of(array_sha256s(cohort))


def sha256_of(sha256s: Mapping[str, str]) -> str:
    """SHA-256 of a cohort, from those of its arrays."""
    return sha256(
        "".join(f"{name} {digest}\n" for name, digest in sorted(sha256s.items())).encode()
    ).hexdigest()


def array_sha256s(cohort: Cohort) -> dict[str, str]:
    """SHA-256 of each array of a cohort by name; of outcomes as ``outcomes.NAME``."""
    texts = {name: _texts_sha256(getattr(cohort, name)) for name in _TEXT_ARRAYS}
    arrays = {name: _array_sha256(getattr(cohort, name)) for name in _ARRAYS}
    outcomes = {f"outcomes.{name}": _array_sha256(column) for name, column in cohort.outcomes.items()}
    return texts | arrays | outcomes


def _array_sha256(array: npt.NDArray[Any]) -> str:
    little = array.dtype.newbyteorder("<")
    whole = sha256(f"{little.str}{array.shape}".encode())
    for block in blocks(array):
        content = np.ascontiguousarray(block, dtype=little)
        if content.dtype.kind == "f":  # a NaN has many bit patterns
            content = np.where(np.isnan(content), content.dtype.type(np.nan), content)
        whole.update(content.tobytes())
    return whole.hexdigest()


def _texts_sha256(texts: npt.NDArray[np.str_]) -> str:
    """Of texts one after the other, each with its length: not of the width that an array pads them to."""
    whole = sha256(f"texts{texts.shape}".encode())
    for text in _each(texts):
        encoded = text.encode()
        whole.update(f"{len(encoded)}:".encode() + encoded)
    return whole.hexdigest()


def _each(texts: npt.NDArray[np.str_]) -> Iterator[str]:
    for block in blocks(texts):
        yield from block.tolist()
