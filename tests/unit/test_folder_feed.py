import asyncio
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from schemas.errors import ConfigurationError, RetriableError
from streams.feeds.admission import Admission, Delivery, Ending, Origin
from streams.feeds.document import Document
from streams.feeds.folder.entries import Bundle, Taken
from streams.feeds.folder.feed import FolderFeed
from streams.feeds.folder.journal import open_journal
from streams.feeds.folder.opening import Places, open_folder_feed
from streams.feeds.folder.plan import Rules
from streams.feeds.folder.running import take_backlog, watch
from streams.feeds.folder.share import Share
from streams.feeds.folder.shelf import Shelf
from streams.feeds.folder.taking import Source
from streams.feeds.limits import ReadLimits
from streams.feeds.refusal import RefusalReason

NOW = datetime(2026, 1, 31, 8, 15, tzinfo=UTC)
TODAY = "2026-01-31"
QUARANTINE_ID = "3f0c9d34-0d6a-5e4e-9f0d-6f7f6a5f0001"
HEADER = "ecg 1 1000 10\necg.dat 16 1000 16 0 0 0 0 I\n"


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the feed catches it."""


@dataclass
class FakeGateway:
    """Admits what it is given; refuses what says so, fails as often as it is told to."""

    contents: list[bytes] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    n_failures: int = 0
    on_admit: Callable[[], None] = lambda: None
    barrier: asyncio.Barrier | None = None
    at_once: int = 0
    most_at_once: int = 0

    async def admit(self, delivery: Delivery) -> Admission:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.barrier is not None:
            await self.barrier.wait()
        self.at_once -= 1
        if self.n_failures:
            self.n_failures -= 1
            raise RetriableError("Kafka did not acknowledge; send it again")
        self.deliveries.append(delivery)
        content = delivery.document.content
        is_new = content not in self.contents
        self.contents.append(content)
        self.on_admit()
        if content.startswith(b"refuse"):
            return Admission(
                ending=Ending.QUARANTINED,
                message="the file names no patient; give the site's identifier",
                quarantine_id=QUARANTINE_ID,
                reason=RefusalReason.NO_PATIENT,
            )
        return Admission(
            ending=Ending.ACCEPTED if is_new else Ending.REPEATED, message="on ecg.recorded.v1", ecg_id="x"
        )


class DyingShelf(Shelf):
    """The process is killed when it is about to move a file."""

    def put_away(self, bundle: Bundle, taken: Taken, day: date) -> None:
        raise Killed


class RefusingShare(Share):
    """A share on which some files may not be opened: tests may run as root, whom no permission stops."""

    def __init__(self, root: Path, left_out: Collection[Path], refused: set[str]) -> None:
        super().__init__(root, left_out)
        self._refused = refused

    def load(self, bundle: Bundle, limits: ReadLimits) -> Document:
        if bundle.main.path in self._refused:
            raise PermissionError(13, "Permission denied")
        return super().load(bundle, limits)


@dataclass
class World:
    """A folder, a gateway, and a clock moved by hand."""

    folder: Path
    home: Path
    gateway: FakeGateway = field(default_factory=FakeGateway)
    now_s: float = 0.0
    rules: Rules = field(default_factory=Rules)
    limits: ReadLimits = field(default_factory=ReadLimits)
    at_once: int = 1
    shelf: type[Shelf] = Shelf
    refused: set[str] = field(default_factory=set)

    def write(self, name: str, content: bytes | str = b"an ECG") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def source(self) -> Source:
        origin = Origin(feed="folder", source="cart export", site_id="north")
        return Source(origin=origin, rules=self.rules, limits=self.limits, at_once=self.at_once)

    def left(self) -> list[str]:
        """Files still where they were put."""
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file() and path.relative_to(self.folder).parts[0] not in ("accepted", "quarantined")
        )

    def shelved(self, name: str) -> list[str]:
        shelf = self.folder / name
        return sorted(path.relative_to(shelf).as_posix() for path in shelf.rglob("*") if path.is_file())


@dataclass
class Process:
    """One life of the feed on a world's folder."""

    world: World
    feed: FolderFeed
    stack: ExitStack

    async def settle(self) -> None:
        """Look, let the settling time pass, look again: what stood still is taken."""
        await self.feed.step()
        self.world.now_s += self.world.rules.settle_s
        await self.feed.step()

    def die(self) -> None:
        """End as by SIGKILL: the lock goes, nothing is written any more."""
        self.stack.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "share").mkdir()
    return World(folder=tmp_path / "share", home=tmp_path / "home")


