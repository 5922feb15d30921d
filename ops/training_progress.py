"""Progress of a training: a bar on a terminal, now and then a line elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from models.progress import Progress

#: Without a terminal a line is written each time another twentieth of the work, or another stage, has begun.
_LINES: Final = 20


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """Show what is being done, how far it has come, and on a terminal the time that is left."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda what, done: bars.update(task, description=what, completed=done)


def _lines(console: Console) -> Progress:
    said: set[tuple[str, int]] = set()

    def tell(what: str, done: float) -> None:
        at = what.split(",")[0], int(done * _LINES)
        if at not in said:
            said.add(at)
            console.print(f"{done:4.0%} {what}", markup=False, soft_wrap=True)

    return tell
