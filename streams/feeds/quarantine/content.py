"""The kept deliveries' bytes on ``ecg.quarantine-content.v1``: written in pieces, found again by offset.

A piece has the key ``<quarantine_id>:<opening>:<n>``. A delivery that comes again after it was discarded is
a new opening, so that the tombstones of the old one cannot hit it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import PoisonError
from schemas.quarantine import Piece
from streams.feeds.producer import BrokerUnavailableError
from streams.feeds.quarantine.fold import Entry
from streams.feeds.quarantine.sending import Sender
from streams.feeds.sealing import Sealer, SealError
from streams.topology import ECG_QUARANTINE_CONTENT

_PLAIN: Final = b"\x00"
_SEALED: Final = b"\x01"

_POLL_MS: Final = 500
_MOST_EMPTY_POLLS: Final = 20


class ContentGoneError(PoisonError):
    """The content is no longer on the topic."""

    code = "CONTENT_GONE"


def wrapped(plain: bytes, sealer: Sealer | None, context: str) -> bytes:
    """Seal bytes where there is a key; in either case the first byte says which."""
    return _PLAIN + plain if sealer is None else _SEALED + sealer.seal(plain, context.encode())


def unwrapped(kept: bytes, sealer: Sealer | None, context: str) -> bytes:
    """Undo :func:`wrapped`.

    Raises
    ------
    SealError
        When it is sealed and there is no key, or another one.
    """
    if kept.startswith(_PLAIN):
        return kept[1:]
    if sealer is None:
        raise SealError(
            "it is sealed and no key is set; "
            "set DIASTOLE_FEED_KEY_FILE to the key file of the gateway that kept it"
        )
    return sealer.open(kept[1:], context.encode())


class QuarantineContent:
    """Writes, finds and removes the pieces of deliveries.

    Parameters
    ----------
    consumer : AIOKafkaConsumer
        Started, without a group or an assignment; it is moved to each piece.
    sealer : Sealer or None
        None keeps content as it came.
    """

    def __init__(self, consumer: AIOKafkaConsumer, sender: Sender, sealer: Sealer | None) -> None:
        self._consumer = consumer
        self._sender = sender
        self._sealer = sealer
        self._seeking = asyncio.Lock()

    @property
    def is_sealed(self) -> bool:
        """Whether what is written can only be read with the key."""
        return self._sealer is not None

    async def write(self, quarantine_id: str, opening: int, pieces: Sequence[bytes]) -> tuple[Piece, ...]:
        """Write pieces in order, await every in-sync replica, and say where they lie.

        Raises
        ------
        BrokerUnavailableError
            When Kafka did not acknowledge; some may be written, and are written again with the next try.
        """
        places = []
        for n, piece in enumerate(pieces):
            kept = wrapped(piece, self._sealer, f"{quarantine_id}:{n}")
            at = await self._sender.send(ECG_QUARANTINE_CONTENT, _key(quarantine_id, opening, n), kept)
            places.append(Piece(partition=at.partition, offset=at.offset))
        return tuple(places)

    async def remove(self, entry: Entry) -> None:
        """Write tombstones for the pieces of this and every earlier opening; again changes nothing.

        Raises
        ------
        BrokerUnavailableError
            When Kafka did not acknowledge; remove it again.
        """
        for opening in range(1, entry.opening + 1):
            for n in range(len(entry.record.pieces)):
                await self._sender.send(ECG_QUARANTINE_CONTENT, _key(entry.quarantine_id, opening, n), None)

    async def read(self, entry: Entry) -> list[bytes]:
        """Read and open all pieces of a delivery.

        Raises
        ------
        ContentGoneError
            When a piece is no longer there.
        SealError
            When they do not open.
        BrokerUnavailableError
            When Kafka does not hand them out.
        """
        pieces = []
        async with self._seeking:
            for n, piece in enumerate(entry.record.pieces):
                kept = await self._find(piece, _key(entry.quarantine_id, entry.opening, n))
                pieces.append(unwrapped(kept, self._sealer, f"{entry.quarantine_id}:{n}"))
        return pieces

    async def _find(self, piece: Piece, key: bytes) -> bytes:
        at = TopicPartition(ECG_QUARANTINE_CONTENT, piece.partition)
        try:
            self._consumer.assign([at])
            # The embedded broker counts its last batch as one record: the piece itself is there in any case.
            end = max((await self._consumer.end_offsets([at]))[at], piece.offset + 1)
            self._consumer.seek(at, piece.offset)
            kept = await self._first_of(at, key, piece.offset, end)
        except KafkaError as error:
            raise BrokerUnavailableError(
                f"{ECG_QUARANTINE_CONTENT} cannot be read ({type(error).__name__}); check the broker"
            ) from error
        if not kept:
            raise ContentGoneError(
                f"its content is no longer on {ECG_QUARANTINE_CONTENT}; ask the source to send it again"
            )
        return kept

    async def _first_of(self, at: TopicPartition, key: bytes, offset: int, end: int) -> bytes | None:
        """Take the piece at its offset; if compaction removed it for a newer copy, the next of its key."""
        empty_polls = 0
        while empty_polls <= _MOST_EMPTY_POLLS and offset < end:
            fetched = await self._consumer.getmany(at, timeout_ms=_POLL_MS, max_records=1)
            for message in fetched.get(at, ()):
                if message.key == key:
                    value: bytes | None = message.value
                    return value
                offset = message.offset + 1
                end = max(end, self._consumer.highwater(at) or 0)
            empty_polls = 0 if fetched else empty_polls + 1
        if offset < end:
            raise BrokerUnavailableError(f"{ECG_QUARANTINE_CONTENT} hands nothing out; check the broker")
        return None


def _key(quarantine_id: str, opening: int, n: int) -> bytes:
    return f"{quarantine_id}:{opening}:{n}".encode()
