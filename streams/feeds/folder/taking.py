"""One document from the folder: read, admitted, written down, moved."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from schemas.errors import RetriableError
from streams.feeds.admission import Admission, Admits, Delivery, Ending, Origin
from streams.feeds.folder.entries import Bundle, Outcome, Taken
from streams.feeds.folder.pauses import Pauses
from streams.feeds.folder.plan import Rules
from streams.feeds.folder.settling import Settling
from streams.feeds.folder.share import ChangedWhileReadError, Share
from streams.feeds.folder.tally import Tally
from streams.feeds.limits import DEFAULT_LIMITS, ReadLimits
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError
from streams.stage import UtcClock

log = structlog.get_logger()

_GATEWAY: Final = "the gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is known of a folder beside its files.

    Attributes
    ----------
    at_once : int
        Documents taken at the same time; so many may be read twice after a kill.
    """

    origin: Origin
    options: ReadOptions = field(default_factory=ReadOptions)
    limits: ReadLimits = DEFAULT_LIMITS
    rules: Rules = field(default_factory=Rules)
    at_once: int = 4


class Taking:
    """Takes single documents; keeps in mind which are to be tried again, and when."""

    def __init__(
        self,
        gateway: Admits,
        share: Share,
        settling: Settling,
        source: Source,
        tally: Tally,
        *,
        now: UtcClock,
        clock_s: Callable[[], float],
    ) -> None:
        self.pauses = Pauses(most_s=300.0)
        self._gateway = gateway
        self._share = share
        self._settling = settling
        self._source = source
        self._tally = tally
        self._now = now
        self._clock_s = clock_s
        self._held_up = Pauses(most_s=30.0)

    def rest_s(self) -> float:
        """How long nothing is to be taken, since the gateway could promise nothing, s."""
        return self._held_up.left_s(_GATEWAY, self._clock_s())

    async def take(self, bundle: Bundle) -> None:
        """Take one document; whatever is wrong with it, it ends or is tried again later.

        Taking it again after a kill changes nothing but that it is read twice.
        """
        outcome = await self._outcome(bundle)
        if outcome is None:
            return
        row = Taken(identity=bundle.main.identity(), companions=bundle.companions_identity(), outcome=outcome)
        is_moved = await self._settling.settle(bundle, row)
        self._tally.count(outcome.ending)
        self._note_moved(bundle, is_moved=is_moved)

    async def only_move(self, bundle: Bundle, row: Taken) -> None:
        """Move a document that was taken already."""
        is_moved = await self._settling.settle(bundle, row, is_written=True)
        self._tally.only_moved += is_moved
        self._note_moved(bundle, is_moved=is_moved)

    def hold(self, path: str, error: OSError) -> None:
        """Try a file again later that cannot be opened; one that is gone is not looked for."""
        if isinstance(error, FileNotFoundError):
            return
        retry_in_s = self.pauses.fail(path, self._clock_s())
        self._tally.held += 1
        log.warning(
            "folder_file_waits",
            source=self._source.origin.source,
            reason=error.strerror,
            retry_in_s=retry_in_s,
            do="let the feed read the files of this folder",
        )

    async def _outcome(self, bundle: Bundle) -> Outcome | None:
        """Read and admit one document; None when it is to be tried again later."""
        source = self._source
        try:
            document = await asyncio.to_thread(self._share.load, bundle, source.limits)
        except ChangedWhileReadError:
            self._tally.due -= 1
            self._tally.waiting += 1
            self.pauses.fail(bundle.main.path, self._clock_s())
            return None
        except OSError as error:
            self._tally.due -= 1
            self.hold(bundle.main.path, error)
            return None
        except FeedRefusedError as refusal:
            # Too large for quarantine as well: the file itself is kept, in the folder for refused ones.
            log.warning("folder_file_refused", source=source.origin.source, reason=refusal.reason.value)
            return Outcome(ending=Ending.QUARANTINED, reason=refusal.reason.value, message=str(refusal))
        delivery = Delivery(
            document=document, origin=source.origin, received_at=self._now(), options=source.options
        )
        try:
            admission = await self._gateway.admit(delivery)
        except RetriableError as error:
            self._note_held_up(error)
            return None
        self._note_going_on()
        return _outcome(admission)

    def _note_moved(self, bundle: Bundle, *, is_moved: bool) -> None:
        if is_moved:
            self.pauses.succeed(bundle.main.path)
        else:
            self._tally.held += 1
            self.pauses.fail(bundle.main.path, self._clock_s())

    def _note_held_up(self, error: RetriableError) -> None:
        if self.rest_s() > 0:
            return  # it was in flight with another one that failed: one pause for all
        retry_in_s = self._held_up.fail(_GATEWAY, self._clock_s())
        if not self._tally.held_up:
            log.warning(
                "folder_held_up",
                source=self._source.origin.source,
                code=error.code,
                reason=str(error),
                retry_in_s=retry_in_s,
            )
        self._tally.held_up = True

    def _note_going_on(self) -> None:
        if self._held_up.succeed(_GATEWAY):
            log.info("folder_going_on", source=self._source.origin.source)
            self._tally.held_up = False


def _outcome(admission: Admission) -> Outcome:
    return Outcome(
        ending=admission.ending,
        message=admission.message,
        reason="" if admission.reason is None else admission.reason.value,
        quarantine_id=admission.quarantine_id or "",
    )
