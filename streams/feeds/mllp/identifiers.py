"""Which of a patient's identifiers is taken: PID-3 lists several."""

from dataclasses import dataclass

from streams.feeds.mllp.message import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierChoice:
    """The kind of identifier the site goes by; empty parts match anything.

    Attributes
    ----------
    type_code : str
        CX.5 of HL7 table 0203: ``MR`` is the medical record number.
    authority : str
        CX.4, its namespace: who assigned it.
    """

    type_code: str = ""
    authority: str = ""

    def of(self, segment: Segment, number: int) -> str:
        """Return the first identifier of the kind in a field; empty when there is none."""
        return next((found.number for found in self.all_of(segment, number)), "")

    def all_of(self, segment: Segment, number: int) -> list["Identifier"]:
        """Return the identifiers of the kind in a field."""
        found = [_identifier(segment, each) for each in segment.repetitions(number)]
        return [each for each in found if each.number and self._takes(each)]

    def _takes(self, identifier: "Identifier") -> bool:
        return (not self.type_code or identifier.type_code == self.type_code) and (
            not self.authority or identifier.authority == self.authority
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """One identifier, type CX."""

    number: str
    type_code: str
    authority: str

    def may_be_kin_of(self, other: "Identifier") -> bool:
        """Whether both may be of one numbering: what either leaves unsaid is no difference."""
        return _agree(self.type_code, other.type_code) and _agree(self.authority, other.authority)


def _agree(one: str, other: str) -> bool:
    return not one or not other or one == other


def _identifier(segment: Segment, repetition: str) -> Identifier:
    return Identifier(
        number=segment.part(repetition, 1),
        type_code=segment.part(repetition, 5),
        authority=segment.part(repetition, 4),
    )
