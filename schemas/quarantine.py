"""What was delivered and not accepted, and what was done about it: the records of ``ecg.quarantine.v1``."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.invariants import (
    MAX_TEXT_CHARS,
    require,
    require_number,
    require_text,
    require_texts,
    require_utc,
    require_uuid,
)

#: Pieces a kept delivery may be cut into; 256 × 512 KiB is four times what a gateway accepts by default.
MAX_PIECES = 256

#: A correction names a patient, a time and a zone: some hundred bytes.
MAX_CORRECTION_BYTES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Where one piece of a kept delivery lies on ``ecg.quarantine-content.v1``."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EcgQuarantined:
    """A delivery that could not be accepted; kept whole. Carries no patient identifier.

    Delivering the same again yields the same ``quarantine_id``.

    Attributes
    ----------
    quarantine_id : str
        UUIDv5 of feed, source and content; also the Kafka key.
    received_at : datetime
        UTC.
    code : str
        One of :class:`streams.feeds.refusal.RefusalReason`.
    reason : str
        What is wrong and what mends it, in words.
    feed, source, site_id : str
        The way in (``folder``, ``dicom``, ``mllp``, ``http``), who came that way, and its site.
    source_format : str
        As far as recognised; empty when not.
    n_bytes : int
        Of the delivery.
    pieces : tuple of Piece
        Its content in order.
    is_sealed : bool
        The content can only be opened with the gateway's key.
    """

    quarantine_id: str
    received_at: datetime
    code: str
    reason: str
    feed: str
    source: str
    site_id: str
    source_format: str
    n_bytes: int
    pieces: tuple[Piece, ...]
    is_sealed: bool

    def __post_init__(self) -> None:
        """Refuse one that could not be found again; raises InvalidRecordError."""
        require_uuid("quarantine_id", self.quarantine_id)
        require_utc("received_at", self.received_at)
        require_text("code", self.code, min_chars=1)
        require_text("reason", self.reason, MAX_TEXT_CHARS, min_chars=1)
        require_texts(self, ("feed", "source", "site_id", "source_format"))
        require_number("n_bytes", self.n_bytes, 0)
        require(1 <= len(self.pieces) <= MAX_PIECES, "pieces", f"must be 1 to {MAX_PIECES}")


class QuarantineVerb(StrEnum):
    """What was done about a quarantined delivery."""

    UNKNOWN = "UNKNOWN"
    SHOWN = "SHOWN"
    CORRECTED = "CORRECTED"
    REPLAYED = "REPLAYED"
    REFUSED_AGAIN = "REFUSED_AGAIN"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineAct:
    """One act on one quarantined delivery: the audit, append-only.

    Attributes
    ----------
    act_id : str
        UUID that makes a repeat of the same act visible as such.
    origin : str
        Where it was done from (``command``, ``http``).
    reason : str
        Why, as far as stated; of REFUSED_AGAIN the refusal.
    correction : bytes
        Of CORRECTED: what was corrected, as JSON, sealed where the content is; else empty.
    ecg_id : str or None
        Of REPLAYED: what it became.
    code : str
        Of REFUSED_AGAIN: the refusal's :class:`streams.feeds.refusal.RefusalReason`; else empty.
    """

    act_id: str
    quarantine_id: str
    verb: QuarantineVerb
    actor: str
    acted_at: datetime
    origin: str
    reason: str = ""
    correction: bytes = b""
    ecg_id: str | None = None
    code: str = ""

    def __post_init__(self) -> None:
        """Refuse an act without actor or time; raises InvalidRecordError."""
        require_uuid("act_id", self.act_id)
        require_uuid("quarantine_id", self.quarantine_id)
        require_text("actor", self.actor, min_chars=1)
        require_utc("acted_at", self.acted_at)
        require_text("origin", self.origin)
        require_text("reason", self.reason, MAX_TEXT_CHARS)
        require(
            len(self.correction) <= MAX_CORRECTION_BYTES,
            "correction",
            f"must be at most {MAX_CORRECTION_BYTES} bytes",
        )
        require_uuid("ecg_id", self.ecg_id)
        require_text("code", self.code)
