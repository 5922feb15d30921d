"""What a replay publishes, and what it does not publish and why: decided here, done in ``ops.dlq.desk``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ops.dlq.letter import DeadLetter, Place, headers_as_received
from streams.dead_letters import ATTEMPT, PREFIX
from streams.message import Headers, Message, Outgoing
from streams.topology import ALL_ROUTES

#: Says of a replayed message which dead letter it was. Stages drop it, as every header of this prefix.
REPLAYED_FROM: Final = f"{PREFIX}replayed_from"

#: Where messages may be put back, each with the dead-letter topics of those that read it.
_DEAD_LETTERS_OF: Final[Mapping[str, frozenset[str]]] = {
    route.consumes: frozenset(
        other.dead_letters for other in ALL_ROUTES.values() if other.consumes == route.consumes
    )
    for route in ALL_ROUTES.values()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """That a message was put back: noted under the place it came from, which all its dead letters share."""

    origin: Place
    at: datetime
    by: str
    became: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What workers and topics take, as far as this process knows.

    Attributes
    ----------
    max_record_bytes : int
        Larger values are dead-lettered undecoded.
    """

    max_record_bytes: int


def refusal(letter: DeadLetter, limits: Limits) -> str | None:
    """Say why a letter cannot be replayed; None when it can."""
    if letter.origin is None:
        return "it does not say where it came from; it was not written by a stage of Diastole"
    if letter.place.topic not in _DEAD_LETTERS_OF.get(letter.origin.topic, frozenset()):
        return f"no stage reads {letter.origin.topic} and writes its dead letters to {letter.place.topic}"
    if letter.is_cut:
        return (
            f"it holds only the first {letter.size_bytes} of {letter.cut_from_bytes} bytes; the whole lies "
            f"at {letter.origin} for as long as that topic keeps it: send the ECG again from its source"
        )
    if letter.code == "EMPTY_RECORD" or not letter.size_bytes:
        return "it has no value, so no replay can make an ECG of it"
    if letter.size_bytes > limits.max_record_bytes:
        return (
            f"it has {letter.size_bytes} bytes and DIASTOLE_MAX_RECORD_BYTES is {limits.max_record_bytes} "
            "here; raise it for the workers and for this command, then replay it"
        )
    return None


def replayed_message(letter: DeadLetter, origin: Place, message: Message, n_partitions: int) -> Outgoing:
    """Put a message back as it came: key, value and headers byte for byte, two headers of ours behind them.

    It goes to the partition it came from, so that a patient keeps one; where that is no longer there, the key
    decides. The headers tell the stage how often it was tried, and whoever looks which letter it was.

    Parameters
    ----------
    origin : Place
        Where it came from, as the letter says.
    n_partitions : int
        Of that topic, now.
    """
    ours: Headers = (
        (ATTEMPT, str(letter.attempt).encode()),
        (REPLAYED_FROM, str(letter.place).encode()),
    )
    return Outgoing(
        topic=origin.topic,
        key=message.key,
        value=message.value,
        headers=headers_as_received(message.headers) + ours,
        partition=origin.partition if origin.partition < n_partitions else None,
    )


def one_of_each(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Keep the newest letter of each message: two stages may have refused it, or one twice after a crash."""
    newest = {letter.origin or letter.place: letter for letter in letters}
    return [letter for letter in letters if newest[letter.origin or letter.place] is letter]


def not_yet(letters: Sequence[DeadLetter], replays: Mapping[Place, Replay]) -> list[DeadLetter]:
    """Leave out those whose message was put back before."""
    return [letter for letter in letters if letter.origin not in replays]