@pytest.fixture
def start(world: World) -> Iterator[Callable[[], Process]]:
    stacks: list[ExitStack] = []

    def begin() -> Process:
        stack = ExitStack()
        stacks.append(stack)
        journal = stack.enter_context(open_journal(world.home, world.folder))
        accepted, quarantined = world.folder / "accepted", world.folder / "quarantined"
        shelf = world.shelf(root=world.folder, accepted=accepted, quarantined=quarantined)
        feed = FolderFeed(
            world.gateway,
            RefusingShare(world.folder, (accepted, quarantined), world.refused),
            journal,
            None if world.rules.keeps_files else shelf,
            world.source(),
            now=lambda: NOW,
            clock_s=lambda: world.now_s,
        )
        return Process(world=world, feed=feed, stack=stack)

    yield begin
    for stack in stacks:
        stack.close()


async def test_an_accepted_file_is_moved_under_the_day(world: World, start: Callable[[], Process]) -> None:
    world.write("W3/ecg.dcm")
    process = start()
    await process.settle()
    assert world.gateway.contents == [b"an ECG"]
    assert world.left() == []
    assert world.shelved("accepted") == [f"{TODAY}/W3/ecg.dcm"]
    (delivery,) = world.gateway.deliveries
    assert (delivery.origin.feed, delivery.origin.site_id, delivery.received_at) == ("folder", "north", NOW)
    assert process.feed.is_done()


async def test_a_refused_file_is_moved_with_its_reason_and_quarantine_id_beside_it(
    world: World, start: Callable[[], Process]
) -> None:
    world.write("ecg.xml", b"refuse me")
    process = start()
    await process.settle()
    assert world.shelved("quarantined") == ["ecg.xml", "ecg.xml.reason.txt"]
    note = (world.folder / "quarantined/ecg.xml.reason.txt").read_text()
    assert note.startswith("NO_PATIENT: the file names no patient")
    assert f"diastole quarantine show {QUARANTINE_ID}" in note
    assert process.feed.tally.quarantined == 1


async def test_a_file_that_is_being_written_is_not_read_before_it_stands_still(
    world: World, start: Callable[[], Process]
) -> None:
    process = start()
    for part in (b"an", b"an E", b"an ECG"):
        world.write("ecg.dcm", part)
        await process.feed.step()
        world.now_s += 1.9
    assert world.gateway.contents == []
    await process.settle()
    assert world.gateway.contents == [b"an ECG"]


async def test_a_file_written_under_another_name_is_taken_when_it_is_renamed(
    world: World, start: Callable[[], Process]
) -> None:
    part = world.write("ecg.dcm.part")
    process = start()
    await process.settle()
    await process.settle()
    assert world.gateway.contents == []
    part.rename(world.folder / "ecg.dcm")
    await process.settle()
    assert world.shelved("accepted") == [f"{TODAY}/ecg.dcm"]


