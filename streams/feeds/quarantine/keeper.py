"""Keeping what the gateway refuses: content first, then the record that says where it lies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.codec import Codec
from schemas.invariants import MAX_NAME_CHARS, MAX_TEXT_CHARS
from schemas.quarantine import EcgQuarantined, Piece
from streams.access import Broker
from streams.feeds.admission import Delivery
from streams.feeds.publish import WITHIN_S
from streams.feeds.quarantine.fold import State
from streams.feeds.quarantine.opening import QuarantineStore, open_quarantine
from streams.feeds.quarantine.packing import id_of, packed, writable
from streams.feeds.recognition import format_of
from streams.feeds.refusal import FeedRefusedError
from streams.feeds.sealing import Sealer
from streams.stage import UtcClock, utc_now


class Keeper:
    """Keeps refused deliveries; a :class:`streams.feeds.ports.KeepsRefused`. Calls may overlap."""

    def __init__(self, store: QuarantineStore) -> None:
        self.store = store

    async def keep(self, delivery: Delivery, refusal: FeedRefusedError) -> str:
        """Keep a delivery whole and return its quarantine id.

        What is already held, corrected or replayed stays as it is: nothing is written again. What was
        discarded is opened anew. A crash between content and record leaves pieces that nobody points to; the
        sender was told nothing and sends again, which writes the same pieces under the same keys.

        Raises
        ------
        BrokerUnavailableError
            When Kafka did not acknowledge; keeping it again changes nothing.
        """
        quarantine_id = id_of(delivery)
        # Somebody may have discarded it meanwhile, from another process.
        await self.store.log.catch_up()
        entry = self.store.log.entries.get(quarantine_id)
        if entry is not None and entry.state is not State.DISCARDED:
            return quarantine_id
        opening = 1 if entry is None else entry.opening + 1
        pieces = await self.store.content.write(quarantine_id, opening, packed(delivery))
        is_sealed = self.store.content.is_sealed
        await self.store.log.append(_record(quarantine_id, delivery, refusal, pieces, is_sealed))
        return quarantine_id


@asynccontextmanager
async def open_keeper(
    broker: Broker,
    codec: Codec,
    sealer: Sealer | None = None,
    now: UtcClock = utc_now,
    *,
    within_s: float = WITHIN_S,
) -> AsyncIterator[Keeper]:
    """Connect a keeper; see :func:`streams.feeds.quarantine.opening.open_quarantine`."""
    async with open_quarantine(broker, codec, sealer, now, within_s=within_s) as store:
        yield Keeper(store)


def _record(
    quarantine_id: str,
    delivery: Delivery,
    refusal: FeedRefusedError,
    pieces: tuple[Piece, ...],
    is_sealed: bool,
) -> EcgQuarantined:
    return EcgQuarantined(
        quarantine_id=quarantine_id,
        received_at=delivery.received_at,
        code=refusal.reason.value,
        reason=_fitting(str(refusal), MAX_TEXT_CHARS) or refusal.reason.value,
        feed=_fitting(delivery.origin.feed),
        source=_fitting(delivery.origin.source),
        site_id=_fitting(delivery.origin.site_id),
        source_format=_format_name(delivery),
        n_bytes=delivery.document.n_bytes,
        pieces=pieces,
        is_sealed=is_sealed,
    )


def _fitting(text: str, most_chars: int = MAX_NAME_CHARS) -> str:
    """Cut a text to what a record takes: nothing is lost for a source with an overlong name."""
    return writable(text)[:most_chars]


def _format_name(delivery: Delivery) -> str:
    try:
        return format_of(delivery.document).name
    except FeedRefusedError:
        return ""
