"""How deliveries in quarantine look on a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ops.rendering import counted, reason_words
from streams.feeds.quarantine.fold import State
from streams.feeds.quarantine.mending import what_mends

if TYPE_CHECKING:
    from schemas.quarantine import QuarantineAct
    from streams.feeds.quarantine.acts import Shown
    from streams.feeds.quarantine.fold import Entry
    from streams.feeds.quarantine.gist import Gist

#: Of 32 hexadecimal digits; among 10 000 deliveries two begin alike in one of 86 quarantines.
SHORT_ID_CHARS: Final = 8

_STYLE: Final = {
    State.HELD: "yellow",
    State.CORRECTED: "cyan",
    State.REPLAYED: "green",
    State.DISCARDED: "dim",
}


def short_id(entry: "Entry") -> str:
    """First digits of an id; every command takes them for the whole."""
    return entry.quarantine_id[:SHORT_ID_CHARS]


def age_text(age: timedelta) -> str:
    """Write how long ago something was.

    >>> age_text(timedelta(minutes=5)), age_text(timedelta(hours=30))
    ('5 min', '30 h')
    """
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{max(minutes, 0)} min"
    return f"{minutes // 60} h" if minutes < 72 * 60 else f"{minutes // (24 * 60)} d"


def size_text(n_bytes: int) -> str:
    """Write a size.

    >>> size_text(900), size_text(240_000), size_text(3_200_000)
    ('900 B', '240 kB', '3.2 MB')
    """
    if n_bytes < 1000:
        return f"{n_bytes} B"
    return f"{n_bytes / 1000:.0f} kB" if n_bytes < 1_000_000 else f"{n_bytes / 1_000_000:.1f} MB"


def entries_table(entries: Sequence["Entry"], now: datetime) -> Table:
    """Lay entries out, one a row, as they come."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in ("id", "age", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("why", "from", "site", "format"):
        table.add_column(heading)
    table.add_column("size", no_wrap=True, justify="right")
    for entry in entries:
        record = entry.record
        table.add_row(
            short_id(entry),
            age_text(now - record.received_at),
            Text(entry.state.value.lower(), style=_STYLE[entry.state]),
            Text(reason_words([entry.code])),
            Text(f"{record.feed} {record.source}".strip()),
            Text(record.site_id),
            Text(record.source_format or "not known"),
            size_text(record.n_bytes),
        )
    return table


def shown_lines(shown: "Shown", gist: "Gist | None", now: datetime) -> Iterator[str]:
    """Say everything about one delivery, a line each."""
    entry, record = shown.entry, shown.entry.record
    yield f"{entry.quarantine_id}  {entry.state.value.lower()}"
    yield f"why       {reason_words([entry.code])}: {entry.reason}"
    if entry.is_open:
        yield f"mend      {what_mends(entry.code)}"
    site = f", site {record.site_id}" if record.site_id else ""
    yield f"from      {record.feed} {record.source}{site}"
    yield f"received  {record.received_at:%Y-%m-%d %H:%M:%S}Z, {age_text(now - record.received_at)} ago"
    sealed = "sealed" if record.is_sealed else "not sealed"
    yield f"content   {record.source_format or 'format not known'}, {size_text(record.n_bytes)}, {sealed}"
    if shown.correction:
        yield f"corrected {', '.join(f'{field} {text}' for field, text in shown.correction.items())}"
    if entry.ecg_id:
        yield f"became    {entry.ecg_id}"
    if gist is not None:
        yield from _gist_lines(gist)
    yield counted(len(entry.acts), "act")
    yield from (f"  {_act_line(act)}" for act in entry.acts)


def _gist_lines(gist: "Gist") -> Iterator[str]:
    if gist.n_leads:
        yield f"patient   {gist.patient_id or 'not named'}"
    if gist.message_patient_id:
        yield f"message   names the patient {gist.message_patient_id}"
    if gist.n_leads:
        when = f"{gist.acquired_at:%Y-%m-%d %H:%M:%S}Z ({gist.acquired_zone})" if gist.acquired_at else ""
        yield f"acquired  {when or 'no time that can be taken'}"
        yield f"waveform  {gist.n_leads} leads, {gist.duration_s:.1f} s at {gist.sample_rate_hz:g} Hz"
    if gist.code:
        yield f"now       would be refused: {gist.reason}"
    else:
        yield "now       would be read; replay it"


def _act_line(act: "QuarantineAct") -> str:
    said: Iterable[str] = (
        f"{act.acted_at:%Y-%m-%d %H:%M:%S}Z",
        act.verb.value.lower().replace("_", " "),
        f"by {act.actor} ({act.origin})",
        f"as {act.ecg_id}" if act.ecg_id else "",
        act.reason,
    )
    return "  ".join(part for part in said if part)