async def test_links_are_not_followed_and_special_files_not_opened(
    world: World, start: Callable[[], Process], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.dcm").write_bytes(b"not for us")
    (world.folder / "link.dcm").symlink_to(elsewhere / "secret.dcm")
    (world.folder / "folder").symlink_to(elsewhere)
    os.mkfifo(world.folder / "pipe.dcm")
    await start().settle()
    assert world.gateway.contents == []


async def test_folders_are_followed_to_a_depth(world: World, start: Callable[[], Process]) -> None:
    world.write("/".join("abcdefgh") + "/in.dcm", b"in")
    world.write("/".join("abcdefghi") + "/out.dcm", b"out")
    await start().settle()
    assert world.gateway.contents == [b"in"]


async def test_a_wfdb_record_is_one_document_and_moved_whole(
    world: World, start: Callable[[], Process]
) -> None:
    process = start()
    world.write("ecg.dat", b"12")
    await process.settle()
    assert world.left() == ["ecg.dat"]
    world.write("ecg.hea", HEADER)
    await process.settle()
    (delivery,) = world.gateway.deliveries
    assert delivery.document.content == HEADER.encode()
    assert dict(delivery.document.companions) == {"ecg.dat": b"12"}
    assert world.shelved("accepted") == [f"{TODAY}/ecg.dat", f"{TODAY}/ecg.hea"]


async def test_a_header_without_its_signals_is_offered_after_a_while(
    world: World, start: Callable[[], Process]
) -> None:
    world.write("ecg.hea", HEADER)
    process = start()
    await process.settle()
    assert (world.gateway.deliveries, process.feed.tally.waiting) == ([], 1)
    world.now_s += world.rules.patience_s
    await process.feed.step()
    assert len(world.gateway.deliveries) == 1


async def test_nothing_is_overwritten(world: World, start: Callable[[], Process]) -> None:
    process = start()
    for content in (b"first", b"second", b"third"):
        world.write("ecg.dcm", content)
        await process.settle()
    names = world.shelved("accepted")
    assert len(names) == 3
    assert all(name.startswith(f"{TODAY}/ecg") and name.endswith(".dcm") for name in names)
    contents = {(world.folder / "accepted" / name).read_bytes() for name in names}
    assert contents == {b"first", b"second", b"third"}
    assert world.gateway.contents == [b"first", b"second", b"third"]


async def test_records_of_one_name_are_kept_apart_with_their_signal_files(
    world: World, start: Callable[[], Process]
) -> None:
    process = start()
    for signal in (b"12", b"34"):
        world.write("ecg.dat", signal)
        world.write("ecg.hea", HEADER)
        await process.settle()
    headers = [name for name in world.shelved("accepted") if name.endswith(".hea")]
    signals = {(world.folder / "accepted" / name).with_suffix(".dat").read_bytes() for name in headers}
    assert signals == {b"12", b"34"}


async def test_a_feed_killed_between_journal_and_move_moves_without_reading_again(
    world: World, start: Callable[[], Process]
) -> None:
    for n in range(3):
        world.write(f"{n}.dcm", f"ECG {n}")
    world.write("bad.xml", b"refuse me")
    world.shelf = DyingShelf
    process = start()
    with pytest.raises(Killed):
        await process.settle()
    assert len(world.gateway.contents) == 1
    assert len(world.left()) == 4
    process.die()

    world.shelf = Shelf
    again = start()
    await again.settle()
    assert len(world.gateway.contents) == 4, "each was read once in all"
    assert again.feed.tally.only_moved == 1
    assert world.left() == []
    assert len(world.shelved("accepted")) == 3
    assert world.shelved("quarantined") == ["bad.xml", "bad.xml.reason.txt"]


async def test_a_feed_killed_before_the_journal_offers_the_same_again(
    world: World, start: Callable[[], Process]
) -> None:
    def die() -> None:
        raise Killed

    world.write("ecg.dcm")
    world.gateway.on_admit = die
    process = start()
    with pytest.raises(Killed):
        await process.settle()
    process.die()
    world.gateway.on_admit = lambda: None
    again = start()
    await again.settle()
    assert again.feed.tally.repeated == 1
    assert world.left() == []


async def test_a_record_killed_in_the_middle_of_its_move_is_moved_on(
    world: World, start: Callable[[], Process]
) -> None:
    world.write("ecg.hea", HEADER)
    signals = world.write("ecg.dat", b"12")
    world.rules = Rules(keeps_files=True)
    process = start()
    await process.settle()  # journalled, nothing moved
    process.die()
    (world.folder / f"accepted/{TODAY}").mkdir(parents=True)
    signals.rename(world.folder / f"accepted/{TODAY}/ecg.dat")
    world.rules = Rules()
    await start().settle()
    assert len(world.gateway.deliveries) == 1
    assert world.shelved("accepted") == [f"{TODAY}/ecg.dat", f"{TODAY}/ecg.hea"]


async def test_kept_files_are_read_once_over_restarts(world: World, start: Callable[[], Process]) -> None:
    world.rules = Rules(keeps_files=True)
    for n in range(5):
        world.write(f"{n}.dcm", f"ECG {n}")
    for _ in range(3):
        process = start()
        await process.settle()
        await process.settle()
        process.die()
    assert sorted(world.gateway.contents) == [f"ECG {n}".encode() for n in range(5)]
    assert len(world.left()) == 5


async def test_a_kept_file_that_is_overwritten_is_a_new_one(
    world: World, start: Callable[[], Process]
) -> None:
    world.rules = Rules(keeps_files=True)
    world.write("ecg.dcm", b"first")
    process = start()
    await process.settle()
    world.write("ecg.dcm", b"other")
    await process.settle()
    assert world.gateway.contents == [b"first", b"other"]


async def test_what_kafka_does_not_acknowledge_stays_and_is_tried_again_later(
    world: World, start: Callable[[], Process]
) -> None:
    world.gateway.n_failures = 2
    world.write("a.dcm", b"a")
    world.write("b.dcm", b"b")
    process = start()
    with capture_logs() as logs:
        await process.settle()
        assert world.left() == ["a.dcm", "b.dcm"]
        assert process.feed.tally.held_up
        assert await process.feed.step() == 1.0, "nothing is tried within the pause"
        world.now_s += 1.0
        await process.feed.step()
        assert await process.feed.step() == 2.0, "the pause doubles"
        world.now_s += 2.0
        await process.feed.step()
    assert world.left() == []
    assert [entry["event"] for entry in logs] == ["folder_held_up", "folder_going_on"]


async def test_a_folder_that_vanishes_is_waited_for(world: World, start: Callable[[], Process]) -> None:
    process = start()
    await process.settle()
    away = world.folder.rename(world.folder.with_name("unmounted"))
    with capture_logs() as logs:
        pause_s = await process.feed.step()
        assert pause_s > 0
        assert process.feed.tally.unreachable
        assert not process.feed.is_done()
        world.now_s += pause_s
        await process.feed.step()
        away.rename(world.folder)
        world.write("ecg.dcm")
        world.now_s += 60.0
        await process.settle()
    assert [entry["event"] for entry in logs] == ["folder_unreachable", "folder_reachable"]
    assert world.shelved("accepted") == [f"{TODAY}/ecg.dcm"]


async def test_a_file_that_may_not_be_opened_costs_itself_alone_and_is_not_named(
    world: World, start: Callable[[], Process]
) -> None:
    world.write("MUELLER_HANS.dcm", b"a")
    world.write("other.dcm", b"b")
    world.refused.add("MUELLER_HANS.dcm")
    process = start()
    with capture_logs() as logs:
        await process.settle()
        assert (world.gateway.contents, process.feed.tally.held) == ([b"b"], 1)
        assert process.feed.is_done(), "a backlog does not wait for it for ever"
        world.refused.clear()
        world.now_s += 1.0
        await process.feed.step()
    assert world.gateway.contents == [b"b", b"a"]
    assert [entry["event"] for entry in logs] == ["folder_file_waits"]
    assert "MUELLER" not in str(logs)


async def test_a_file_larger_than_a_delivery_is_set_aside_unread(
    world: World, start: Callable[[], Process]
) -> None:
    world.limits = ReadLimits(max_bytes=10)
    world.write("holter.dcm", b"x" * 11)
    await start().settle()
    assert world.gateway.deliveries == []
    assert "TOO_LARGE" in (world.folder / "quarantined/holter.dcm.reason.txt").read_text()


async def test_so_many_are_taken_at_once_and_no_more(world: World, start: Callable[[], Process]) -> None:
    world.at_once = 3
    world.gateway.barrier = asyncio.Barrier(3)
    for n in range(21):
        world.write(f"{n}.dcm", f"ECG {n}")
    await start().settle()
    assert world.gateway.most_at_once == 3
    assert len(world.gateway.contents) == 21


async def test_two_processes_do_not_take_from_one_folder(world: World, start: Callable[[], Process]) -> None:
    start()
    with pytest.raises(ConfigurationError, match="another process takes ECGs from this folder"):
        start()


async def test_the_journal_holds_no_file_name(world: World, start: Callable[[], Process]) -> None:
    world.rules = Rules(keeps_files=True)
    world.write("MUELLER_HANS.dcm")
    process = start()
    await process.settle()
    process.die()
    kept = [path for path in world.home.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"MUELLER" in path.read_bytes() or "MUELLER" in path.name]


def opened(world: World, stack: ExitStack) -> FolderFeed:
    places = Places(folder=world.folder, home=world.home)
    return stack.enter_context(
        open_folder_feed(world.gateway, places, world.source(), on_change=lambda tally: None)
    )


async def test_a_backlog_is_taken_to_its_end(world: World) -> None:
    world.rules = Rules(settle_s=0.0, most=2)
    for n in range(5):
        world.write(f"{n}.dcm", f"ECG {n}")
    world.write("bad.dcm", b"refuse")
    with ExitStack() as stack:
        feed = opened(world, stack)
        assert await take_backlog(feed, asyncio.Event())
    assert (feed.tally.accepted, feed.tally.quarantined, feed.tally.total) == (5, 1, 6)
    assert world.left() == []


async def test_a_watch_ends_when_told_to_and_takes_nothing_new(world: World) -> None:
    world.rules = Rules(settle_s=0.0)
    stop = asyncio.Event()
    world.gateway.on_admit = stop.set
    for n in range(5):
        world.write(f"{n}.dcm", f"ECG {n}")
    with ExitStack() as stack:
        feed = opened(world, stack)
        await asyncio.wait_for(watch(feed, stop), 10.0)
    assert 1 <= len(world.gateway.contents) < 5
    assert len(world.left()) == 5 - len(world.gateway.contents)


async def test_files_stay_where_nothing_can_be_moved(world: World) -> None:
    world.rules = Rules(settle_s=0.0)
    world.write("ecg.dcm")
    world.write("accepted", b"a file where the folder should be")
    with ExitStack() as stack, capture_logs() as logs:
        feed = opened(world, stack)
        await take_backlog(feed, asyncio.Event())
    assert [entry["event"] for entry in logs] == ["folder_files_stay"]
    assert (world.folder / "ecg.dcm").exists()


async def test_a_folder_that_is_not_there_is_refused_with_what_to_do(world: World) -> None:
    places = Places(folder=world.folder / "none", home=world.home)
    with (
        pytest.raises(ConfigurationError, match="mount the share"),
        open_folder_feed(world.gateway, places, world.source(), on_change=lambda tally: None),
    ):
        pass
