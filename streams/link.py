"""Merges of patients in, links between their histories out; nothing in them tells who the patients are.

::

    prior      digest of the prior identifier      │ where its history lies
    surviving  digest of the surviving identifier  │
    names      each identifier, sealed with a key made of the other: who knows one of them can read both

As the digests, the names are protected from those who look at keys, not from those who guess identifiers.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.patient_link import PatientLinked
from streams.feeds.sealing import Sealer
from streams.history_encoding import microseconds, patient_digest
from streams.stage import Received

_PURPOSE: Final = b"diastole:link\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedLink:
    """A link as the store of histories keeps it.

    Attributes
    ----------
    linked_us : int
        Microseconds since 1970 UTC; of one prior identifier the newest link holds.
    prior_name : bytes
        The prior identifier, for whoever knows the surviving one.
    surviving_name : bytes
        The surviving identifier, for whoever knows the prior one.
    patient_ids : tuple of (str, str)
        Both in clear, the prior one first; not kept, but needed to list them on wards as one.
    """

    prior: str
    surviving: str
    linked_us: int
    is_undone: bool
    prior_name: bytes
    surviving_name: bytes
    patient_ids: tuple[str, str]


def encoded_links(batch: Sequence[Received[PatientLinked]]) -> list[EncodedLink]:
    """Make one link per merge, in order: the work of the link stage."""
    return [encode_link(received.record) for received in batch]


def encode_link(record: PatientLinked) -> EncodedLink:
    """Encode one merge, done or undone."""
    prior, surviving = record.prior_patient_id, record.surviving_patient_id
    return EncodedLink(
        prior=patient_digest(prior),
        surviving=patient_digest(surviving),
        linked_us=microseconds(record.linked_at),
        is_undone=record.is_undone,
        prior_name=seal_name(prior, known=surviving),
        surviving_name=seal_name(surviving, known=prior),
        patient_ids=(prior, surviving),
    )


def seal_name(patient_id: str, *, known: str) -> bytes:
    """Seal an identifier for whoever knows another one."""
    return _sealer(known).seal(patient_id.encode(), b"")


def open_name(sealed: bytes, *, known: str) -> str:
    """Undo :func:`seal_name`.

    Raises
    ------
    SealError
        When another identifier is known than it was sealed for, or the bytes were changed.
    """
    return _sealer(known).open(sealed, b"").decode()


def _sealer(known: str) -> Sealer:
    return Sealer(hashlib.sha256(_PURPOSE + known.encode()).digest())
