"""One deteriorating patient's way into the high-risk phenotype, from the history in Redis."""

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ops.bars import NOT_SCORED_MARK, bar, sparkline
from ops.demo.news import STYLES
from ops.demo.plan import DemoOutcome
from ops.rendering import counted, reason_words
from streams.history import HistoryPoint

#: Rows shown before and after the ECG that raised the alert.
_BEFORE: Final = 5
_AFTER: Final = 3
_BAR_CELLS: Final = 20


def trend_of(outcome: DemoOutcome) -> RenderableType:
    """Draw the whole history as one line, and the ECGs around the alert one a row; a gap stays a gap."""
    points = list(outcome.history)
    alerting = {alert.ecg_id for alert in outcome.ledger.alerts.values()}
    days = (points[-1].acquired_at - points[0].acquired_at).days
    whole = f"{sparkline(p.probability for p in points)}  {counted(len(points), 'ECG')} in {days} days"
    gaps = sum(point.probability is None for point in points)
    legend = f", {NOT_SCORED_MARK} not scored" if gaps else ""
    table = Table.grid(padding=(0, 2))
    for point in _around(points, alerting):
        table.add_row(*_row(point, point.ecg_id in alerting))
    return Group(Text(whole + legend), table)


def _around(points: list[HistoryPoint], alerting: set[str]) -> list[HistoryPoint]:
    at = next((i for i, point in enumerate(points) if point.ecg_id in alerting), len(points) - 1)
    return points[max(at - _BEFORE, 0) : at + _AFTER + 1]


def _row(point: HistoryPoint, raised: bool) -> tuple[str, str, Text, Text]:
    style = STYLES[point.phenotype]
    if point.probability is None:
        why = reason_words(point.not_scored_reasons)
        return f"{point.acquired_at:%d %b}", "  — ", Text(bar(None), style=style), Text(f"not scored: {why}")
    drawn = "█" * max(round(point.probability * _BAR_CELLS), 1)
    note = Text("alert raised", style="bold white on red") if raised else Text("")
    return (
        f"{point.acquired_at:%d %b}",
        f"{point.probability:.2f}",
        Text(f"{drawn:<{_BAR_CELLS}}", style=style),
        note,
    )
