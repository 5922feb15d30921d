import asyncio
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RetriableError
from streams.feeds.filing import Filed, digest_of
from streams.feeds.recorded_log import key_of
from streams.feeds.refusal import FeedRefusedError
from streams.feeds.repeat_notes import NotedId, NotesUnusableError, ReadUpTo, RepeatNotes
from streams.feeds.repeats import RepeatsIndex

NOW = datetime(2026, 3, 2, tzinfo=UTC)
AT_S = int(NOW.timestamp())
PATIENT = "P-1"
OF_PATIENT = digest_of(PATIENT)


def named(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


class FakeLog:
    """What is on the log; catching up notes it."""

    def __init__(self, notes: RepeatNotes) -> None:
        self.on_it: list[str] = []
        self.n_caught_up = 0
        self.n_begun = 0
        self.is_answered = True
        self._notes = notes
        self.end = asyncio.Event()

    def require_following(self) -> None:
        if self.end.is_set():
            raise RetriableError("ended")

    async def until_ended(self) -> None:
        await self.end.wait()

    async def catch_up(self) -> None:
        await asyncio.sleep(0)
        self.n_caught_up += 1
        self._notes.note([(key_of(ecg_id), AT_S, OF_PATIENT) for ecg_id in self.on_it])


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[RepeatNotes]:
    with RepeatNotes(tmp_path / "feed" / "repeats.sqlite") as opened:
        yield opened


@pytest.fixture
def recorded(notes: RepeatNotes) -> FakeLog:
    return FakeLog(notes)


@pytest.fixture
def index(notes: RepeatNotes, recorded: FakeLog) -> RepeatsIndex:
    return RepeatsIndex(notes, recorded, lambda: NOW)


async def test_an_id_is_there_once_it_was_sent(index: RepeatsIndex, recorded: FakeLog) -> None:
    async with index.claim(named(1), PATIENT) as is_there:
        assert not is_there
    async with index.claim(named(1), PATIENT) as is_there:
        assert is_there
    async with index.claim(named(2), PATIENT) as is_there:
        assert not is_there
    assert recorded.n_caught_up == 0, "what is clear needs no look at the log"


async def test_under_whom_it_is_there_is_known(index: RepeatsIndex, notes: RepeatNotes) -> None:
    async with index.claim(named(1), PATIENT):
        pass
    async with index.claim(named(1), "P-2") as filed:
        assert filed == Filed(patient=OF_PATIENT)
    notes.note([(key_of(named(1)), AT_S, digest_of("P-2")), (key_of(named(2)), AT_S, b"")])
    async with index.claim(named(1), "P-2") as filed:
        assert filed == Filed(patient=OF_PATIENT), "the first word stays"
    async with index.claim(named(2), PATIENT) as filed:
        assert filed == Filed(), "there, and nobody knows under whom"


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("error", [RetriableError("late"), asyncio.CancelledError(), TimeoutError()])
async def test_after_an_unclear_send_the_log_decides(
    index: RepeatsIndex, recorded: FakeLog, arrived: bool, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        async with index.claim(named(1), PATIENT):
            raise error
    assert index.n_unclear == 1
    recorded.on_it = [named(1)] if arrived else []
    async with index.claim(named(1), PATIENT) as is_there:
        assert (is_there is not None) is arrived
    assert (recorded.n_caught_up, index.n_unclear) == (1, 0)


async def test_a_look_at_the_log_that_is_cut_is_done_again(index: RepeatsIndex, recorded: FakeLog) -> None:
    with pytest.raises(RetriableError):
        async with index.claim(named(1), PATIENT):
            raise RetriableError("late")
    recorded.on_it = [named(1)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), index.claim(named(1), PATIENT):
            raise AssertionError("unreachable")
    async with index.claim(named(1), PATIENT) as is_there:
        assert is_there


async def test_a_refusal_leaves_nothing_unclear(index: RepeatsIndex, recorded: FakeLog) -> None:
    with pytest.raises(FeedRefusedError):
        async with index.claim(named(1), PATIENT):
            raise FeedRefusedError("too long")
    async with index.claim(named(1), PATIENT) as is_there:
        assert not is_there
    assert recorded.n_caught_up == 0


async def test_one_holds_an_id_at_a_time_and_others_do_not_wait(index: RepeatsIndex) -> None:
    holding, sent = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with index.claim(named(1), PATIENT):
            holding.set()
            await sent.wait()

    async def claimed(number: int) -> bool:
        async with index.claim(named(number), PATIENT) as is_there:
            return is_there is not None

    sending = asyncio.create_task(first())
    await holding.wait()
    same = [asyncio.create_task(claimed(1)) for _ in range(3)]
    assert await claimed(2) is False
    assert not any(task.done() for task in same)
    sent.set()
    await sending
    assert await asyncio.gather(*same) == [True] * 3


async def test_who_waited_for_a_send_that_failed_sends_itself(index: RepeatsIndex) -> None:
    sent: list[bool] = []

    async def send(*, fails: bool) -> None:
        async with index.claim(named(1), PATIENT) as is_there:
            await asyncio.sleep(0)
            if fails:
                raise RetriableError("late")
            sent.append(is_there is not None)

    told = await asyncio.gather(
        send(fails=True), send(fails=False), send(fails=False), return_exceptions=True
    )
    assert isinstance(told[0], RetriableError)
    assert sent == [False, True]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["sent", "lost", "cut", "told"])), max_size=40),
)
async def test_every_id_is_written_once_whatever_goes_wrong(sends: list[tuple[int, str]]) -> None:
    """``cut``: written, and the sender never learnt of it; ``lost``: not written, likewise."""
    with RepeatNotes(Path(":memory:")) as notes:
        recorded = FakeLog(notes)
        index = RepeatsIndex(notes, recorded, lambda: NOW)
        for number, how in sends:
            try:
                async with index.claim(named(number), PATIENT) as is_there:
                    if not is_there and how != "lost":
                        recorded.on_it.append(named(number))
                    if how in ("lost", "cut"):
                        raise RetriableError("late")
            except RetriableError:
                continue
        assert len(set(recorded.on_it)) == len(recorded.on_it)


