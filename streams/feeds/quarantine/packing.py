"""A delivery as bytes, in pieces that fit into Kafka messages, and back.

::

    piece 0      count of such pieces, then JSON: version, name,          what was said of the document
                 received_at, origin, options; more pieces if it is long
    the others   table of its parts as one line of JSON, then the parts   the document itself

The others depend on the document alone, so those of two deliveries of the same document may stand in for each
other.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from schemas.errors import PoisonError
from schemas.identity import quarantine_id
from schemas.recorded import Urgency
from streams.feeds.admission import Delivery, Origin
from streams.feeds.document import Document
from streams.feeds.readers.options import ReadOptions

#: Half of the 1 MiB that brokers take by default: sealing, key and framing have room.
PIECE_BYTES: Final = 512 * 1024

#: Of a document's name only the suffix is looked at; file systems allow 255.
_MOST_NAME_CHARS: Final = 255

_VERSION: Final = 1

#: Digits before the JSON in piece 0.
_COUNT_DIGITS: Final = 4

_TEXTS: Final = ("patient_id", "expected_patient_id", "site_id", "ward_id", "corrected_patient_id")
_MOMENTS: Final = ("acquired_at", "corrected_acquired_at")


class KeptContentError(PoisonError):
    """What was kept cannot be made a delivery again; the message says why."""

    code = "KEPT_CONTENT"


def id_of(delivery: Delivery) -> str:
    """Quarantine id of a delivery; the same bytes from the same source for the same patient give the same."""
    options = delivery.options
    return quarantine_id(
        feed=writable(delivery.origin.feed),
        source=writable(delivery.origin.source),
        digest=delivery.document.digest(),
        claims=(writable(options.patient_id), writable(options.expected_patient_id)),
    )


def writable(text: str) -> str:
    """Replace what cannot be written as UTF-8: half a surrogate pair, of a broken name or a JSON escape."""
    return text.encode("utf-8", "replace").decode()


def packed(delivery: Delivery) -> tuple[bytes, ...]:
    """Pack a delivery into two or more pieces of at most :data:`PIECE_BYTES`, laid out as the module says."""
    said = {
        "version": _VERSION,
        "name": delivery.document.name[-_MOST_NAME_CHARS:],
        "received_at": delivery.received_at.isoformat(),
        "origin": {
            "feed": delivery.origin.feed,
            "source": delivery.origin.source,
            "site_id": delivery.origin.site_id,
        },
        "options": _plain_options(delivery.options),
    }
    plain = _json(said)
    n_said = -(-(_COUNT_DIGITS + len(plain)) // PIECE_BYTES)
    return *_cut(f"{n_said:0{_COUNT_DIGITS}}".encode() + plain), *_cut(_body(delivery.document))


def unpacked(pieces: Sequence[bytes]) -> Delivery:
    """Undo :func:`packed`.

    Raises
    ------
    KeptContentError
        When the pieces are not those of one delivery, or of a newer version of Diastole.
    """
    try:
        n_said = int(pieces[0][:_COUNT_DIGITS])
        said = json.loads(b"".join(pieces[:n_said])[_COUNT_DIGITS:])
        if said["version"] != _VERSION:
            raise KeptContentError(
                f"it was kept by a newer Diastole (layout {said['version']}); update this one and try again"
            )
        return Delivery(
            document=_document(said["name"], b"".join(pieces[n_said:])),
            origin=Origin(**said["origin"]),
            received_at=datetime.fromisoformat(said["received_at"]),
            options=_options(said["options"]),
        )
    except (ValueError, LookupError, TypeError) as error:
        raise KeptContentError(
            f"its content is not whole ({type(error).__name__}); ask the source to send it again"
        ) from None


def zone_text(zone: tzinfo) -> str:
    """Write a zone as its IANA name, or as an offset where it has none.

    >>> zone_text(ZoneInfo("Europe/Rome")), zone_text(UTC)
    ('Europe/Rome', 'UTC')
    """
    if zone is UTC:
        return "UTC"
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    return datetime(2000, 1, 1, tzinfo=zone).isoformat()[len("2000-01-01T00:00:00") :]


def zone_named(text: str) -> tzinfo:
    """Undo :func:`zone_text`.

    Raises
    ------
    ValueError, LookupError
        When there is no such zone.

    >>> zone_named("+01:00").utcoffset(None)
    datetime.timedelta(seconds=3600)
    """
    if text == "UTC":
        return UTC
    if text[:1] in ("+", "-"):
        return datetime.fromisoformat(f"2000-01-01T00:00:00{text}").tzinfo or UTC
    return ZoneInfo(text)


def _body(document: Document) -> bytes:
    parts = [("", document.content), *sorted(document.companions.items())]
    table = [[name, len(part)] for name, part in parts]
    return b"".join([_json(table), b"\n", *(part for _, part in parts)])


def _document(name: str, body: bytes) -> Document:
    line, separator, rest = body.partition(b"\n")
    table = json.loads(line)
    if not separator or sum(n_bytes for _, n_bytes in table) != len(rest):
        raise ValueError("parts do not fill the body")
    parts, at = [], 0
    for part_name, n_bytes in table:
        parts.append((part_name, rest[at : at + n_bytes]))
        at += n_bytes
    return Document(content=parts[0][1], name=name, companions=dict(parts[1:]))


def _cut(body: bytes) -> list[bytes]:
    return [body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]


def _plain_options(options: ReadOptions) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(options, name) for name in _TEXTS}
    for name in _MOMENTS:
        moment: datetime | None = getattr(options, name)
        plain[name] = moment.isoformat() if moment else None
    return plain | {"timezone": zone_text(options.timezone), "urgency": options.urgency.value}


def _options(plain: Mapping[str, Any]) -> ReadOptions:
    given: dict[str, Any] = {name: plain[name] for name in _TEXTS}
    for name in _MOMENTS:
        given[name] = datetime.fromisoformat(plain[name]) if plain[name] else None
    return ReadOptions(**given, timezone=zone_named(plain["timezone"]), urgency=Urgency(plain["urgency"]))


def _json(plain: Any) -> bytes:
    return json.dumps(plain, separators=(",", ":")).encode()
