"""One C-STORE at a time on each association: from the object to the status that answers it.

Associations run in threads of pynetdicom; the gateway lives on the event loop. A thread hands its object over
and waits, and the sender with it: success is said only of what Kafka has.
"""

import asyncio
import threading
from concurrent.futures import CancelledError, Future, wait
from io import BytesIO
from typing import Final

import structlog
from pydicom.dataset import Dataset
from pynetdicom.events import Event

from schemas.errors import DiastoleError
from streams.feeds.admission import Admission, Admits, Delivery, Origin
from streams.feeds.dicom.bounds import Overflowed
from streams.feeds.dicom.statuses import OUT_OF_RESOURCES, REFUSED, status, status_of
from streams.feeds.document import Document
from streams.feeds.readers.leads import shown
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import RefusalReason
from streams.stage import UtcClock
from streams.tally import where_raised

log = structlog.get_logger()

FEED: Final = "dicom"

#: Source of an association without calling AE title, which the standard forbids.
UNNAMED: Final = "unnamed"


class Storing:
    """Answers C-STORE requests. Storing an object again is answered like the first time and changes nothing.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        On which ``admits`` lives.
    options : ReadOptions
        What the site adds to every object.
    """

    def __init__(
        self,
        admits: Admits,
        loop: asyncio.AbstractEventLoop,
        options: ReadOptions,
        max_bytes: int,
        now: UtcClock,
    ) -> None:
        self._admits = admits
        self._loop = loop
        self._options = options
        self._max_bytes = max_bytes
        self._now = now
        self._lock = threading.Lock()
        self._is_stopping = False
        self._in_flight: set[Future[Admission]] = set()

    def store(self, event: Event) -> Dataset:
        """Answer one C-STORE; runs in the association's thread, which waits as long as the gateway does."""
        received = getattr(event.request, "DataSet", None)
        if not isinstance(received, BytesIO):
            return status(REFUSED[RefusalReason.DAMAGED], "DAMAGED: no data set came; send it again")
        if isinstance(received, Overflowed) or received.getbuffer().nbytes > self._max_bytes:
            log.warning("object_refused", feed=FEED, source=_source(event), code=RefusalReason.TOO_LARGE)
            return status(
                REFUSED[RefusalReason.TOO_LARGE], f"TOO_LARGE: over {self._max_bytes} bytes, and was not kept"
            )
        delivery = Delivery(
            document=Document(content=event.encoded_dataset()),
            origin=Origin(feed=FEED, source=_source(event), site_id=self._options.site_id),
            received_at=self._now(),
            options=self._options,
        )
        admitting = self._begin(delivery)
        if admitting is None:
            return status(OUT_OF_RESOURCES, "stopping; send it again later")
        return self._answer(admitting)

    def stop(self) -> set["Future[Admission]"]:
        """Begin nothing more; what comes from now on is to be sent again. Returns what is in flight."""
        with self._lock:
            self._is_stopping = True
            return set(self._in_flight)

    def _begin(self, delivery: Delivery) -> "Future[Admission] | None":
        with self._lock:
            if self._is_stopping:
                return None
            admitting = asyncio.run_coroutine_threadsafe(self._admit(delivery), self._loop)
            self._in_flight.add(admitting)
        admitting.add_done_callback(self._in_flight.discard)
        return admitting

    async def _admit(self, delivery: Delivery) -> Admission:
        return await self._admits.admit(delivery)

    def _answer(self, admitting: "Future[Admission]") -> Dataset:
        # No time limit here: the gateway keeps its own, and an end of the loop cancels what is on it.
        wait({admitting})
        error = CancelledError() if admitting.cancelled() else admitting.exception()
        if error is None:
            return status_of(admitting.result())
        if not isinstance(error, DiastoleError | CancelledError):
            # Its text is not ours and may quote the object.
            log.error("admission_failed", feed=FEED, code=type(error).__name__, raised_at=where_raised(error))
        return status(OUT_OF_RESOURCES, "nothing could be promised; send it again later")


def _source(event: Event) -> str:
    return shown(event.assoc.requestor.ae_title.strip()) or UNNAMED
