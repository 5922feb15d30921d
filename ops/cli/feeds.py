"""``diastole feeds``: how each source of ECGs is doing."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ops.cli.console import out
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import PoisonError
from streams.assembly import build_codec
from streams.settings import Settings
from streams.stage import utc_now

if TYPE_CHECKING:
    from schemas.feed import FeedHealth

#: Longest time to read the newest report of each source.
_READ_S: Final = 30.0

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0


def feeds(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per source and line.")] = False,
    broker: BrokerOption = None,
) -> None:
    """Show how each source of ECGs is doing.

    When the last ECG came, how many come, what was refused and why, whether the cart's clock is right, and
    whether it is silent against its own rhythm: as the feeds reported it last, every half minute.
    """
    reports = run(_reports(prepared(broker=broker)))
    if as_json:
        from ops.rendering import plain

        for health in reports:
            typer.echo(json.dumps(plain(health) | {"gaps_s": len(health.gaps_s)}, ensure_ascii=False))
        return
    if not reports:
        out().print("no source has delivered yet, or no feed runs (diastole feed)")
        return
    out().print(feeds_table(reports, utc_now()))


async def _reports(settings: Settings) -> "list[FeedHealth]":
    # Imported here: Kafka's client takes a third of a second, which other commands need not wait.
    from schemas.feed import FeedHealth
    from streams.adapters.kafka_follower import open_follower
    from streams.topology import FEED_HEALTH

    codec, newest = build_codec(settings), dict[bytes, FeedHealth]()

    def keep(message: Any) -> None:
        try:
            health = codec.decode(message.value or b"", FeedHealth, headers=tuple(message.headers))
        except PoisonError:
            newest.pop(message.key, None)  # emptied: the source is not watched any more
        else:
            newest[message.key] = health

    async with open_follower(settings.kafka, FEED_HEALTH, keep, _READ_S):
        return sorted(newest.values(), key=lambda health: (health.feed, health.site_id, health.source))


def feeds_table(reports: "Sequence[FeedHealth]", now: datetime) -> Table:
    """Lay reports out, one source a row; — stands for what is not known."""
    from streams.feeds.health.skew import skew_words

    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in ("feed", "source", "site", "last ECG"):
        table.add_column(heading)
    for heading in ("per h", "accepted", "repeated", "quaran-\ntined"):
        table.add_column(heading, justify="right")
    for heading in ("refused most for", "clock", "rhythm"):
        table.add_column(heading)
    for health in reports:
        table.add_row(
            health.feed,
            Text(health.source or "—"),
            Text(health.site_id or "—"),
            age_text(health.last_received_at, now),
            f"{health.rate_per_h:.1f}",
            str(health.n_accepted),
            str(health.n_repeated),
            str(health.n_quarantined),
            refusal_text(health),
            skew_words(health.clock_skew_s),
            rhythm_text(health),
        )
    return table


def age_text(moment: datetime | None, now: datetime) -> str:
    """Say how long ago something was.

    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> age_text(datetime(2026, 3, 1, 9, tzinfo=UTC), now), age_text(None, now)
    ('3.0 h ago', '—')
    """
    return "—" if moment is None else f"{span_text((now - moment) / timedelta(seconds=1))} ago"


def span_text(seconds: float) -> str:
    """Write a span in the unit one would say it in.

    >>> span_text(40), span_text(600), span_text(5400), span_text(200_000)
    ('40 s', '10 min', '1.5 h', '2.3 d')
    """
    if seconds < 2 * _MINUTE_S:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h" if seconds < _DAY_S else f"{seconds / _DAY_S:.1f} d"


def refusal_text(health: "FeedHealth") -> str:
    """Name the most frequent reason of refusal, with its count."""
    if not health.refusals:
        return "—"
    most = max(health.refusals, key=lambda refusal: refusal.count)
    return f"{most.code} ({most.count})"


def rhythm_text(health: "FeedHealth") -> Text:
    """Say whether a source is silent, or after how long it would be."""
    if health.silent_since is not None:
        return Text(f"SILENT since {health.silent_since:%Y-%m-%d %H:%M}Z", style="bold red")
    if health.silent_after_s is None:
        return Text("not known yet")
    return Text(f"silent after {span_text(health.silent_after_s)}")
