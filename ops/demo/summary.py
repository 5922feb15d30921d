"""How the demo ended: one table, and whether the counts close."""

from rich.table import Table
from rich.text import Text

from ops.ledger import Ledger
from ops.percentiles import in_ms, percentile


def summary_table(ledger: Ledger) -> Table:
    """Lay out what went in and how each of it ended."""
    table = Table(title="summary", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    repeats = ledger.messages_in - len(ledger.ecgs) - len(ledger.garbage)
    table.add_row("messages in", str(ledger.messages_in), f"{repeats} of them repeats of the same ECG")
    table.add_row("ECGs in", str(len(ledger.ecgs)), "")
    table.add_row("scored", str(ledger.scored), "")
    table.add_row("not scored", str(ledger.not_scored_total), _by_code(ledger.not_scored))
    table.add_row("dead letters", str(ledger.dead.total()), _by_code(ledger.dead))
    table.add_row("alerts", str(len(ledger.alerts)), f"{len(ledger.closed)} closed again")
    for what, observed in (("publish → risk", ledger.risk_ms), ("publish → alert", ledger.alert_ms)):
        tail = f"p99 {in_ms(percentile(observed, 99))} of {len(observed)}"
        table.add_row(what, f"p50 {in_ms(percentile(observed, 50))}", tail)
    closes = Text("yes", style="green") if ledger.closes else Text("no", style="bold red")
    table.add_row("counts close", closes, balance(ledger))
    return table


def balance(ledger: Ledger) -> str:
    """Write the sum that must hold: what went in on the left, how it ended on the right."""
    left = f"{len(ledger.ecgs)} ECGs + {len(ledger.garbage)} garbage"
    right = (
        f"{ledger.scored} scored + {ledger.not_scored_total} not scored + {ledger.dead.total()} dead letters"
    )
    if ledger.closes:
        return f"{left} = {right}"
    faults = f"{ledger.open_count} open, {ledger.strays} astray, {len(ledger.conflicts)} in conflict"
    return f"{left} ≠ {right}; {faults}"


def _by_code(counts: "dict[str, int]") -> str:
    return ", ".join(
        f"{code} {count}" for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
