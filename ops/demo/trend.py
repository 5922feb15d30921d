"""One deteriorating patient's way into the high-risk phenotype, from the history in Redis."""

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ops.bars import NOT_SCORED_MARK, bar, sparkline
from ops.demo.news import STYLES
from ops.demo.plan import DemoOutcome
from ops.rendering import counted, decimal, reason_words
from streams.history import HistoryPoint

#: Rows shown before and after the ECG that raised the alert, beside the first and the last of all.
_BEFORE: Final = 5
_AFTER: Final = 3
_BAR_CELLS: Final = 20
#: The ends of a trend are means of so many ECGs: one is noisy.
_ENDS: Final = 3

Row = tuple[str, str, Text, str, str, Text]


def trend_of(outcome: DemoOutcome) -> RenderableType:
    """Draw the whole history as one line, and the ECGs around the alert one a row; a gap stays a gap."""
    points = list(outcome.history)
    alerting = {alert.ecg_id for alert in outcome.ledger.alerts.values()}
    days = (points[-1].acquired_at - points[0].acquired_at).days
    whole = f"{sparkline(p.probability for p in points)}  {counted(len(points), 'ECG')} in {days} days"
    gaps = sum(point.probability is None for point in points)
    legend = f", {NOT_SCORED_MARK} not scored" if gaps else ""
    return Group(Text(whole + legend), Text(motion_text(points)), _table(points, alerting))


def motion_text(points: Sequence[HistoryPoint]) -> str:
    """Say how the synthetic motion changed over a history, from its first to its last ECGs that have any."""
    e_primes = [point.e_prime_cm_s for point in points if point.e_prime_cm_s is not None]
    ratios = [point.e_over_a for point in points if point.e_over_a is not None]
    said = []
    if e_primes:
        said.append(f"e' {_ends(e_primes, 1)} cm/s")
    if ratios:
        said.append(f"e'/a' {_ends(ratios, 2)}")
    return f"{', '.join(said)} (synthetic, first and last {_ENDS} ECGs)" if said else "no synthetic motion"


def _ends(numbers: Sequence[float], digits: int) -> str:
    first, last = fmean(numbers[:_ENDS]), fmean(numbers[-_ENDS:])
    return f"{decimal(first, digits)} → {decimal(last, digits)}"


def _table(points: Sequence[HistoryPoint], alerting: set[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("", "risk", "", "e' cm/s", "e'/a'", ""):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=heading != "")
    before = -1
    for i in _chosen(points, alerting):
        if i > before + 1:
            table.add_row("⋮")
        table.add_row(*_row(points[i], points[i].ecg_id in alerting))
        before = i
    return table


def _chosen(points: Sequence[HistoryPoint], alerting: set[str]) -> list[int]:
    """Return which points to show: the first, those around the alert, and the last."""
    last = len(points) - 1
    at = next((i for i, point in enumerate(points) if point.ecg_id in alerting), last)
    return sorted({0, *range(max(at - _BEFORE, 0), min(at + _AFTER, last) + 1), last})


def _row(point: HistoryPoint, raised: bool) -> Row:
    style, day = STYLES[point.phenotype], f"{point.acquired_at:%d %b}"
    numbers = decimal(point.e_prime_cm_s, 1), decimal(point.e_over_a, 2)
    if point.probability is None:
        why = Text(f"not scored: {reason_words(point.not_scored_reasons)}")
        return day, decimal(None, 2), Text(bar(None), style=style), *numbers, why
    drawn = "█" * max(round(point.probability * _BAR_CELLS), 1)
    note = Text("alert raised", style="bold white on red") if raised else Text("")
    return day, decimal(point.probability, 2), Text(f"{drawn:<{_BAR_CELLS}}", style=style), *numbers, note
