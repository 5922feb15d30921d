"""Loops over samples as machine code, where whole-array operations would pass over memory many times."""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Sums may be taken in another order and multiply-adds rounded once, which lets them use vector registers;
#: NaN and infinity keep their meaning.
_SUMS_REORDERED: Final = frozenset({"reassoc", "contract", "nsz"})


def compiled(function: _Function) -> _Function:
    """Compile a function of arrays and numbers.

    It is compiled by numba when first called with arrays of a type, some tenths of a second each, for this
    process alone: nothing is written to disk. It runs without the interpreter's lock, on the calling thread.
    """
    return cast(_Function, numba.njit(nogil=True, fastmath=set(_SUMS_REORDERED))(function))
