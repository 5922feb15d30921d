"""How the demo ended: what went in, how each of it ended, what held, and what to do next."""

from collections import Counter
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ops.demo.news import Names, alert_text
from ops.demo.plan import DemoOutcome
from ops.demo.trend import trend_of
from ops.ledger import Ledger
from ops.percentiles import in_ms, percentile
from ops.rendering import counted, reason_words

#: Wider lines are hard to read, and a pipe has no width of its own.
_WIDEST: Final = 100

Row = tuple[str, RenderableType, str]


def summary(outcome: DemoOutcome, names: Names) -> RenderableType:
    """Lay the whole ending out, within 80 columns where there are no more."""
    sections: list[RenderableType] = [
        _section("How every message ended", _grid(_ending_rows(outcome.ledger))),
        _section("Alerts", _alerts(outcome, names)),
    ]
    if outcome.history:
        patient_id = outcome.history[0].patient_id
        sections.append(_section(f"Risk and motion of {patient_id}, who deteriorates", trend_of(outcome)))
    sections.append(_section("What held", Group(*(_check(*held) for held in checks(outcome)))))
    sections.append(_section("Where the time went", Text(_phases(outcome))))
    return Group(*sections)


def _section(title: str, content: RenderableType) -> RenderableType:
    return Group(Text(f"\n{title}", style="bold"), Padding(content, (0, 0, 0, 2), expand=False))


def _grid(rows: list[Row]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.width = None
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(max_width=_WIDEST - 30)
    for row in rows:
        table.add_row(*row)
    return table


def _ending_rows(ledger: Ledger) -> list[Row]:
    repeats = ledger.messages_in - len(ledger.ecgs) - len(ledger.garbage)
    came_in = (
        f"{counted(len(ledger.ecgs), 'ECG')}, {counted(repeats, 'repeat')} of one of them, "
        f"{counted(len(ledger.garbage), 'piece')} of garbage"
    )
    rows: list[Row] = [
        ("Messages in", str(ledger.messages_in), came_in),
        ("ECGs scored", str(ledger.scored), ""),
        ("ECGs not scored", str(ledger.not_scored_total), _reasons(ledger.not_scored)),
        ("Dead letters", str(ledger.dead.total()), _codes(ledger.dead)),
        ("Alerts raised", str(len(ledger.alerts)), f"{len(ledger.closed) or 'none'} closed again"),
    ]
    for what, observed in (("Publish → risk", ledger.risk_ms), ("Publish → alert", ledger.alert_ms)):
        spread = f"median; {in_ms(percentile(observed, 99))} at p99 of {len(observed)}"
        rows.append((what, in_ms(percentile(observed, 50)), spread))
    closes = Text("yes", style="bold green") if ledger.closes else Text("NO", style="bold red")
    return [*rows, ("Counts close", closes, balance(ledger))]


def balance(ledger: Ledger) -> str:
    """Write the sum that must hold: what went in on the left, how it ended on the right."""
    left = f"{counted(len(ledger.ecgs), 'ECG')} + {len(ledger.garbage)} garbage"
    right = (
        f"{ledger.scored} scored + {ledger.not_scored_total} not scored + "
        f"{counted(ledger.dead.total(), 'dead letter')}"
    )
    if ledger.closes:
        return f"{left} = {right}"
    faults = f"{ledger.open_count} open, {ledger.strays} astray, {len(ledger.conflicts)} in conflict"
    return f"{left} ≠ {right}; {faults}"


def checks(outcome: DemoOutcome) -> list[tuple[bool, str]]:
    """Name what the demo is to show, each with whether it did."""
    ledger = outcome.ledger
    repeats = ledger.messages_in - len(ledger.ecgs) - len(ledger.garbage)
    alerted, due = len(outcome.alerted), len(outcome.deteriorating)
    return [
        (ledger.closes, "Every ECG ended exactly once: scored, not scored with a reason, or a dead letter."),
        (
            bool(repeats) and not ledger.conflicts,
            f"An ECG that was sent twice ({counted(repeats, 'repeat')}) counts once and changed nothing.",
        ),
        (
            bool(ledger.dead_garbage),
            "What cannot be read went to ecg.recorded.v1.dlq with its original bytes; the rest flowed on.",
        ),
        (
            bool(outcome.alerted),
            f"{alerted} of {due} simulated patients who deteriorate raised an alert as their risk rose.",
        ),
    ]


def _check(held: bool, what: str) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(max_width=_WIDEST - 4)
    table.add_row(Text("✓", style="bold green") if held else Text("✗", style="bold red"), what)
    return table


def _alerts(outcome: DemoOutcome, names: Names) -> RenderableType:
    if not outcome.ledger.alerts:
        return Text("none, although patients deteriorated: something is wrong", style="bold red")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(max_width=_WIDEST - 24)
    for alert in sorted(outcome.ledger.alerts.values(), key=lambda alert: alert.published_at):
        table.add_row(names.shown(alert.patient_id), alert_text(alert, outcome.ledger))
    return table


def _phases(outcome: DemoOutcome) -> str:
    phases = ", ".join(f"{phase} {took_s:.1f} s" for phase, took_s in outcome.phases_s.items())
    return f"{sum(outcome.phases_s.values()):.0f} s: {phases}"


def _reasons(counts: "Counter[str]") -> str:
    return ", ".join(f"{reason_words([code])} {count}" for code, count in _most_first(counts))


def _codes(counts: "Counter[str]") -> str:
    return ", ".join(f"{code} {count}" for code, count in _most_first(counts))


def _most_first(counts: "Counter[str]") -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
