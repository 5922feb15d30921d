"""What to do about a dead letter, by the code of the error that made it one."""

from typing import Final

_REPLAY: Final = "then replay it"

#: By code. What is not here is an error nobody expected.
_ADVICE: Final = {
    "DECODE": (
        "Its bytes are no record of this topic: the publisher writes something else, or wrote it broken. "
        "Mend the publisher and let it send the ECG again; a replay of these bytes ends here again, unless "
        "they were good and the reader was at fault."
    ),
    "UNKNOWN_SCHEMA": (
        "Nobody knew the schema it names: the registry was another one, had lost it, or the publisher uses "
        "another. Check DIASTOLE_REGISTRY_URL of the workers and that the publisher registers its schema "
        f"there, {_REPLAY}."
    ),
    "INVALID_RECORD": (
        "It decodes, but says what cannot be; the message names field and rule. Mend the feed or publisher "
        "that filled the field and let it send the ECG again; a replay ends here again, unless a newer "
        "release takes it."
    ),
    "PAYLOAD_TOO_LARGE": (
        "It is larger than DIASTOLE_MAX_RECORD_BYTES of the workers. If it is an ECG, raise that setting "
        f"there (and the topic's max.message.bytes, if it is over that), {_REPLAY}."
    ),
    "EMPTY_RECORD": "It has no value, so there is nothing to score; find out which publisher sends such.",
    "UNREADABLE_SAMPLES": (
        "Its samples cannot be conditioned; the message says why. Look at the cart or converter it came "
        "from. A replay ends here again, unless a newer release takes it."
    ),
    "STATE_DAMAGED": (
        "What the alert stage remembers of this patient cannot be read. Write a record without a value under "
        "the patient's key to ecg.alert-state.v1 and restart the alert workers: the patient then counts as "
        f"never scored, {_REPLAY}."
    ),
    "MEMORY": (
        f"It did not fit into memory even alone. Give the worker more memory, or device memory, {_REPLAY}."
    ),
    "DEVICE_MEMORY": f"It did not fit into the device's memory even alone. Give the worker more, {_REPLAY}.",
}

_RETRYABLE: Final = f"What it needed was away for too long. See that it is back (diastole doctor), {_REPLAY}."
_UNEXPECTED: Final = (
    "An error nobody expected; the log of the stage says where it was raised. Report it with that line, and "
    "replay it after a release that mends it."
)


def what_to_do(code: str, *, is_retryable: bool) -> str:
    """Say what to do about a dead letter of this code.

    >>> what_to_do("EMPTY_RECORD", is_retryable=False)[:19]
    'It has no value, so'
    """
    known = _ADVICE.get(code)
    if known is not None:
        return known
    return _RETRYABLE if is_retryable else _UNEXPECTED
