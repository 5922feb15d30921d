"""Following ``ecg.recorded.v1``: every id on it is noted, and who asks is told when the end is reached.

The key of each record is its patient's identifier, so that under whom an ECG is there is noted too.
"""

import asyncio
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from schemas.codec import Codec
from schemas.errors import ConfigurationError, DiastoleError, PoisonError, RetriableError
from schemas.recorded import EcgRecorded
from streams.access import Broker, client_options
from streams.adapters.topic_partitions import partitions_of
from streams.feeds.filing import digest_of
from streams.feeds.pulse import Pulse
from streams.feeds.repeat_notes import Key, ReadUpTo, RepeatNotes
from streams.stage import UtcClock
from streams.topology import ECG_RECORDED

T = TypeVar("T")
log = structlog.get_logger()

_POLL_MS: Final = 200
#: The embedded broker sits an empty fetch out; Apache Kafka answers at once when something arrives.
_FETCH_MS: Final = 50
_REQUEST_MS: Final = 10_000
_AGAIN_S: Final = 0.2
_DISK_AGAIN_S: Final = 2.0
#: How often it is looked whether the topic was given more partitions, and old ids are dropped, s.
_LOOK_S: Final = 300.0

_PREFIX: Final = f"{EcgRecorded.__name__}:".encode()

#: Called with the offsets read and those due while catching up.
CatchingUp = Callable[[int, int], None]


class FollowingEndedError(RetriableError):
    """Nobody follows the log; whether an ECG is on it cannot be said."""

    code = "FOLLOWING_ENDED"


