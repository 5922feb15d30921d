"""Where the command line writes: results to standard output, everything about them to standard error."""

from typing import Final

from rich.console import Console

#: Without a terminal rich falls back to 80 columns and wraps log lines; results are cut by nobody.
_PIPE_WIDTH: Final = 160


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPE_WIDTH)


def out() -> Console:
    """Return the console of results."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console of progress and errors."""
    return _console(stderr=True)
