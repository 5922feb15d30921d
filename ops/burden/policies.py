"""Which policies are compared: files, and each of them at other thresholds."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from schemas.errors import ConfigurationError
from streams.policy import Policy

_SWEEP: Final = re.compile(r"(\d*\.?\d+):(\d*\.?\d+):(\d*\.?\d+)")
_MOST: Final = 100

#: Probabilities carry 4 decimals; so do thresholds, so that 0.1 + 0.2 is 0.3.
_DECIMALS: Final = 4


def parse_thresholds(text: str) -> tuple[float, ...]:
    """Read ``FROM:TO:STEP``, both ends included.

    Raises
    ------
    ConfigurationError
        When it is something else, or more than 100 thresholds.

    >>> parse_thresholds("0.5:0.6:0.05")
    (0.5, 0.55, 0.6)
    """
    match = _SWEEP.fullmatch(text.strip())
    first, last, step = map(float, match.groups()) if match else (1.0, 0.0, 0.0)
    if not (0 < first <= last <= 1 and step > 0):
        raise ConfigurationError(
            f"{text} is no range of thresholds; write FROM:TO:STEP, such as 0.5:0.95:0.05"
        )
    n = math.floor(round((last - first) / step, _DECIMALS)) + 1
    if n > _MOST:
        raise ConfigurationError(
            f"{text} are {n} thresholds; take a larger step, at most {_MOST} are compared"
        )
    return tuple(round(first + step * number, _DECIMALS) for number in range(n))


def at_thresholds(policy: Policy, thresholds: Sequence[float]) -> tuple[Policy, ...]:
    """Move a policy's enter threshold, and its exit threshold with it, as far apart as they are.

    Where that would take the exit threshold to 0, it is half the enter threshold.
    """
    apart = policy.enter_threshold - policy.exit_threshold
    return tuple(
        replace(
            policy,
            enter_threshold=enter,
            exit_threshold=round(enter - apart if enter > apart else enter / 2, _DECIMALS),
        )
        for enter in thresholds
    )
