"""Acknowledgements of HL7 v2 messages (HL7 v2.5.1 §2.9, §2.13.1, §2.15.5, §2.15.8).

=====  =====================================================================================
AA CA  everything in the message is safe; forget it
AE CE  something in it is refused, for the reason given; sending the same again changes nothing
AR CR  nothing can be promised now, or this type of message is not taken
=====  =====================================================================================

AR for a system that is down is what the standard says: "for most such problems, the responding system will
be able to accept the same message at a later time" (§2.9.2.2). Its ERR carries 207 then, and 200 or 201 where
the type of message is not taken.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from streams.feeds.mllp.escapes import escape
from streams.feeds.mllp.message import Delimiters, Segment

#: ERR took the reason over from MSA-3 in 2.5, which left the standard in 2.7.
_ERR_SINCE: Final = (2, 5)
_MSA_3_BEFORE: Final = (2, 7)

#: MSH-9 of an acknowledgement names trigger and structure since these versions.
_TRIGGER_SINCE: Final = (2, 3)
_STRUCTURE_SINCE: Final = (2, 4)

#: Of a message that states none: the oldest still spoken.
_OLDEST: Final = "2.2"


class Verdict(StrEnum):
    """How a message ended."""

    ACCEPTED = "A"
    ERROR = "E"
    REJECTED = "R"


class Condition(StrEnum):
    """HL7 table 0357, as far as used."""

    REQUIRED_FIELD_MISSING = "101"
    DATA_TYPE_ERROR = "102"
    UNSUPPORTED_MESSAGE_TYPE = "200"
    UNSUPPORTED_EVENT = "201"
    APPLICATION_ERROR = "207"


_CONDITION_TEXTS: Final = {
    Condition.REQUIRED_FIELD_MISSING: "Required field missing",
    Condition.DATA_TYPE_ERROR: "Data type error",
    Condition.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    Condition.UNSUPPORTED_EVENT: "Unsupported event code",
    Condition.APPLICATION_ERROR: "Application internal error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    text : str
        What, and what to do next; nothing about a patient.
    location : tuple
        Segment, its number from 1, and field, as far as it can be said.
    code : str
        Ours, of :class:`streams.feeds.refusal.RefusalReason` or of an error.
    reference : str
        Quarantine id of what was kept.
    """

    text: str
    condition: Condition = Condition.DATA_TYPE_ERROR
    location: tuple[str | int, ...] = ()
    code: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to tell the sender."""

    verdict: Verdict
    problems: Sequence[Problem] = field(default_factory=tuple)


def acknowledgement(
    answer: Answer, header: Segment | None, sent_at: datetime, control_id: str, codec: str = "ascii"
) -> bytes | None:
    """Write the acknowledgement of a message; None where its sender wants none.

    Parameters
    ----------
    header : Segment or None
        MSH of the message; None when it has none, and the answer can name nothing.
    sent_at : datetime
        UTC.
    codec : str
        Character set of the message; what is echoed goes back as it came.
    """
    header = header or Segment("MSH|^~\\&", Delimiters(), 1)
    level = _level(answer.verdict, header)
    if level is None:
        return None
    version = _version(header)
    segments = [_msh(header, version, sent_at, control_id), _msa(answer, level, header, version)]
    if version >= _ERR_SINCE:
        segments += [_err(problem, header.delimiters) for problem in answer.problems]
    return "".join(f"{segment}\r" for segment in segments).encode(codec, errors="replace")


def _level(verdict: Verdict, header: Segment) -> str | None:
    """Choose between application (A) and accept (C) acknowledgement.

    Without MSH-15 and MSH-16 the sender waits for an application acknowledgement. With them it says when it
    wants which; what we say is both at once, so that one is sent, the application's where that is wanted.
    """
    accept, application = header.component(15).upper(), header.component(16).upper()
    if not accept and not application:
        return "A"
    wanted = {"AL", "SU" if verdict is Verdict.ACCEPTED else "ER"}
    if application in wanted:
        return "A"
    return "C" if accept in wanted else None


def _msh(header: Segment, version: tuple[int, ...], sent_at: datetime, control_id: str) -> str:
    delimiters = header.delimiters
    event = header.component(9, 2)
    parts = ["ACK"]
    if event and version >= _TRIGGER_SINCE:
        parts += [event] if version < _STRUCTURE_SINCE else [event, "ACK"]
    fields = [
        "MSH",
        delimiters.encoding_characters,
        *(_echo(header, number) for number in (5, 6, 3, 4)),
        f"{sent_at.astimezone(UTC):%Y%m%d%H%M%S}+0000",
        "",
        delimiters.component.join(parts),
        control_id,
        _echo(header, 11) or "P",
        _echo(header, 12) or _OLDEST,
    ]
    if header.field(18):
        fields += [""] * 5 + [_echo(header, 18)]
    return delimiters.field.join(fields)


def _echo(header: Segment, number: int) -> str:
    """Return a field as it came; a wrapped line in it would end our segment."""
    return header.field(number).replace("\n", "")


def _msa(answer: Answer, level: str, header: Segment, version: tuple[int, ...]) -> str:
    fields = ["MSA", f"{level}{answer.verdict}", _echo(header, 10)]
    if answer.problems and version < _MSA_3_BEFORE:
        fields.append(escape(" ".join(_in_words(each) for each in answer.problems), header.delimiters))
    return header.delimiters.field.join(fields)


def _in_words(problem: Problem) -> str:
    where = "-".join(str(part) for part in problem.location)
    is_named = not problem.reference or problem.reference in problem.text
    kept = "" if is_named else f"; kept in quarantine as {problem.reference}"
    return f"{where}: {problem.text}{kept}" if where else f"{problem.text}{kept}"


def _err(problem: Problem, delimiters: Delimiters) -> str:
    component = delimiters.component
    fields = [
        "ERR",
        "",
        component.join(str(part) for part in problem.location),
        component.join((problem.condition, _CONDITION_TEXTS[problem.condition], "HL70357")),
        "E",
        component.join((problem.code, "", "99DIASTOLE")) if problem.code else "",
        "",
        problem.reference,
        escape(problem.text, delimiters),
    ]
    return delimiters.field.join(fields)


def _version(header: Segment) -> tuple[int, ...]:
    stated = re.match(r"(\d)\.(\d)", header.component(12) or _OLDEST)
    return tuple(map(int, stated.groups())) if stated else (2, 2)
