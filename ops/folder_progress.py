"""How far a folder feed has come: a bar or a line on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from streams.feeds.folder.tally import Tally

Tell = Callable[[Tally], None]

#: Without a terminal a line is written this often, s; the last one always.
_LINE_EVERY_S: Final = 2.0


class Pace:
    """How fast documents are taken, and how long the rest takes at that pace.

    Parameters
    ----------
    clock_s : callable
        Seconds that only run forward.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._since_s: float | None = None

    def per_s(self, tally: Tally) -> float | None:
        """Return documents a second since the first one was due; None before anything was taken."""
        now_s = self._clock_s()
        if self._since_s is None:
            self._since_s = now_s if tally.due else None
            return None
        spent_s = now_s - self._since_s
        return tally.ended / spent_s if tally.ended and spent_s > 0 else None


def describe(tally: Tally) -> str:
    """Say what became of the documents so far.

    >>> describe(Tally(accepted=3, repeated=1, stuck=2))
    '3 accepted, 1 repeated, 0 quarantined, 2 without a use (empty, or signals without a header)'
    """
    parts = [
        f"{tally.accepted} accepted",
        f"{tally.repeated} repeated",
        f"{tally.quarantined} quarantined",
    ]
    if tally.only_moved:
        parts.append(f"{tally.only_moved} taken before and moved now")
    if tally.waiting:
        parts.append(f"{tally.waiting} not ready yet")
    if tally.held:
        parts.append(f"{tally.held} that cannot be opened or moved")
    if tally.stuck:
        parts.append(f"{tally.stuck} without a use (empty, or signals without a header)")
    if tally.unreachable:
        parts.append("the folder cannot be reached")
    if tally.held_up:
        parts.append("waiting for Kafka")
    return ", ".join(parts)


def left_text(tally: Tally, per_s: float | None) -> str:
    """Say the pace and how long the rest takes.

    >>> left_text(Tally(accepted=100, due=300), 50.0)
    '50 a second, 6 s left'
    """
    if not per_s:
        return ""
    left_s = (tally.total - tally.ended) / per_s
    left = f"{left_s:.0f} s" if left_s < 100 else f"{left_s / 60:.0f} min"
    return f"{per_s:.0f} a second, {left} left"


@contextmanager
def shown_backlog(console: Console, clock_s: Callable[[], float] = time.monotonic) -> Iterator[Tell]:
    """Show a backlog being taken: how many of how many, how fast, how long still, and with what ending."""
    pace = Pace(clock_s)
    if not console.is_terminal:
        yield _lines(console, pace, clock_s)
        return
    columns = (
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.completed} of {task.total}  {task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)

        def tell(tally: Tally) -> None:
            said = "  ".join(filter(None, (left_text(tally, pace.per_s(tally)), describe(tally))))
            bars.update(task, total=tally.total, completed=tally.ended, description=said)

        yield tell


@contextmanager
def shown_watch(console: Console, label: str) -> Iterator[Tell]:
    """Show on a terminal that a folder is being watched, and what it gave so far; nothing elsewhere."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(f"watching {label}") as status:
        yield lambda tally: status.update(f"watching {label}: {describe(tally)}")


def _lines(console: Console, pace: Pace, clock_s: Callable[[], float]) -> Tell:
    last_s, last_line = float("-inf"), ""

    def tell(tally: Tally) -> None:
        nonlocal last_s, last_line
        per_s = pace.per_s(tally)
        now_s = clock_s()
        is_last = tally.ended > 0 and tally.ended == tally.total
        if not tally.total or (now_s - last_s < _LINE_EVERY_S and not is_last):
            return
        said = f"{tally.ended} of {tally.total}; {describe(tally)}"
        if said == last_line:
            return
        last_s, last_line = now_s, said
        pace_said = "" if is_last else left_text(tally, per_s)
        console.print("; ".join(filter(None, (said, pace_said))), markup=False, soft_wrap=True)

    return tell