class RecordedLog:
    """A consumer without a group that reads ``ecg.recorded.v1`` from where the notes end, for ever.

    The log is the truth and the notes follow it. A log that was cut, or made anew under its name, is
    recognised by offsets out of range or by another record where the notes end; then all is read again.

    Parameters
    ----------
    window : timedelta
        Without notes it begins this far back; ids older than that are dropped.
    """

    def __init__(
        self, broker: Broker, notes: RepeatNotes, codec: Codec, window: timedelta, now: UtcClock
    ) -> None:
        self._broker = broker
        self._notes = notes
        self._codec = codec
        self._window = window
        self._now = now
        self._consumer = AIOKafkaConsumer(
            **client_options(broker),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            request_timeout_ms=_REQUEST_MS,
            fetch_max_wait_ms=_FETCH_MS,
            max_partition_fetch_bytes=4 * 2**20,
        )
        self._partitions: list[TopicPartition] = []
        self._positions: dict[TopicPartition, int] = {}
        self._known: dict[TopicPartition, ReadUpTo] = {}
        self._n_begun = 0
        self._pulse = Pulse(lambda: self._consumer.end_offsets(self._partitions))
        self._moved = asyncio.Condition()
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and begin to follow.

        Raises
        ------
        KafkaError
            When no broker answers.
        ConfigurationError
            When there is no such topic.
        """
        self._partitions = await partitions_of(self._broker, ECG_RECORDED, _REQUEST_MS)
        await self._consumer.start()
        self._consumer.assign(self._partitions)
        await self._seek()
        self._following = asyncio.create_task(self._follow())
        self._following.add_done_callback(_say_end)
        self._pulse.start()

    async def close(self) -> None:
        """Stop following; the notes stay as far as they are."""
        await self._pulse.stop()
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})
        await self._consumer.stop()

    def require_following(self) -> None:
        """Return while the log is followed; what came since would not be known otherwise.

        Raises
        ------
        FollowingEndedError
        """
        if self._following is None or self._following.done():
            raise FollowingEndedError(
                f"{ECG_RECORDED} is not followed any more, so that repeats would not be known; "
                "start this feed again (a supervisor does that by itself)"
            )

    async def until_ended(self) -> None:
        """Return when the log is not followed any more, by :meth:`close` too."""
        if self._following is not None:
            await asyncio.wait({self._following})

    @property
    def is_answered(self) -> bool:
        """Whether Kafka answered within the last seconds."""
        return self._pulse.is_answered

    @property
    def n_begun(self) -> int:
        """How often it was begun anew because it was another log: the notes were empty then."""
        return self._n_begun

    async def catch_up(self, on_progress: CatchingUp = lambda read, due: None) -> None:
        """Return once everything is noted that was on the log when this was called; waits for Kafka.

        Raises
        ------
        FollowingEndedError
            When nobody follows the log any more.
        """
        ends: dict[TopicPartition, int] = await self._until_told(
            lambda: self._consumer.end_offsets(self._partitions)
        )
        begins, is_first = dict(self._positions), True
        async with self._moved:
            while left := sum(max(end - self._positions.get(tp, 0), 0) for tp, end in ends.items()):
                self.require_following()
                due = sum(max(end - begins.get(tp, 0), 0) for tp, end in ends.items())
                on_progress(due - left, due)
                await self._moved.wait()
                if is_first:
                    # The embedded broker's list of ends counts its last batch as one record; what comes with
                    # a fetch is right on every broker. Taken once, or the end would run ahead for ever.
                    ends = {tp: max(end, self._consumer.highwater(tp) or 0) for tp, end in ends.items()}
                    is_first = False

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        look_at = clock() + _LOOK_S
        try:
            while True:
                await self._read_some()
                if clock() > look_at:
                    look_at = clock() + _LOOK_S
                    await self._look()
        finally:
            async with self._moved:
                self._moved.notify_all()

    async def _read_some(self) -> None:
        try:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            for tp, records in fetched.items():
                await self._take(tp, records)
            positions = {tp: await self._consumer.position(tp) for tp in self._partitions}
        except _AnotherLogError as error:
            await self._begin_anew(str(error))
            return
        except OffsetOutOfRangeError as error:
            await self._recover(error)
            return
        except sqlite3.OperationalError as error:
            await self._wait_for_disk(error)
            return
        except KafkaError:
            await asyncio.sleep(_AGAIN_S)
            return
        async with self._moved:
            self._positions = positions
            self._moved.notify_all()

    async def _wait_for_disk(self, error: sqlite3.OperationalError) -> None:
        log.warning("log_not_noted", reason=type(error).__name__, then="free space in DIASTOLE_HOME")
        for tp, position in self._positions.items():
            self._consumer.seek(tp, position)
        await asyncio.sleep(_DISK_AGAIN_S)

    async def _take(self, tp: TopicPartition, records: Sequence[Any]) -> None:
        keys = [await self._key_of(record) for record in records]
        _require_same_log(self._known.pop(tp, None), records[0].offset, keys[0])
        ids = [
            (key, record.timestamp // 1000, digest_of(record.key) if record.key else b"")
            for key, record in zip(keys, records, strict=True)
            if key
        ]
        self._notes.note(ids, {tp.partition: ReadUpTo(next_offset=records[-1].offset + 1, last_id=keys[-1])})

    async def _key_of(self, record: Any) -> Key:
        """Key of one record; empty when it is no ECG."""
        for name, text in record.headers:
            if name == "ce_id" and text is not None and text.startswith(_PREFIX):
                return key_of(text.removeprefix(_PREFIX).decode("ascii", "replace"))
        while True:
            try:
                ecg = self._codec.decode(record.value or b"", EcgRecorded, headers=tuple(record.headers))
                return key_of(ecg.ecg_id)
            except PoisonError:
                return b""
            except RetriableError:
                await asyncio.sleep(_AGAIN_S)

    async def _seek(self) -> None:
        """Go to where the notes end, or back by the window where there are none."""
        begins = await self._consumer.beginning_offsets(self._partitions)
        ends = await self._consumer.end_offsets(self._partitions)
        known = self._notes.read_up_to()
        noted = {tp: known[tp.partition] for tp in self._partitions if tp.partition in known}
        if any(at.next_offset > ends[tp] for tp, at in noted.items()):
            await self._begin_anew("the notes end behind its end")
            return
        starts = await self._window_starts(begins, ends) if len(noted) < len(self._partitions) else {}
        self._known = {}
        for tp in self._partitions:
            start = starts[tp] if tp not in noted else self._seen_again(tp, noted[tp], begins[tp])
            self._consumer.seek(tp, start)
            self._positions[tp] = start

    def _seen_again(self, tp: TopicPartition, at: ReadUpTo, begin: int) -> int:
        """Where to go on: at the last record noted, where it is still there to be compared."""
        if at.last_id and begin < at.next_offset:
            self._known[tp] = at
            return at.next_offset - 1
        return max(at.next_offset, begin)

    async def _window_starts(
        self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        since_ms = max(int((self._now() - self._window).timestamp() * 1000), 0)
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._partitions, since_ms))
        # The embedded broker may not know; reading from the beginning is then never wrong.
        return {
            tp: max(begins[tp], found[tp].offset if found[tp] is not None else ends[tp])
            for tp in self._partitions
        }

    async def _recover(self, error: OffsetOutOfRangeError) -> None:
        """Retention overtook the reading, or the log was cut behind it."""
        (wrong,) = error.args
        begins = await self._until_told(lambda: self._consumer.beginning_offsets(list(wrong)))
        if any(offset > begins[tp] for tp, offset in wrong.items()):
            await self._begin_anew("it ends before what was read")
            return
        for tp, begin in begins.items():
            self._consumer.seek(tp, begin)

    async def _begin_anew(self, why: str) -> None:
        log.warning("recorded_log_replaced", topic=ECG_RECORDED, reason=why, then="reading it anew")
        self._n_begun += 1
        self._notes.forget_all()
        await self._until_told(self._seek)

    async def _look(self) -> None:
        self._notes.forget_before(int((self._now() - self._window).timestamp()))
        try:
            partitions = await partitions_of(self._broker, ECG_RECORDED, _REQUEST_MS)
        except (KafkaError, OSError, ConfigurationError):
            return
        if len(partitions) > len(self._partitions):
            self._partitions = partitions
            self._consumer.assign(partitions)
            await self._until_told(self._seek)

    async def _until_told(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await ask()
            except KafkaError:
                await asyncio.sleep(_AGAIN_S)


def _say_end(following: "asyncio.Task[None]") -> None:
    if following.cancelled():
        return
    error = following.exception()
    # Its type alone: of what is none of ours, the text may quote what was read.
    reason = str(error) if isinstance(error, DiastoleError) else type(error).__name__
    log.error("following_ended", topic=ECG_RECORDED, reason=reason, then="this process ends")


class _AnotherLogError(Exception):
    """The record where the notes end is another one."""


def _require_same_log(known: ReadUpTo | None, offset: int, key: Key) -> None:
    if known is not None and offset == known.next_offset - 1 and key != known.last_id:
        raise _AnotherLogError("another record where the notes end")


def key_of(ecg_id: str) -> Key:
    """Shorten an ecg_id to its 16 bytes; empty when it is none.

    >>> len(key_of("c2c2a1f0-0a3e-5b0e-8a51-d0a7d7c0f1aa")), key_of("?")
    (16, b'')
    """
    try:
        return uuid.UUID(ecg_id).bytes
    except ValueError:
        return b""