async def test_an_index_that_learns_no_more_answers_no_more(index: RepeatsIndex, recorded: FakeLog) -> None:
    assert index.is_following
    recorded.end.set()
    assert not index.is_following
    with pytest.raises(RetriableError):
        async with index.claim(named(1), PATIENT):
            raise AssertionError("unreachable")


async def test_its_end_is_told_to_whoever_waits_for_it(index: RepeatsIndex, recorded: FakeLog) -> None:
    waiting = asyncio.create_task(index.until_over())
    await asyncio.sleep(0)
    assert not waiting.done()
    recorded.end.set()
    with pytest.raises(RetriableError):
        await asyncio.wait_for(waiting, 10.0)


async def test_a_log_begun_anew_is_read_to_its_end_before_anybody_is_answered(
    index: RepeatsIndex, recorded: FakeLog
) -> None:
    recorded.on_it = [named(1)]
    recorded.n_begun = 1
    async with index.claim(named(1), PATIENT) as is_there:
        assert is_there
    async with index.claim(named(2), PATIENT) as is_there:
        assert not is_there
    assert recorded.n_caught_up == 1


async def test_it_says_what_holds_it_up(index: RepeatsIndex, recorded: FakeLog) -> None:
    assert index.held_up_by is None
    recorded.is_answered = False
    assert index.held_up_by == "BROKER_UNAVAILABLE"


async def test_notes_that_cannot_be_read_are_a_reason_to_come_again(
    notes: RepeatNotes, index: RepeatsIndex
) -> None:
    notes._opened.execute("DROP TABLE ids")
    with pytest.raises(NotesUnusableError, match="DIASTOLE_HOME"):
        async with index.claim(named(1), PATIENT):
            raise AssertionError("unreachable")
    assert index.n_unclear == 0


