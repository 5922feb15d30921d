"""How dead letters look on a terminal and as JSON, with nothing of a patient unless it is asked for."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ops.cli.quarantine_tables import age_text, size_text
from ops.dlq.advice import what_to_do
from ops.dlq.letter import DeadLetter, Place, printable
from ops.dlq.replaying import Replay
from ops.rendering import counted, plain
from schemas.errors import PoisonError
from streams.envelope import TRACEPARENT
from streams.message import Headers, Message

#: Fields of records that tell how it was recorded and not of whom; the others are shown with ``--reveal``.
_TECHNICAL: Final = (
    *("sample_rate_hz", "lead_names", "uv_per_unit", "samples", "source_format", "urgency"),
    *("model_input_uv", "bundle_version", "phenotype", "not_scored_reasons", "kind"),
)

#: Of a value that is no record: with the name of its schema (5 bytes) alone nobody is named.
_SCHEMA_BYTES: Final = 5
_HEAD_BYTES: Final = 64

#: Headers whose text we wrote ourselves, or that have a form without room for a patient.
_OPEN_HEADERS: Final = (TRACEPARENT, "content-type", "ce_specversion", "ce_type", "ce_source", "ce_time")


def letters_table(letters: Sequence[DeadLetter], replays: Mapping[Place, Replay], now: datetime) -> Table:
    """Lay letters out, one a row, as they come."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in ("id", "age", "stage", "code"):
        table.add_column(heading, no_wrap=True)
    table.add_column("message", overflow="fold")
    table.add_column("size", no_wrap=True, justify="right")
    for heading in ("passing", "app", "replayed"):
        table.add_column(heading, no_wrap=True)
    for letter in letters:
        replay = replays.get(letter.origin) if letter.origin else None
        table.add_row(
            str(letter.place),
            age_text(now - letter.at),
            Text(letter.stage),
            Text(letter.code),
            Text(letter.reason),
            _size(letter),
            "yes" if letter.is_retryable else "no",
            Text(letter.app_version),
            f"{replay.at:%Y-%m-%d %H:%M}Z" if replay else "—",
        )
    return table


def count_lines(letters: Iterable[DeadLetter], replays: Mapping[Place, Replay]) -> Iterator[str]:
    """Count letters by code, the most frequent first."""
    letters = list(letters)
    waiting = Counter(letter.code for letter in letters if letter.origin not in replays)
    for code, count in Counter(letter.code for letter in letters).most_common():
        yield f"{code}: {counted(count, 'dead letter')}, {waiting[code]} not replayed"


def letter_plain(letter: DeadLetter, replay: Replay | None) -> dict[str, Any]:
    """Write a letter as what JSON can carry."""
    return {
        "id": str(letter.place),
        "at": letter.at.isoformat(),
        "stage": letter.stage,
        "code": letter.code,
        "message": letter.reason,
        "origin": str(letter.origin) if letter.origin else None,
        "attempt": letter.attempt,
        "retryable": letter.is_retryable,
        "size_bytes": letter.size_bytes,
        "cut_from_bytes": letter.cut_from_bytes,
        "app_version": letter.app_version,
        "replayed_at": replay.at.isoformat() if replay else None,
        "replayed_by": replay.by if replay else None,
        "replayed_as": str(replay.became) if replay else None,
    }


def shown_lines(
    letter: DeadLetter, message: Message, record: Any | PoisonError, replay: Replay | None, *, reveal: bool
) -> Iterator[str]:
    """Say everything about one letter, a line each.

    Parameters
    ----------
    record : object
        What the value decodes to, or why it does not.
    reveal : bool
        Also what names the patient: the key, all fields of the record, the beginning of the value.
    """
    yield str(letter.place)
    yield f"died      {letter.at:%Y-%m-%d %H:%M:%S}Z in {letter.stage}, release {letter.app_version}"
    yield f"why       {letter.code}: {letter.reason}"
    yield f"came from {letter.origin or 'it does not say'}, attempt {letter.attempt or '?'}"
    yield f"size      {_size(letter)}, {'may pass' if letter.is_retryable else 'will not pass by itself'}"
    if reveal:
        yield f"key       {_text(message.key)}"
    if replay is not None:
        yield f"replayed  {replay.at:%Y-%m-%d %H:%M:%S}Z by {replay.by}, as {replay.became}"
    yield from _header_lines(message.headers, reveal=reveal)
    yield from _content_lines(message, record, reveal=reveal)
    yield f"to do     {what_to_do(letter.code, is_retryable=letter.is_retryable)}"


def content_plain(message: Message, record: Any | PoisonError, *, reveal: bool) -> dict[str, Any]:
    """Write what a letter holds as what JSON can carry; ``reveal`` as in :func:`shown_lines`."""
    value = message.value or b""
    said: dict[str, Any] = {
        "sha256": hashlib.sha256(value).hexdigest(),
        "value_head_hex": value[: _HEAD_BYTES if reveal else _SCHEMA_BYTES].hex(),
        "headers": {name: _header(name, text, reveal=reveal) for name, text in message.headers},
    }
    if isinstance(record, PoisonError):
        return said | {"undecodable": {"code": record.code, "reason": str(record)}}
    key = {"key": _text(message.key)} if reveal else {}
    return said | key | {"type": type(record).__name__, "record": _fields(record, reveal=reveal)}


def _header_lines(headers: Headers, *, reveal: bool) -> Iterator[str]:
    for name, text in headers:
        if not name.startswith("dlq_"):
            yield f"header    {_text(name.encode())}: {_header(name, text, reveal=reveal)}"


def _content_lines(message: Message, record: Any | PoisonError, *, reveal: bool) -> Iterator[str]:
    value = message.value or b""
    yield f"sha256    {hashlib.sha256(value).hexdigest()}"
    if isinstance(record, PoisonError):
        yield f"content   {record.code}: {record}"
        head = value[: _HEAD_BYTES if reveal else _SCHEMA_BYTES]
        more = "" if reveal else " … (--reveal shows more; it may name the patient)"
        yield f"begins    {head.hex(' ')}{more}"
        return
    yield f"content   {type(record).__name__}"
    for name, text in _fields(record, reveal=reveal).items():
        yield f"  {name} {text}"
    if not reveal:
        yield "  (--reveal shows all of it, the patient too)"


def _fields(record: Any, *, reveal: bool) -> dict[str, Any]:
    said: dict[str, Any] = plain(record)
    return said if reveal else {name: said[name] for name in _TECHNICAL if name in said}


def _header(name: str, text: bytes | None, *, reveal: bool) -> str:
    if reveal or name in _OPEN_HEADERS or name.startswith("dlq_"):
        return _text(text)
    return f"{len(text or b'')} bytes"


def _size(letter: DeadLetter) -> str:
    size = size_text(letter.size_bytes)
    return f"{size} of {size_text(letter.cut_from_bytes)}" if letter.cut_from_bytes is not None else size


def _text(raw: bytes | None) -> str:
    return "none" if raw is None else printable(raw)
