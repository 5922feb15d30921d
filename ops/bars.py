"""Risk over time as a line of bars, in which a gap is a gap."""

from collections.abc import Iterable
from typing import Final

_BARS: Final = "▁▂▃▄▅▆▇█"
#: What stands where there is no score: not the lowest bar, which would say "no risk".
NOT_SCORED_MARK: Final = "×"


def bar(probability: float | None) -> str:
    """Draw one probability.

    >>> bar(0.0), bar(0.55), bar(1.0), bar(None)
    ('▁', '▅', '█', '×')
    """
    if probability is None:
        return NOT_SCORED_MARK
    return _BARS[min(int(probability * len(_BARS)), len(_BARS) - 1)]


def sparkline(probabilities: Iterable[float | None]) -> str:
    """Draw probabilities as bars, one each; where there is no score stands a mark of its own.

    >>> sparkline([])
    ''
    """
    return "".join(map(bar, probabilities))
