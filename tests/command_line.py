"""Whether the command line takes a command that a file of ours gives it."""

from collections.abc import Sequence
from typing import Any

import typer


def assert_accepted(given: Sequence[str]) -> None:
    """Fail when ``diastole`` with these words names no command, or an option it does not have."""
    from ops.cli.main import app  # loads much: only tests that ask for it should wait

    command: Any = typer.main.get_command(app)
    words = list(given)
    context = command.make_context("diastole", list(words), resilient_parsing=True)
    while hasattr(command, "get_command"):
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]}"
        command, words = found, words[1:]
        nested = hasattr(command, "commands")
        context = command.make_context(command.name, list(words), resilient_parsing=nested)
