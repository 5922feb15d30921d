"""Waiting for a condition, with a deadline and a reason when it does not come true."""

import time
from collections.abc import Callable

from schemas.errors import ConfigurationError

#: Short enough that a start feels immediate, long enough that waiting costs no measurable CPU.
_POLL_EVERY_S = 0.02


class ServiceError(ConfigurationError):
    """A server could not be started or stopped; the message ends with the last lines of its log."""

    code = "SERVICE"


def becomes_true(condition: Callable[[], bool], within_s: float) -> bool:
    """Poll ``condition`` until it holds; False when ``within_s`` seconds passed before.

    The condition is always asked at least once, and once more at the deadline.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return condition()
        time.sleep(_POLL_EVERY_S)
    return True
