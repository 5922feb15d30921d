"""The demo on a terminal: a picture that is redrawn in place, cut to the terminal's size."""

from collections import deque
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ops.bars import bar
from ops.demo.news import STYLES, Names, counts_text, is_simulated, news_of
from ops.demo.plan import DemoOutcome
from ops.demo.summary import summary
from ops.ledger import Ledger
from ops.rendering import reason_words, risk_text
from ops.topic_reader import Seen
from schemas.alert import AlertRaised
from schemas.risk import RiskAssessed

_TREND: Final = 24
_TALL_LINES: Final = 34
#: Lines of both frames, of the counts, and one that stays free below.
_FIXED_LINES: Final = 7
_ALERTED: Final = Text("alert", style="bold white on red")


class LiveView:
    """Each patient's trend, the last news, the counts; before that, a spinner that says what it waits for."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live
        self._names = Names()
        self._news: deque[Text] = deque(maxlen=8)
        self._trends: dict[str, deque[tuple[str, str]]] = {}
        self._last: dict[str, Text] = {}
        self._alerted: set[str] = set()

    def say(self, text: str) -> None:
        """Print it above the picture."""
        self._console.print(text, markup=False)

    def done(self, text: str) -> None:
        """Print it with a tick above the picture."""
        self._console.print(Text.assemble(("✓ ", "bold green"), text))

    def waits(self, text: str) -> None:
        """Turn a spinner beside it."""
        self._live.update(Spinner("dots", text=f"{text} …"))

    def conclude(self, outcome: DemoOutcome) -> None:
        """Print the summary above the picture."""
        self._console.print(summary(outcome, self._names))

    def introduce(self, patient_id: str, shown: str) -> None:
        """Remember it."""
        self._names.introduce(patient_id, shown)

    def saw(self, seen: Seen, ledger: Ledger) -> None:
        """Keep it for the next drawing; an alert is printed above too, so that it stays."""
        news = news_of(seen, self._names, ledger)
        if news is not None:
            self._news.append(news)
        if isinstance(seen.record, AlertRaised) and news is not None:
            self._alerted.add(seen.record.patient_id)
            self._console.print(news)
        if isinstance(seen.record, RiskAssessed) and is_simulated(seen.record.patient_id):
            self._remember(seen.record)

    def tick(self, ledger: Ledger) -> None:
        """Draw."""
        self._live.update(self._picture(ledger))

    def _remember(self, risk: RiskAssessed) -> None:
        style = STYLES[risk.phenotype]
        trend = self._trends.setdefault(risk.patient_id, deque(maxlen=_TREND))
        trend.append((bar(risk.probability), style))
        said = risk_text(risk) if risk.probability is not None else reason_words(risk.not_scored_reasons)
        self._last[risk.patient_id] = Text(said, style=style, overflow="ellipsis", no_wrap=True)

    def _picture(self, ledger: Ledger) -> RenderableType:
        n_news = 8 if self._console.height >= _TALL_LINES else 3
        n_patients = max(self._console.height - _FIXED_LINES - n_news, 1)
        return Group(
            _frame(self._ward(n_patients), "Risk of each ECG of the simulated patients, × not scored"),
            _frame(self._latest_news(n_news), "News"),
            Text(counts_text(ledger)),
        )

    def _ward(self, n_patients: int) -> RenderableType:
        ward = Table.grid(padding=(0, 2))
        names = sorted(self._trends)
        shown = names if len(names) <= n_patients else names[: n_patients - 1]
        for name in shown:
            mark = _ALERTED if name in self._alerted else Text("     ")
            ward.add_row(name, Text.assemble(*self._trends[name]), mark, self._last[name])
        if len(shown) < len(names):
            ward.add_row(f"and {len(names) - len(shown)} more")
        return ward if names else Text("waiting for the first score …", style="dim")

    def _latest_news(self, n_news: int) -> RenderableType:
        latest = list(self._news)[-n_news:]
        for line in latest:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*latest) if latest else Text("…", style="dim")


def _frame(content: RenderableType, title: str) -> Panel:
    return Panel(content, title=title, title_align="left", border_style="dim")