@pytest.mark.parametrize("is_there", [True, False])
async def test_damaged_notes_end_it_and_lose_no_send(
    notes: RepeatNotes, recorded: FakeLog, index: RepeatsIndex, *, is_there: bool
) -> None:
    """They are found damaged before a send, or after it; a fresh process begins them anew."""
    waiting = asyncio.create_task(index.until_over())
    if is_there:
        async with index.claim(named(1), PATIENT) as there:
            assert not there
            notes._opened.close()  # sqlite3.ProgrammingError from now on: no matter of the disk
    else:
        notes._opened.close()
    for _ in range(2):
        with pytest.raises(NotesUnusableError, match="start this feed again"):
            async with index.claim(named(2), PATIENT):
                raise AssertionError("unreachable")
    assert not index.is_following
    with pytest.raises(NotesUnusableError):
        await asyncio.wait_for(waiting, 10.0)


def test_notes_that_another_holds_are_waited_for_and_stay(tmp_path: Path) -> None:
    file = tmp_path / "repeats.sqlite"
    with RepeatNotes(file) as notes:
        notes.note([(key_of(named(1)), AT_S, OF_PATIENT)])
    (tmp_path / "blocked").write_text("a file, no folder")
    with pytest.raises(NotesUnusableError, match="DIASTOLE_HOME"):
        RepeatNotes(tmp_path / "blocked" / "repeats.sqlite")
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(NotesUnusableError, match="no other gateway"):
            RepeatNotes(file, busy_s=0.01)
    with RepeatNotes(file) as notes:
        assert key_of(named(1)) in notes


def test_a_file_damaged_within_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "repeats.sqlite"
    with RepeatNotes(file) as notes:
        notes.note((key_of(named(number)), AT_S, OF_PATIENT) for number in range(2000))
    content = bytearray(file.read_bytes())
    content[4096 * 4 : 4096 * 8] = b"\x5a" * (4096 * 4)
    file.write_bytes(content)
    with RepeatNotes(file) as notes:
        assert len(notes) == 0


def test_notes_are_there_after_a_kill_as_far_as_they_were_read(tmp_path: Path) -> None:
    file = tmp_path / "repeats.sqlite"
    killed = RepeatNotes(file)
    killed.note(
        [(key_of(named(1)), AT_S, OF_PATIENT)], {0: ReadUpTo(next_offset=7, last_id=key_of(named(1)))}
    )
    with RepeatNotes(file) as notes:
        assert key_of(named(1)) in notes
        assert notes.read_up_to() == {0: ReadUpTo(next_offset=7, last_id=key_of(named(1)))}
    killed.__exit__(None, None, None)


def test_ids_and_offsets_are_noted_together_or_not_at_all(notes: RepeatNotes) -> None:
    def ids() -> Iterator[NotedId]:
        yield key_of(named(1)), AT_S, OF_PATIENT
        raise sqlite3.OperationalError("disk full")

    with pytest.raises(sqlite3.OperationalError):
        notes.note(ids(), {0: ReadUpTo(next_offset=7)})
    assert len(notes) == 0
    assert notes.read_up_to() == {}


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "repeats.sqlite"
    file.write_bytes(b"no database" * 1000)
    with RepeatNotes(file) as notes:
        assert len(notes) == 0
        notes.note([(key_of(named(1)), AT_S, OF_PATIENT)])
        assert key_of(named(1)) in notes


def test_ids_leave_with_the_window(notes: RepeatNotes) -> None:
    notes.note([(key_of(named(1)), AT_S - 10, OF_PATIENT), (key_of(named(2)), AT_S, OF_PATIENT)])
    notes.forget_before(AT_S)
    assert key_of(named(1)) not in notes
    assert key_of(named(2)) in notes


