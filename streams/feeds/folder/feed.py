"""The life of a watched folder: look, decide, take, pause."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from streams.feeds.admission import Admits
from streams.feeds.folder.entries import Bundle, Taken
from streams.feeds.folder.journal import Journal
from streams.feeds.folder.pauses import Pauses
from streams.feeds.folder.plan import Plan, Sighting, decide, remember, settled_headers
from streams.feeds.folder.settling import Settling
from streams.feeds.folder.share import Share
from streams.feeds.folder.shelf import Shelf
from streams.feeds.folder.taking import Source, Taking
from streams.feeds.folder.tally import Tally
from streams.stage import UtcClock, utc_now

log = structlog.get_logger()

#: Pause between two looks at a folder. On a network share a look asks the server about every file in it.
POLL_S: Final = 1.0

#: A look that takes long is followed by a pause of at least twice that: a server is not kept busy by us.
_REST_PER_LOOK: Final = 2.0

_FOLDER: Final = "the folder"


def _nothing(tally: Tally) -> None:
    return None


class FolderFeed:
    """Takes documents from a folder into the gateway.

    Each is journalled once the gateway has said what became of it, then moved. A feed that was killed
    reads again only what the gateway was working on, and that is the same ECG under the same id.

    Parameters
    ----------
    shelf : Shelf or None
        Where files are moved to; None leaves them.
    on_change : callable
        Told whenever the tally changed.
    now, clock_s : callable
        The time of day, and seconds that only run forward.
    """

    def __init__(
        self,
        gateway: Admits,
        share: Share,
        journal: Journal,
        shelf: Shelf | None,
        source: Source,
        *,
        on_change: Callable[[Tally], None] = _nothing,
        now: UtcClock = utc_now,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tally = Tally()
        self._share = share
        self._journal = journal
        self._source = source
        self._on_change = on_change
        self._clock_s = clock_s
        self._taking = Taking(
            gateway, share, Settling(journal, shelf, now), source, self.tally, now=now, clock_s=clock_s
        )
        self._seen: dict[str, Sighting] = {}
        self._named: dict[bytes, tuple[str, ...]] = {}
        self._unreachable = Pauses(most_s=30.0)
        self._stopping = False

    def stop(self) -> None:
        """Take nothing new; what is in flight ends as usual."""
        self._stopping = True

    async def step(self) -> float:
        """Look once, take what is due, and return how long to pause before the next look, s.

        Raises
        ------
        JournalUnwritableError
            When what was taken cannot be written down.
        """
        started_s = self._clock_s()
        if self._taking.rest_s() > 0:
            return self._taking.rest_s()
        plan = await self._look()
        if plan is None:
            return self._unreachable.left_s(_FOLDER, self._clock_s())
        looked_s = self._clock_s() - started_s
        await self._take_all(plan)
        if self._taking.rest_s() > 0:
            return self._taking.rest_s()
        return 0.0 if plan.n_due > len(plan.take) else max(POLL_S, _REST_PER_LOOK * looked_s)

    def is_done(self) -> bool:
        """Whether nothing is left that would be taken by waiting for it."""
        tally = self.tally
        return not (tally.due or tally.waiting or tally.unreachable or tally.held_up)

    async def _look(self) -> Plan | None:
        """List the folder and decide; None when it cannot be listed."""
        try:
            listing = await asyncio.to_thread(self._share.listing)
        except OSError as error:
            self._note_unreachable(error)
            return None
        if self._unreachable.succeed(_FOLDER):
            log.info("folder_reachable", source=self._source.origin.source)
        now_s, rules = self._clock_s(), self._source.rules
        self._seen = remember(self._seen, listing, now_s)
        self._taking.pauses.keep_only(set(self._seen))
        await self._open_headers(now_s)
        held_until_s = self._taking.pauses.until_s
        plan = decide(self._seen, self._named, self._journal.taken, held_until_s, now_s, rules)
        self.tally.look(plan)
        self._on_change(self.tally)
        return plan

    async def _open_headers(self, now_s: float) -> None:
        """Find out which files belong to headers that have settled; each is opened once."""
        headers = {each.identity(): each for each in settled_headers(self._seen, now_s, self._source.rules)}
        self._named = {identity: names for identity, names in self._named.items() if identity in headers}
        for identity, header in headers.items():
            if identity in self._named or self._taking.pauses.left_s(header.path, now_s) > 0:
                continue
            try:
                self._named[identity] = await asyncio.to_thread(self._share.signal_names, header)
            except OSError as error:
                self._taking.hold(header.path, error)

    async def _take_all(self, plan: Plan) -> None:
        """Move what was taken before, then take what is due, so many at a time."""
        jobs = iter([*plan.move, *((bundle, None) for bundle in plan.take)])
        workers = [asyncio.create_task(self._work(jobs)) for _ in range(self._source.at_once)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()

    async def _work(self, jobs: Iterator[tuple[Bundle, Taken | None]]) -> None:
        for bundle, row in jobs:
            if self._stopping or (row is None and self._taking.rest_s() > 0):
                return
            if row is None:
                await self._taking.take(bundle)
            else:
                await self._taking.only_move(bundle, row)
            self._on_change(self.tally)

    def _note_unreachable(self, error: OSError) -> None:
        if not self.tally.unreachable:
            log.warning(
                "folder_unreachable",
                source=self._source.origin.source,
                reason=error.strerror,
                do="mount the share again, or let the feed read the folder; it goes on by itself",
            )
        self._unreachable.fail(_FOLDER, self._clock_s())
        self.tally.unreachable = True
        self._on_change(self.tally)
