"""Which ECGs are on ``ecg.recorded.v1`` already, so that a delivery that comes again is written once."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, NoReturn, Protocol

import structlog
from aiokafka.errors import KafkaError

from schemas.codec import Codec
from schemas.errors import PoisonError, RetriableError
from streams.access import Broker
from streams.adapters.kafka_trouble import told
from streams.feeds.filing import Filed, digest_of
from streams.feeds.producer import BrokerUnavailableError, no_broker
from streams.feeds.recorded_log import CatchingUp, RecordedLog, key_of
from streams.feeds.repeat_notes import Key, NotesUnusableError, RepeatNotes
from streams.stage import UtcClock, utc_now
from streams.topology import ECG_RECORDED

log = structlog.get_logger()

#: After a gateway that was killed, a write of it may still lie unread in the broker's socket: the broker
#: takes it within milliseconds of answering anybody, so the end is looked at once more after this long, s.
_SETTLE_S: Final = 1.0

NOTES_FILE: Final = "repeats.sqlite"


class FollowsLog(Protocol):
    """Notes what is on the log."""

    def require_following(self) -> None:
        """Return while it notes what comes; raises RetriableError otherwise."""

    async def until_ended(self) -> None:
        """Return when it notes nothing more."""
        ...

    @property
    def is_answered(self) -> bool:
        """Whether Kafka answered within the last seconds."""
        ...

    @property
    def n_begun(self) -> int:
        """How often the notes were begun anew since it started."""
        ...

    async def catch_up(self) -> None:
        """Return once everything is noted that was on the log when this was called."""
        ...


class RepeatsIndex:
    """Answers from notes of the log, and asks the log itself where the notes cannot know.

    Deliveries of one id wait for each other. Several gateways learn of each other's ECGs from the log; what
    two of them send within the milliseconds that following takes, both may write.
    """

    def __init__(self, notes: RepeatNotes, recorded: FollowsLog, now: UtcClock = utc_now) -> None:
        self._notes = notes
        self._recorded = recorded
        self._now = now
        self._unclear: set[Key] = set()
        self._held: dict[Key, _Queue] = {}
        self._n_begun = recorded.n_begun
        self._broken: NotesUnusableError | None = None
        self._broke = asyncio.Event()

    @asynccontextmanager
    async def claim(self, ecg_id: str, patient_id: str) -> AsyncIterator[Filed | None]:
        """Hold the id while the context lasts; see :meth:`streams.feeds.ports.KnowsRepeats.claim`.

        A PoisonError within means that nothing was sent; after any other, cancellation too, the next claim
        reads the log to its end before it answers, however long Kafka takes: the caller bounds the waiting.
        """
        key = key_of(ecg_id)
        async with self._holding(key):
            self._require_following()
            await self._make_clear(key)
            if (filed := self._find(key)) is not None:
                yield filed
                return
            try:
                yield None
            except PoisonError:
                raise
            except BaseException:
                self._unclear.add(key)
                raise
            self._note(key, digest_of(patient_id))

    async def until_over(self) -> NoReturn:
        """Wait until what others write is not learnt of any more; only a fresh process helps then.

        Raises
        ------
        RetriableError
            Then.
        """
        ends = [asyncio.create_task(end) for end in (self._recorded.until_ended(), self._until_broken())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        self._require_following()
        raise AssertionError("it ended and goes on")

    @property
    def is_following(self) -> bool:
        """Whether what others write is still learnt of; if not, only a fresh process helps."""
        try:
            self._require_following()
        except RetriableError:
            return False
        return True

    @property
    def held_up_by(self) -> str | None:
        """Code of what keeps it from answering at this moment; None when nothing does."""
        return None if self._recorded.is_answered else BrokerUnavailableError.code

    @property
    def n_unclear(self) -> int:
        """Ids of which it is not known whether they arrived."""
        return len(self._unclear)

    async def _make_clear(self, key: Key) -> None:
        """Look at the log where the notes cannot know: an unclear send, or a log that is read anew."""
        n_begun = self._recorded.n_begun
        if key not in self._unclear and n_begun == self._n_begun:
            return
        await self._recorded.catch_up()
        self._unclear.discard(key)
        self._n_begun = max(n_begun, self._n_begun)

    def _require_following(self) -> None:
        if self._broken is not None:
            raise self._broken
        self._recorded.require_following()

    async def _until_broken(self) -> None:
        await self._broke.wait()

    def _find(self, key: Key) -> Filed | None:
        try:
            return self._notes.find(key)
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: sqlite3.DatabaseError) -> NotesUnusableError:
        """Say why the notes do not serve; damaged ones never will, and are begun anew by a fresh process."""
        is_passing = isinstance(error, sqlite3.OperationalError)
        then = (
            "look at the disk of DIASTOLE_HOME"
            if is_passing
            else "start this feed again, it begins them anew"
        )
        unusable = NotesUnusableError(
            f"what was noted of {ECG_RECORDED} cannot be used ({type(error).__name__}); {then}"
        )
        if not is_passing:
            self._broken = unusable
            self._broke.set()
        return unusable

    def _note(self, key: Key, patient: bytes) -> None:
        try:
            self._notes.note([(key, int(self._now().timestamp()), patient)])
        except sqlite3.DatabaseError as error:
            # It is on the log; with a full disk that is asked instead.
            self._unclear.add(key)
            self._unusable(error)
            log.warning("repeat_not_noted", reason=type(error).__name__, then="free space in DIASTOLE_HOME")

    @asynccontextmanager
    async def _holding(self, key: Key) -> AsyncIterator[None]:
        queue = self._held.setdefault(key, _Queue())
        queue.length += 1
        try:
            async with queue.turn:
                yield
        finally:
            queue.length -= 1
            if not queue.length:
                del self._held[key]


class _Queue:
    """Those who want the same id."""

    __slots__ = ("length", "turn")

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0


@asynccontextmanager
async def open_repeats(
    broker: Broker,
    codec: Codec,
    folder: Path,
    window: timedelta,
    *,
    on_progress: CatchingUp = lambda read, due: None,
    now: UtcClock = utc_now,
) -> AsyncIterator[RepeatsIndex]:
    """Read the log from where the notes end to its end, then yield the index and follow on.

    Parameters
    ----------
    folder : Path
        Of the feed, below ``DIASTOLE_HOME``; losing it costs reading ``window`` of the log again.
    on_progress : callable
        Called while catching up with the offsets read and those due.

    Raises
    ------
    BrokerUnavailableError
        When no broker answers.
    NotesUnusableError
        When the notes cannot be opened at this moment.
    ConfigurationError
        When there is no such topic.
    """
    with RepeatNotes(folder / NOTES_FILE) as notes:
        was_orderly = notes.begin()
        recorded = RecordedLog(broker, notes, codec, window, now)
        try:
            await _start(recorded, broker)
            await recorded.catch_up(on_progress)
            if not was_orderly:
                await asyncio.sleep(_SETTLE_S)
                await recorded.catch_up()
            index = RepeatsIndex(notes, recorded, now)
            log.info("repeats_known", ecgs=len(notes))
            yield index
            if not index.n_unclear and index.is_following:
                _end_in_order(notes)
        finally:
            await recorded.close()


def _end_in_order(notes: RepeatNotes) -> None:
    try:
        notes.end_in_order()
    except sqlite3.DatabaseError as error:
        # The next start then looks at the log once more, as after a kill.
        log.warning("end_not_noted", reason=type(error).__name__, then="look at the disk of DIASTOLE_HOME")


async def _start(recorded: RecordedLog, broker: Broker) -> None:
    try:
        await recorded.start()
    except (KafkaError, OSError) as error:
        raise await told(broker, no_broker(broker, error)) from None
