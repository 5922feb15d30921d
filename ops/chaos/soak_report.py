"""Whether anything grew in a soak, as a table."""

from rich.table import Table

from ops.chaos.growth import Growth


def growth_table(found: dict[str, list[Growth]]) -> Table:
    """One row for each part and what was watched of it."""
    table = Table(
        "part", "what", "typical", "an hour", "pairs rising", "longest life", "verdict", title="Growth"
    )
    for part, growths in sorted(found.items()):
        for each in growths:
            table.add_row(
                part,
                each.what,
                f"{each.typical:.0f}",
                "-" if each.per_hour is None else f"{each.per_hour:+.2f}",
                f"{each.share_rising:.0%}",
                f"{each.longest_s:.0f} s",
                _verdict(each),
            )
    return table


def _verdict(each: Growth) -> str:
    if each.per_hour is None:
        return "not judged"
    return "GROWS" if each.grows else "does not grow"
