"""What the demo shows while it runs: plain lines in logs and pipes, a live picture on a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ops.demo.live_view import LiveView
from ops.demo.news import Names, counts_text, news_of
from ops.demo.plan import DemoOutcome
from ops.demo.summary import summary
from ops.ledger import Ledger
from ops.topic_reader import Seen

_LINE_EVERY_S: Final = 3.0


class View(Protocol):
    """What the demo tells its viewer."""

    def say(self, text: str) -> None:
        """Say something that stays on the screen."""

    def done(self, text: str) -> None:
        """Say that a step is done."""

    def waits(self, text: str) -> None:
        """Say what is being waited for."""

    def conclude(self, outcome: DemoOutcome) -> None:
        """Show what came of it; stays on the screen."""

    def introduce(self, patient_id: str, shown: str) -> None:
        """Say how to show a real patient."""

    def saw(self, seen: Seen, ledger: Ledger) -> None:
        """Show a message that was new to the ledger."""

    def tick(self, ledger: Ledger) -> None:
        """Show the counts as they are now."""


class LogView:
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._names = Names()
        self._next_line_s = 0.0
        self._said = ""

    def say(self, text: str) -> None:
        """Print it."""
        self._console.print(text, markup=False, soft_wrap=True)

    def done(self, text: str) -> None:
        """Print it with a tick."""
        self.say(f"✓ {text}")

    def waits(self, text: str) -> None:
        """Print it once."""
        self.say(f"{text} …")

    def conclude(self, outcome: DemoOutcome) -> None:
        """Print the summary."""
        self._console.print(summary(outcome, self._names))

    def introduce(self, patient_id: str, shown: str) -> None:
        """Remember it."""
        self._names.introduce(patient_id, shown)

    def saw(self, seen: Seen, ledger: Ledger) -> None:
        """Print what is worth a line."""
        news = news_of(seen, self._names, ledger)
        if news is not None:
            self._console.print(Text("  ").append_text(news), soft_wrap=True)

    def tick(self, ledger: Ledger) -> None:
        """Print the counts every few seconds, when there is something to count."""
        said = counts_text(ledger)
        if ledger.messages_in and time.monotonic() >= self._next_line_s and said != self._said:
            self._next_line_s = time.monotonic() + _LINE_EVERY_S
            self._said = said
            self.say(f"  {said}")


@contextmanager
def open_view(console: Console) -> Iterator[View]:
    """Open the view that suits the console: live on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield LogView(console)
        return
    with Live(console=console, refresh_per_second=6, transient=True) as live:
        yield LiveView(console, live)
