"""Merges of patients out of HL7 ADT messages.

::

    PID-3  the identifier that stays        MRG-1  the one that is no longer used

One message may hold several pairs (A40), each a PID with the MRG after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from streams.feeds.mllp.identifiers import Identifier, IdentifierChoice
from streams.feeds.mllp.message import Hl7Error, Message, Segment

#: Events that say "these two numbers are one person" (HL7 v2.5.1 §3.3): merge patient information (A18),
#: merge patient (A34, A36, A39, A40), change patient identifier (A46, A47).
MERGE_EVENTS: Final = frozenset({"A18", "A34", "A36", "A39", "A40", "A46", "A47"})


class Merges(Protocol):
    """Links the histories of patients that turned out to be one."""

    async def merge(
        self, prior_patient_id: str, surviving_patient_id: str, *, origin: str, actor: str
    ) -> object:
        """Link two of the site's identifiers; returns once Kafka has it. Doing it again changes nothing.

        Raises
        ------
        RetriableError
            When Kafka did not acknowledge.
        PoisonError
            When the two cannot be linked; the message names no identifier.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """One pair of a message, in the site's identifiers."""

    prior_patient_id: str
    surviving_patient_id: str


def merges_in(message: Message, choice: IdentifierChoice) -> Sequence[Merge]:
    """Read the pairs of a merge message; a pair of equal identifiers is none.

    Raises
    ------
    Hl7Error
        When an identifier is missing, or the two of a pair are of different numberings.
    """
    pairs = []
    patient: Segment | None = None
    for segment in message.segments:
        if segment.name == "PID":
            patient = segment
        elif segment.name == "MRG":
            pairs.append(_merge(patient, segment, choice))
    if not pairs:
        raise Hl7Error("a merge without MRG: nobody to merge; send the prior identifier in MRG-1")
    return [pair for pair in pairs if pair.prior_patient_id != pair.surviving_patient_id]


def _merge(patient: Segment | None, prior: Segment, choice: IdentifierChoice) -> Merge:
    if patient is None:
        raise Hl7Error("MRG without a PID before it; send the surviving identifier in PID-3")
    surviving = choice.all_of(patient, 3)
    if not surviving:
        raise Hl7Error("PID-3 names no surviving patient of the kind this site goes by; correct it")
    merged = choice.all_of(prior, 1)
    if not merged:
        raise Hl7Error("MRG-1 names no prior patient of the kind this site goes by; correct it")
    return Merge(prior_patient_id=_kin(surviving[0], merged).number, surviving_patient_id=surviving[0].number)


def _kin(surviving: Identifier, merged: Sequence[Identifier]) -> Identifier:
    for identifier in merged:
        if identifier.may_be_kin_of(surviving):
            return identifier
    raise Hl7Error(
        "PID-3 and MRG-1 hold identifiers of different kinds (type or assigning authority); "
        "send both of one numbering"
    )