def began(file: Path) -> tuple[RepeatNotes, bool]:
    """Open notes as a process of its own does, which :func:`killed` kills."""
    notes = RepeatNotes(file)
    return notes, notes.begin()


def killed(notes: RepeatNotes) -> None:
    """Leave as a process that is killed: its files are closed, nothing is said."""
    notes.__exit__(None, None, None)


def ended(notes: RepeatNotes) -> None:
    notes.end_in_order()
    killed(notes)


def test_only_a_gateway_that_ended_in_order_left_nothing_on_its_way(tmp_path: Path) -> None:
    told = []
    for leave in (killed, ended, ended, killed, ended):
        notes, is_clear = began(tmp_path / "repeats.sqlite")
        told.append(is_clear)
        leave(notes)
    assert told == [False, False, True, True, False], "of what ran before the first one nothing is known"


@pytest.mark.parametrize("ends_last", [True, False])
def test_the_orderly_end_of_one_gateway_does_not_count_for_another_on_the_same_notes(
    tmp_path: Path, *, ends_last: bool
) -> None:
    file = tmp_path / "repeats.sqlite"
    ended(began(file)[0])
    (one, is_clear), (other, is_clear_beside) = began(file), began(file)
    assert (is_clear, is_clear_beside) == (True, False), "who runs beside it may be killed at any time"
    for notes, leave in [(one, killed), (other, ended)] if ends_last else [(other, ended), (one, killed)]:
        leave(notes)
    third, is_clear = began(file)
    assert not is_clear
    ended(third)
    fourth, is_clear = began(file)
    assert is_clear, "the third looked at the log, and all have ended in order since"
    ended(fourth)


def test_one_that_was_killed_beside_others_is_remembered_until_nobody_runs(tmp_path: Path) -> None:
    file = tmp_path / "repeats.sqlite"
    ended(began(file)[0])
    one, other = began(file)[0], began(file)[0]
    killed(one)
    again, is_clear = began(file)
    assert not is_clear
    ended(again)
    ended(other)
    last, is_clear = began(file)
    assert not is_clear
    ended(last)


def test_a_gateway_that_finds_no_place_to_hold_says_so(tmp_path: Path) -> None:
    (tmp_path / "repeats.lock").mkdir()
    with (
        RepeatNotes(tmp_path / "repeats.sqlite") as notes,
        pytest.raises(NotesUnusableError, match="DIASTOLE_HOME"),
    ):
        notes.begin()


def test_notes_of_an_older_version_are_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "repeats.sqlite"
    with closing(sqlite3.connect(file)) as older, older:
        older.executescript(
            "CREATE TABLE ids (id BLOB PRIMARY KEY, at_s INTEGER NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE read_up_to (partition INTEGER PRIMARY KEY, next_offset INTEGER, last_id BLOB);"
            "CREATE TABLE orderly (ended INTEGER PRIMARY KEY);"
            "INSERT INTO read_up_to VALUES (0, 7, x''); INSERT INTO orderly VALUES (1);"
        )
        older.execute("INSERT INTO ids VALUES (?, ?)", (key_of(named(1)), AT_S))
    for n_noted in (0, 1):
        with RepeatNotes(file) as notes:
            assert len(notes) == n_noted
            assert (notes.read_up_to() == {}) is (n_noted == 0)
            assert not notes.begin(), "their last word counts for nothing"
            notes.note([(key_of(named(1)), AT_S, OF_PATIENT)], {0: ReadUpTo(next_offset=1)})


async def test_a_full_disk_makes_the_log_answer(
    notes: RepeatNotes, recorded: FakeLog, index: RepeatsIndex
) -> None:
    notes._opened.execute("PRAGMA query_only = ON")
    async with index.claim(named(1), PATIENT):
        recorded.on_it.append(named(1))
    notes._opened.execute("PRAGMA query_only = OFF")
    async with index.claim(named(1), PATIENT) as is_there:
        assert is_there
