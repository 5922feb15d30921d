"""HL7 v2 messages delivered as files, or kept whole because nothing could be taken out of them."""

from dataclasses import replace

from schemas.recorded import Urgency
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.mllp.identifiers import IdentifierChoice
from streams.feeds.mllp.message import Hl7Error, Message, parse_message
from streams.feeds.mllp.orders import options_of
from streams.feeds.mllp.recordings import Recording, recordings_in
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason


def read_hl7_v2(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read the one ECG inside a message, with what the message says of it.

    Raises
    ------
    FeedRefusedError
        When it is no message, holds no ECG or several, or its ECG cannot be read.
    """
    try:
        message = parse_message(document.content)
    except Hl7Error as error:
        raise FeedRefusedError(f"no HL7 v2 message: {error}", RefusalReason.DAMAGED) from None
    recordings = recordings_in(message)
    for recording in recordings:
        if recording.refusal is not None:
            raise recording.refusal
    if len(recordings) > 1:
        raise FeedRefusedError(
            f"a message with {len(recordings)} recordings; send it over MLLP, or each in a file of its own",
            RefusalReason.UNSUPPORTED,
        )
    return _read_inner(recordings[0], message, options, limits)


def _read_inner(recording: Recording, message: Message, options: ReadOptions, limits: ReadLimits) -> Reading:
    # Here and not above: the one way in from bytes loads its readers by name, this one among them.
    from streams.feeds.read import read

    inner = recording.document
    if inner is None or inner.content.lstrip()[:3] == b"MSH":
        raise FeedRefusedError("a message within a message; send the ECG itself", RefusalReason.UNSUPPORTED)
    stated = options_of(recording.order, recording.observation, message, options.timezone, IdentifierChoice())
    both = replace(
        options,
        acquired_at=options.acquired_at or stated.acquired_at,
        expected_patient_id=options.expected_patient_id or stated.expected_patient_id,
        site_id=options.site_id or stated.site_id,
        ward_id=options.ward_id or stated.ward_id,
        urgency=Urgency.STAT if Urgency.STAT in (options.urgency, stated.urgency) else Urgency.ROUTINE,
    )
    return read(inner, both, limits)
