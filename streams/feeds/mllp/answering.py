"""From one HL7 v2 message to its acknowledgement, by way of the gateway.

=================  ========================================================================
message            what is done
=================  ========================================================================
ORU                each ECG in it is a delivery of its own; AA when all are safe on
                   ``ecg.recorded.v1``, AE with one ERR for each that is not
ADT, merging       linked, see :mod:`streams.feeds.mllp.merging`; AA when that is on Kafka
ADT, others        AA: an engine that sends all of a patient's events is not to be stopped by
                   those that say nothing of an ECG
any other          AR 200
not HL7            AE; like an ORU out of which an ECG cannot be taken it goes to quarantine whole
=================  ========================================================================

Delivering a message again gives the same answer and changes nothing.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Final, TypeVar

import structlog

from schemas.errors import DiastoleError, PoisonError
from streams.feeds.admission import Admission, Admits, Delivery, Ending, Origin
from streams.feeds.document import Document
from streams.feeds.mllp.answers import Answer, Condition, Problem, Verdict, acknowledgement
from streams.feeds.mllp.framing import Framed
from streams.feeds.mllp.identifiers import IdentifierChoice
from streams.feeds.mllp.merging import MERGE_EVENTS, Merges, merges_in
from streams.feeds.mllp.message import Hl7Error, Message, Segment, delimiters_in, parse_message
from streams.feeds.mllp.orders import options_of
from streams.feeds.mllp.recordings import Recording, recordings_in
from streams.feeds.readers.leads import shown
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason
from streams.stage import UtcClock

A = TypeVar("A")
T = TypeVar("T")
log = structlog.get_logger()

FEED: Final = "mllp"

#: Source of a message that does not say which application sent it.
UNNAMED: Final = "unnamed"

#: Which of HL7's conditions a refusal is; all others are errors in the data.
_CONDITIONS: Final = {
    RefusalReason.NO_PATIENT: Condition.REQUIRED_FIELD_MISSING,
    RefusalReason.NO_TIME: Condition.REQUIRED_FIELD_MISSING,
    RefusalReason.NO_WAVEFORM: Condition.REQUIRED_FIELD_MISSING,
}

#: Taking a message of this size apart takes some milliseconds; a hostile one of 32 MiB takes seconds.
_AT_ONCE_BYTES: Final = 2**18

_ACCEPTED: Final = Answer(verdict=Verdict.ACCEPTED)


def new_control_id() -> str:
    """Name an answer; MSH-10 holds 20 characters before HL7 2.7."""
    return uuid.uuid4().hex[:20]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRules:
    """How this site's messages are to be read.

    Attributes
    ----------
    timezone : tzinfo
        Of times without an offset, in messages and documents.
    patient : IdentifierChoice
        Which identifier of PID-3 and MRG-1 is the patient's.
    max_bytes : int
        Of one message.
    """

    timezone: tzinfo = field(default=UTC)
    patient: IdentifierChoice = field(default_factory=IdentifierChoice)
    max_bytes: int = 32 * 2**20


class Answering:
    """Answers messages; calls may overlap."""

    def __init__(
        self,
        admits: Admits,
        merges: Merges,
        rules: SiteRules,
        now: UtcClock,
        name_answer: Callable[[], str] = new_control_id,
    ) -> None:
        self._admits = admits
        self._merges = merges
        self._rules = rules
        self._now = now
        self._name_answer = name_answer

    async def answer(self, framed: Framed) -> bytes | None:
        """Take a message and return its acknowledgement; None when its sender wants none."""
        try:
            message = await _aside(len(framed.content), parse_message, framed.content)
        except Hl7Error as error:
            answer = await self._refuse_whole(framed.content, None, str(error), framed.is_cut)
            return self._written(answer, _header_of(framed.content), "latin-1")
        answer = _too_large(self._rules.max_bytes) if framed.is_cut else await self._judge(message, framed)
        return self._written(answer, message.header, message.codec)

    def _written(self, answer: Answer, header: Segment | None, codec: str) -> bytes | None:
        for problem in answer.problems:
            log.warning("message_refused", feed=FEED, code=problem.code, quarantine_id=problem.reference)
        return acknowledgement(answer, header, self._now(), self._name_answer(), codec)

    async def _judge(self, message: Message, framed: Framed) -> Answer:
        try:
            if message.kind == "ORU":
                return await self._take_recordings(message, framed.content)
            if message.kind == "ADT":
                return await self._take_merges(message)
        except DiastoleError as error:
            return _try_later(error)
        return _not_taken(Condition.UNSUPPORTED_MESSAGE_TYPE, "only ORU and ADT messages are taken here")

    async def _take_recordings(self, message: Message, content: bytes) -> Answer:
        try:
            recordings = await _aside(len(content), recordings_in, message)
        except FeedRefusedError as refusal:
            return await self._refuse_whole(content, message, str(refusal), is_cut=False)
        problems: list[Problem] = []
        kept_whole: Admission | None = None
        for recording in recordings:
            if recording.document is None:
                kept_whole = kept_whole or await self._admit_whole(content, message)
                problems.append(_unusable(recording, kept_whole))
            else:
                admission = await self._admit(recording, recording.document, message)
                problems += _problems(admission, recording.observation)
        return Answer(verdict=Verdict.ERROR, problems=problems) if problems else _ACCEPTED

    async def _take_merges(self, message: Message) -> Answer:
        if message.trigger not in MERGE_EVENTS:
            return _ACCEPTED
        try:
            for merge in merges_in(message, self._rules.patient):
                await self._merges.merge(
                    merge.prior_patient_id,
                    merge.surviving_patient_id,
                    origin=f"adt-{message.trigger.lower()}",
                    actor=_source(message),
                )
        except PoisonError as error:
            return Answer(verdict=Verdict.ERROR, problems=[Problem(text=str(error), code=error.code)])
        return _ACCEPTED

    async def _admit(self, recording: Recording, document: Document, message: Message) -> Admission:
        options = options_of(
            recording.order, recording.observation, message, self._rules.timezone, self._rules.patient
        )
        return await self._admits.admit(self._delivery(document, message, options))

    async def _admit_whole(self, content: bytes, message: Message | None) -> Admission:
        """Put a message into quarantine whole: its reader refuses it for the reason that we found."""
        options = ReadOptions(timezone=self._rules.timezone)
        return await self._admits.admit(self._delivery(Document(content=content), message, options))

    def _delivery(self, document: Document, message: Message | None, options: ReadOptions) -> Delivery:
        origin = Origin(
            feed=FEED,
            source=_source(message) if message else UNNAMED,
            site_id=message.header.component(4) if message else "",
        )
        return Delivery(document=document, origin=origin, received_at=self._now(), options=options)

    async def _refuse_whole(
        self, content: bytes, message: Message | None, reason: str, is_cut: bool
    ) -> Answer:
        if is_cut:
            return _too_large(self._rules.max_bytes)
        try:
            admission = await self._admit_whole(content, message)
        except DiastoleError as error:
            return _try_later(error)
        if admission.ending is not Ending.QUARANTINED:
            return _ACCEPTED  # an ECG file, framed as it is: no HL7, but safe
        problem = Problem(
            text=reason,
            condition=_condition(admission.reason),
            code=admission.reason or "",
            reference=admission.quarantine_id or "",
        )
        return Answer(verdict=Verdict.ERROR, problems=[problem])


async def _aside(n_bytes: int, work: Callable[[A], T], argument: A) -> T:
    """Do what takes long for a large message beside the loop: other senders must not wait for it."""
    return await asyncio.to_thread(work, argument) if n_bytes > _AT_ONCE_BYTES else work(argument)


def _header_of(content: bytes) -> Segment | None:
    """Return as much of an MSH segment as a message has that could not be read."""
    line = content.lstrip(b"\r\n")[:4096].replace(b"\n", b"\r").split(b"\r", 1)[0].decode("latin-1")
    try:
        return Segment(line, delimiters_in(line), 1)
    except Hl7Error:
        return None


def _source(message: Message) -> str:
    return shown(message.header.component(3) or message.header.component(4)) or UNNAMED


def _problems(admission: Admission, observation: Segment) -> Sequence[Problem]:
    if admission.ending is not Ending.QUARANTINED:
        return ()
    return [
        Problem(
            text=admission.message,
            condition=_condition(admission.reason),
            location=("OBX", observation.number, 5),
            code=admission.reason or "",
            reference=admission.quarantine_id or "",
        )
    ]


def _unusable(recording: Recording, kept_whole: Admission) -> Problem:
    refusal = recording.refusal
    return Problem(
        text=str(refusal),
        condition=_condition(refusal.reason if refusal else None),
        location=("OBX", recording.observation.number, 5),
        code=refusal.reason if refusal else "",
        reference=kept_whole.quarantine_id or "",
    )


def _condition(reason: RefusalReason | None) -> Condition:
    return _CONDITIONS.get(reason, Condition.DATA_TYPE_ERROR) if reason else Condition.DATA_TYPE_ERROR


def _too_large(max_bytes: int) -> Answer:
    text = (
        f"the message is larger than {max_bytes} bytes (DIASTOLE_FEED_MAX_BYTES) and was not kept; "
        "send each ECG in a message of its own"
    )
    problem = Problem(text=text, code=RefusalReason.TOO_LARGE)
    return Answer(verdict=Verdict.ERROR, problems=[problem])


def _try_later(error: DiastoleError) -> Answer:
    text = "nothing could be promised; send the same message again later"
    problem = Problem(text=text, condition=Condition.APPLICATION_ERROR, code=error.code)
    return Answer(verdict=Verdict.REJECTED, problems=[problem])


def _not_taken(condition: Condition, text: str) -> Answer:
    return Answer(verdict=Verdict.REJECTED, problems=[Problem(text=text, condition=condition)])
