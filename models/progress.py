"""How work that takes long tells what it is doing."""

from collections.abc import Callable

#: Told what is being done and how far it has come, 0 to 1.
Progress = Callable[[str, float], None]


def silent(_what: str, _done: float) -> None:
    """Tell nobody."""


def part_of(progress: Progress, start: float, stop: float) -> Progress:
    """Tell of one part of a longer work: its 0 to 1 is ``start`` to ``stop`` of the whole.

    >>> part_of(lambda what, done: print(what, done), 0.5, 1.0)("motion", 0.5)
    motion 0.75
    """

    def tell(what: str, done: float) -> None:
        progress(what, start + (stop - start) * done)

    return tell
