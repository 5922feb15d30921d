"""Writing down what was taken, then moving it: many documents with one write to disk."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from streams.feeds.folder.entries import Bundle, Taken
from streams.feeds.folder.journal import Journal
from streams.feeds.folder.shelf import Shelf
from streams.stage import UtcClock

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    bundle: Bundle
    taken: Taken
    is_written: bool
    done: "asyncio.Future[bool]"


class Settling:
    """Journals documents, and moves their files when that is on disk.

    While one group is being written the next one gathers, so that a disk that takes 10 ms to write holds up
    nobody for longer than twice that.

    Parameters
    ----------
    shelf : Shelf or None
        None leaves the files where they are.
    """

    def __init__(self, journal: Journal, shelf: Shelf | None, now: UtcClock) -> None:
        self._journal = journal
        self._shelf = shelf
        self._now = now
        self._queue: list[_Waiting] = []
        self._working: asyncio.Task[None] | None = None
        self._is_unmovable = False

    async def settle(self, bundle: Bundle, taken: Taken, *, is_written: bool = False) -> bool:
        """Return once it is journalled, and moved as far as that works.

        Parameters
        ----------
        is_written : bool
            It is in the journal already; only move it.

        Returns
        -------
        bool
            False when its files could not be moved: call again later.

        Raises
        ------
        JournalUnwritableError
            When the journal cannot be written; nothing was moved.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(bundle=bundle, taken=taken, is_written=is_written, done=done))
        working = self._working = self._working or asyncio.create_task(self._work())
        either: set[asyncio.Future[Any]] = {working, done}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            await working  # raises what ended it
        return done.result()

    async def _work(self) -> None:
        try:
            while self._queue:
                group, self._queue = self._queue, []
                moved = await asyncio.to_thread(self._settle, group)
                for each, is_moved in zip(group, moved, strict=True):
                    if not each.done.cancelled():
                        each.done.set_result(is_moved)
        finally:
            self._working = None

    def _settle(self, group: Sequence[_Waiting]) -> list[bool]:
        new = [each.taken for each in group if not each.is_written]
        if new:
            self._journal.write(new)
        if self._shelf is None:
            return [True] * len(group)
        moved = [self._move(each, self._shelf) for each in group]
        self._journal.forget(
            each.taken.identity for each, is_moved in zip(group, moved, strict=True) if is_moved
        )
        return moved

    def _move(self, each: _Waiting, shelf: Shelf) -> bool:
        try:
            shelf.put_away(each.bundle, each.taken, self._now().date())
        except FileNotFoundError:
            return True  # somebody else took it away; it is safe, and there is nothing to move
        except OSError as error:
            if not self._is_unmovable:
                self._is_unmovable = True
                log.warning(
                    "folder_files_stay",
                    reason=error.strerror,
                    do="let the feed rename in this folder; files taken are not read again",
                )
            return False
        self._is_unmovable = False
        return True
