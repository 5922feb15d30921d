"""What the demo shows while it runs: a live picture on a terminal, plain lines everywhere else."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ops.ledger import Ledger
from ops.percentiles import in_ms, percentile
from ops.rendering import risk_text
from ops.topic_reader import Seen
from schemas.alert import AlertClosed, AlertRaised
from schemas.risk import Phenotype, RiskAssessed
from streams.dead_letters import ERROR_CODE, ERROR_MESSAGE

_NEWS_LINES: Final = 9
_TREND: Final = 24
_BARS: Final = "▁▂▃▄▅▆▇█"
_SIMULATED: Final = "SIM-"
_LINE_EVERY_S: Final = 3.0
_STYLES: Final = {Phenotype.HIGH: "bold red", Phenotype.LOW: "green", Phenotype.NOT_SCORED: "yellow"}


class View(Protocol):
    """What the demo tells its viewer."""

    def say(self, text: str) -> None:
        """Say something that stays on the screen."""

    def saw(self, seen: Seen, ledger: Ledger) -> None:
        """Show a message that was new to the ledger."""

    def tick(self, ledger: Ledger) -> None:
        """Show the counts as they are now."""


def is_simulated(patient_id: str) -> bool:
    """Whether this patient is made up, so that the identifier may be shown."""
    return patient_id.startswith(_SIMULATED)


def shown_name(patient_id: str) -> str:
    """Return a simulated patient's pseudonym; nobody else's identifier is shown.

    >>> shown_name("SIM-007001"), shown_name("642341")
    ('SIM-007001', 'real file')
    """
    return patient_id if is_simulated(patient_id) else "real file"


def news_of(seen: Seen) -> Text | None:
    """Say in one line what is worth a line; None for what is routine."""
    topic, record = seen.message.topic, seen.record
    if topic.endswith(".dlq"):
        headers = {name: text.decode("utf-8", "replace") for name, text in seen.message.headers}
        reason = f"{headers.get(ERROR_CODE, '?')}: {headers.get(ERROR_MESSAGE, '?')}"
        return Text.assemble(("DEAD LETTER ", "magenta"), f"from {topic.removesuffix('.dlq')}  {reason}")
    match record:
        case AlertRaised():
            kind = ("ALERT       ", "bold white on red")
            return Text.assemble(kind, f" {shown_name(record.patient_id)}  {record.change_text}")
        case AlertClosed():
            return Text.assemble(
                ("closed      ", "green"), f" {shown_name(record.patient_id)}  {record.reason}"
            )
        case RiskAssessed() if record.probability is None or not is_simulated(record.patient_id):
            style = _STYLES[record.phenotype]
            label = "not scored  " if record.probability is None else "scored      "
            return Text.assemble((label, style), f" {shown_name(record.patient_id)}  {risk_text(record)}")
        case _:
            return None


def counts_text(ledger: Ledger) -> str:
    """Say how far the run is, in one line."""
    p50, p99 = (in_ms(percentile(ledger.risk_ms, percent)) for percent in (50, 99))
    return (
        f"in {ledger.messages_in}  scored {ledger.scored}  not scored {ledger.not_scored_total}  "
        f"dead letters {ledger.dead.total()}  alerts {len(ledger.alerts)}  on the way {ledger.open_count}  "
        f"publish→risk p50 {p50} p99 {p99}"
    )


class LogView:
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_line_s = 0.0
        self._said = ""

    def say(self, text: str) -> None:
        """Print it."""
        self._console.print(text, markup=False, soft_wrap=True)

    def saw(self, seen: Seen, ledger: Ledger) -> None:
        """Print what is worth a line."""
        news = news_of(seen)
        if news is not None:
            self._console.print(news, soft_wrap=True)

    def tick(self, ledger: Ledger) -> None:
        """Print the counts every few seconds."""
        said = counts_text(ledger)
        if time.monotonic() >= self._next_line_s and said != self._said:
            self._next_line_s = time.monotonic() + _LINE_EVERY_S
            self._said = said
            self._console.print(f"  {said}", markup=False, soft_wrap=True)


class LiveView:
    """A picture that is redrawn: each patient's trend, the last news, the counts."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self._news: deque[Text] = deque(maxlen=_NEWS_LINES)
        self._trends: dict[str, deque[tuple[str, str]]] = {}
        self._last: dict[str, Text] = {}

    def say(self, text: str) -> None:
        """Print it above the picture."""
        self._console.print(text, markup=False, soft_wrap=True)

    def saw(self, seen: Seen, ledger: Ledger) -> None:
        """Keep it for the next drawing; an alert is printed above too, so that it stays."""
        news = news_of(seen)
        if news is not None:
            self._news.append(news)
        if isinstance(seen.record, AlertRaised) and news is not None:
            self._console.print(news)
        if isinstance(seen.record, RiskAssessed) and not seen.message.topic.endswith(".dlq"):
            self._remember(seen.record)

    def tick(self, ledger: Ledger) -> None:
        """Draw."""
        self._live.update(self._picture(ledger))

    def _remember(self, risk: RiskAssessed) -> None:
        name = shown_name(risk.patient_id)
        trend = self._trends.setdefault(name, deque(maxlen=_TREND))
        bar = "×" if risk.probability is None else _BARS[min(int(risk.probability * 8), 7)]
        trend.append((bar, _STYLES[risk.phenotype]))
        self._last[name] = Text(
            risk_text(risk), style=_STYLES[risk.phenotype], overflow="ellipsis", no_wrap=True
        )

    def _picture(self, ledger: Ledger) -> RenderableType:
        ward = Table.grid(padding=(0, 2))
        for name in sorted(self._trends, key=lambda n: (not n.startswith(_SIMULATED), n)):
            ward.add_row(name, Text.assemble(*self._trends[name]), self._last[name])
        news = Group(*self._news) if self._news else Text("…")
        for line in self._news:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(
            Panel(ward, title="risk per ECG, × not scored", title_align="left", border_style="dim"),
            Panel(news, title="news", title_align="left", border_style="dim"),
            Text(counts_text(ledger)),
        )


@contextmanager
def open_view(console: Console) -> Iterator[View]:
    """Open the view that suits the console: live on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield LogView(console)
        return
    with Live(console=console, refresh_per_second=6, transient=True) as live:
        yield LiveView(console, live)
