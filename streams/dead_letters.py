"""Dead letters: the original message, byte for byte, with headers that say why it could not be processed."""

import hashlib
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Final

from schemas.errors import DiastoleError, PoisonError
from streams.message import Headers, Message, Outgoing

PREFIX: Final = "dlq_"
ERROR_CODE: Final = "dlq_error_code"
ERROR_MESSAGE: Final = "dlq_error_message"
STAGE: Final = "dlq_stage"
TOPIC: Final = "dlq_topic"
PARTITION: Final = "dlq_partition"
OFFSET: Final = "dlq_offset"
ATTEMPT: Final = "dlq_attempt"
RETRYABLE: Final = "dlq_retryable"
APP_VERSION: Final = "dlq_app_version"

# Of a letter that stands for one too large for Kafka:
CUT_FROM_BYTES: Final = "dlq_value_cut_from_bytes"
VALUE_SHA256: Final = "dlq_value_sha256"

#: What is kept of such a one: enough to recognise the sender, far below any topic's limit.
KEPT_VALUE_BYTES: Final = 2**16
KEPT_KEY_BYTES: Final = 2**10

_MOST_DIGITS: Final = 9


class RecordTooLargeError(PoisonError):
    """The message is larger than any ECG; it is not even decoded."""

    code = "PAYLOAD_TOO_LARGE"


class EmptyRecordError(PoisonError):
    """The message has no value."""

    code = "EMPTY_RECORD"


def error_code(error: Exception) -> str:
    """Code of an error of ours, else the type name of an unexpected one."""
    return error.code if isinstance(error, DiastoleError) else type(error).__name__


def error_message(error: Exception) -> str:
    """Say what to tell the operator.

    Only our own errors promise to hold no patient data, so of an unexpected one no text is passed on.
    """
    if isinstance(error, DiastoleError):
        return str(error)
    return "unexpected error; the log of this stage says where it was raised"


def dead_letter(message: Message, error: Exception, stage: str, topic: str) -> Outgoing:
    """Address a message to a dead-letter topic: that of where it came from, but for a silent stage.

    A message that was replayed from there and fails again counts one attempt more. On replay after a crash
    the same dead letter may be written twice; (topic, partition, offset) in its headers tells them as one.

    A compressed message arrives larger than it was published, so its letter may be over the limits that it
    kept itself. One that is cut then takes its place, with the beginning of the value, its length and hash;
    the whole lies where the headers say.
    """
    kept = tuple(header for header in message.headers if not header[0].startswith(PREFIX))
    reason = _reason(message, error, stage)
    letter = Outgoing(
        topic=topic,
        key=message.key,
        # Kafka's clients send no record that has neither key nor value.
        value=b"" if message.key is None and message.value is None else message.value,
        headers=kept + reason,
    )
    return replace(letter, if_too_large=partial(_cut, letter, reason))


def _cut(letter: Outgoing, reason: Headers) -> Outgoing:
    """Leave out whatever may be large: the end of the value, an overlong key, all headers but our own."""
    value = letter.value or b""
    size = {CUT_FROM_BYTES: str(len(value)), VALUE_SHA256: hashlib.sha256(value).hexdigest()}
    return replace(
        letter,
        key=letter.key if len(letter.key or b"") <= KEPT_KEY_BYTES else None,
        value=value[:KEPT_VALUE_BYTES],
        headers=(*reason, *((name, text.encode()) for name, text in size.items())),
        if_too_large=None,
    )


def _reason(message: Message, error: Exception, stage: str) -> Headers:
    retryable = isinstance(error, DiastoleError) and error.retriable
    reason = {
        ERROR_CODE: error_code(error),
        ERROR_MESSAGE: error_message(error),
        STAGE: stage,
        TOPIC: message.topic,
        PARTITION: str(message.partition),
        OFFSET: str(message.offset),
        ATTEMPT: str(_attempts_before(message.headers) + 1),
        RETRYABLE: str(retryable).lower(),
        APP_VERSION: version("diastole"),
    }
    return tuple((name, text.encode()) for name, text in reason.items())


def _attempts_before(headers: Headers) -> int:
    for name, text in headers:
        # Anybody may have written it: it may be no number, or one of so many digits that Python refuses it.
        if name == ATTEMPT and text is not None and text.isdigit() and len(text) <= _MOST_DIGITS:
            return int(text)
    return 0
