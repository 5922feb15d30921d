"""What is kept, and when nothing is written again."""

from dataclasses import replace

import pytest
from quarantine_in_memory import NOW, MemoryGateway, MemoryQuarantine, delivery_of, dicom_of

from schemas.errors import RetriableError
from schemas.quarantine import EcgQuarantined, QuarantineAct
from streams.feeds.admission import Origin
from streams.feeds.quarantine.acts import By, QuarantineDesk
from streams.feeds.quarantine.fold import State
from streams.feeds.quarantine.keeper import Keeper
from streams.feeds.quarantine.opening import QuarantineStore
from streams.feeds.quarantine.packing import id_of, unpacked
from streams.feeds.refusal import FeedRefusedError, RefusalReason

BY = By(actor="engineer", origin="command")
REFUSAL = FeedRefusedError("the file names no patient; name it", RefusalReason.NO_PATIENT)
DELIVERY = delivery_of(dicom_of(""))


class Broken(MemoryQuarantine):
    """Takes content, and the record not the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = True

    async def append(self, record: EcgQuarantined | QuarantineAct) -> None:
        if self.is_broken:
            self.is_broken = False
            raise RetriableError("no broker")
        await super().append(record)


def keeper_of(kept: MemoryQuarantine) -> Keeper:
    return Keeper(QuarantineStore(log=kept, content=kept))


async def test_a_delivery_is_kept_whole_with_reason_source_and_time() -> None:
    kept = MemoryQuarantine()
    quarantine_id = await keeper_of(kept).keep(DELIVERY, REFUSAL)
    (record,) = kept.records
    assert isinstance(record, EcgQuarantined)
    assert (record.quarantine_id, record.code, record.reason) == (quarantine_id, "NO_PATIENT", str(REFUSAL))
    assert (record.feed, record.source, record.site_id, record.received_at) == (
        "folder",
        "share",
        "north",
        NOW,
    )
    assert (record.source_format, record.n_bytes) == ("DICOM", len(DELIVERY.document.content))
    assert unpacked(kept.content[quarantine_id]).document.content == DELIVERY.document.content


async def test_the_same_again_gives_the_same_id_and_writes_nothing() -> None:
    kept = MemoryQuarantine()
    first = await keeper_of(kept).keep(DELIVERY, REFUSAL)
    assert await keeper_of(kept).keep(DELIVERY, REFUSAL) == first
    assert (kept.n_written, len(kept.records)) == (1, 1)


async def test_what_was_discarded_is_kept_anew_when_it_comes_again() -> None:
    kept = MemoryQuarantine()
    keeper = keeper_of(kept)
    first = await keeper.keep(DELIVERY, REFUSAL)
    await QuarantineDesk(kept, kept, None, lambda: NOW).discard(first, "a test", BY)
    assert await keeper.keep(DELIVERY, REFUSAL) == first
    await kept.catch_up()
    assert (kept.entries[first].state, kept.entries[first].opening) == (State.HELD, 2)
    assert unpacked(kept.content[first]).document.content == DELIVERY.document.content


async def test_what_was_replayed_stays_so_when_it_comes_again() -> None:
    kept = MemoryQuarantine()
    keeper = keeper_of(kept)
    first = await keeper.keep(DELIVERY, REFUSAL)
    desk = QuarantineDesk(kept, kept, None, lambda: NOW)
    await desk.correct(first, {"patient_id": "4711"}, BY)
    await desk.replay(first, BY, MemoryGateway())
    assert await keeper.keep(DELIVERY, REFUSAL) == first
    assert (kept.n_written, kept.content, kept.entries[first].state) == (1, {}, State.REPLAYED)


async def test_a_delivery_whose_record_was_not_acknowledged_is_not_said_to_be_kept() -> None:
    kept = Broken()
    with pytest.raises(RetriableError):
        await keeper_of(kept).keep(DELIVERY, REFUSAL)
    assert kept.records == []
    assert await keeper_of(kept).keep(DELIVERY, REFUSAL) == id_of(DELIVERY)
    assert (kept.n_written, len(kept.records)) == (2, 1)


async def test_names_longer_than_a_record_takes_are_cut_and_nothing_is_lost_for_it() -> None:
    kept = MemoryQuarantine()
    origin = Origin(feed="mllp", source="A\ud800" + "B" * 1000, site_id="C" * 1000)
    long = FeedRefusedError("x" * 20_000, RefusalReason.DAMAGED)
    quarantine_id = await keeper_of(kept).keep(replace(DELIVERY, origin=origin), long)
    await kept.catch_up()
    record = kept.entries[quarantine_id].record
    assert (len(record.source), len(record.site_id), len(record.reason)) == (256, 256, 10_000)
