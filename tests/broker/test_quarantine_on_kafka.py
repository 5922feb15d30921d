"""Quarantine on real brokers: kept sealed and whole, mended, replayed once, forgotten when discarded."""

import asyncio
import secrets
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydicom.uid import generate_uid
from quarantine_in_memory import delivery_of, dicom_of
from quarantine_keeper_killed import REFUSAL, content_of

from ops.services import RunningBroker
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.quarantine import QuarantineVerb
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.adapters.topic_partitions import partitions_of
from streams.feeds.gateway_assembly import open_gateway
from streams.feeds.quarantine.acts import By, QuarantineDesk
from streams.feeds.quarantine.finding import Wanted
from streams.feeds.quarantine.fold import State
from streams.feeds.quarantine.keeper import open_keeper
from streams.feeds.quarantine.opening import QuarantineStore, open_quarantine
from streams.feeds.quarantine.packing import PIECE_BYTES, id_of
from streams.feeds.sealing import QUARANTINE, Sealer, Secret
from streams.feeds.settings import FeedSettings
from streams.settings import Settings
from streams.stage import utc_now
from streams.topology import ECG_QUARANTINE, ECG_QUARANTINE_CONTENT, ECG_RECORDED

TESTS = Path(__file__).parents[1]
PARTITIONS = 4
BY = By(actor="engineer", origin="command")
DEADLINE_S = 120.0


@pytest.fixture
def codec() -> Codec:
    return Codec(FileRegistry())


@pytest.fixture
async def bootstrap(broker: RunningBroker) -> str:
    await apply_topics(broker.bootstrap, PARTITIONS)
    return broker.bootstrap


async def everything_on(bootstrap: str, topic: str) -> list[tuple[bytes, bytes | None]]:
    """Key and value of every message there is."""
    partitions = await partitions_of(bootstrap, topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        found = []
        async with asyncio.timeout(DEADLINE_S):
            while [at for at in partitions if await consumer.position(at) < ends[at]]:
                for at, messages in (await consumer.getmany(timeout_ms=200)).items():
                    ends[at] = max(ends[at], consumer.highwater(at) or 0)
                    found += [(message.key or b"", message.value) for message in messages]
        return found
    finally:
        await consumer.stop()


def desk_of(store: QuarantineStore) -> QuarantineDesk:
    return QuarantineDesk(store.log, store.content, store.sealer, utc_now)


async def test_a_nameless_ecg_is_kept_sealed_mended_and_replayed_once(
    bootstrap: str, codec: Codec, tmp_path: Path
) -> None:
    key_file = tmp_path / "key"
    secret = Secret.generate()
    key_file.touch(0o600)
    key_file.write_text(secret.text())
    settings = Settings(broker=bootstrap, home=tmp_path, partitions=PARTITIONS)
    source = f"share-{uuid.uuid4().hex[:8]}"
    # 3 MB, with comments that name the patient.
    named = f"HIDDEN-{uuid.uuid4().hex[:8]}"
    # Its own UID: the broker is shared, and others publish the sample as it is.
    large = dicom_of("", SOPInstanceUID=generate_uid(), PatientComments=named, TextValue="x" * 3_000_000)
    delivery = delivery_of(large, source=source)

    async with open_gateway("quarantine", settings, FeedSettings(key_file=key_file)) as gateway:
        refused = await gateway.admit(delivery)
        repeated = await gateway.admit(delivery)
        assert refused.quarantine_id == repeated.quarantine_id == id_of(delivery)
        desk = desk_of(gateway.keeper.store)
        (entry,) = await desk.entries(Wanted(source=source))
        assert (entry.code, entry.state, entry.record.is_sealed) == ("NO_PATIENT", State.HELD, True)
        assert len(entry.record.pieces) == 2 + 3_000_000 // PIECE_BYTES + 1
        shown = await desk.show(entry.quarantine_id, BY)
        assert shown.delivery is not None
        assert shown.delivery.document.content == large

        still = await desk.replay(entry.quarantine_id, BY, gateway)
        assert still.refusal is not None
        await desk.correct(entry.quarantine_id, {"patient_id": f"{named}-P"}, BY)
        replayed = await desk.replay(entry.quarantine_id, BY, gateway)
        again = await desk.replay(entry.quarantine_id, BY, gateway)
        assert replayed.ecg_id == again.ecg_id

    async with open_quarantine(bootstrap, codec, secret.sealer(QUARANTINE)) as store:
        entry = store.log.entries[id_of(delivery)]
    assert (entry.state, entry.ecg_id) == (State.REPLAYED, replayed.ecg_id)
    assert [act.verb for act in entry.acts] == [
        QuarantineVerb.SHOWN,
        QuarantineVerb.REFUSED_AGAIN,
        QuarantineVerb.CORRECTED,
        QuarantineVerb.REPLAYED,
    ]
    recorded = [
        codec.decode(kept or b"", EcgRecorded) for _, kept in await everything_on(bootstrap, ECG_RECORDED)
    ]
    assert [ecg.ecg_id for ecg in recorded].count(str(replayed.ecg_id)) == 1
    for topic in (ECG_QUARANTINE, ECG_QUARANTINE_CONTENT, ECG_RECORDED):
        for key, kept in await everything_on(bootstrap, topic):
            assert named.encode() not in key + (kept or b"")


async def test_what_is_discarded_leaves_tombstones_and_comes_back_when_it_is_sent_again(
    bootstrap: str, codec: Codec
) -> None:
    delivery = delivery_of(content_of(7), source=uuid.uuid4().hex)
    async with open_keeper(bootstrap, codec) as keeper:
        name = await keeper.keep(delivery, REFUSAL)
        desk = desk_of(keeper.store)
        entry = await desk.discard(name, "a test recording", BY)
        assert entry.state is State.DISCARDED
        # Compaction keeps the newest of each key.
        newest = dict(await everything_on(bootstrap, ECG_QUARANTINE_CONTENT))
        left = [kept for key, kept in newest.items() if name.encode() in key]
        assert left == [None] * len(entry.record.pieces)

        assert await keeper.keep(delivery, REFUSAL) == name
        shown = await desk.show(name, BY)
        assert shown.entry.opening == 2
        assert shown.delivery is not None
        assert shown.delivery.document.content == delivery.document.content


async def test_two_processes_see_each_others_acts_before_they_act(bootstrap: str, codec: Codec) -> None:
    delivery = delivery_of(content_of(1), source=uuid.uuid4().hex)
    async with open_keeper(bootstrap, codec) as one, open_keeper(bootstrap, codec) as another:
        name = await one.keep(delivery, REFUSAL)
        n_content = len(await everything_on(bootstrap, ECG_QUARANTINE_CONTENT))
        assert await another.keep(delivery, REFUSAL) == name
        assert len(await everything_on(bootstrap, ECG_QUARANTINE_CONTENT)) == n_content
        await desk_of(another.store).discard(name, "a test recording", BY)
        await one.keep(delivery, REFUSAL)
        assert (await desk_of(another.store).show(name, BY)).entry.state is State.HELD


async def test_a_kill_between_content_and_record_loses_nothing_that_was_acknowledged(
    bootstrap: str, codec: Codec
) -> None:
    key = secrets.token_bytes(32)
    script = str(TESTS / "quarantine_keeper_killed.py")
    command = [sys.executable, script, bootstrap, key.hex(), "3"]
    killed = await asyncio.to_thread(
        subprocess.run,
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env={"PYTHONPATH": str(TESTS.parent)},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    acknowledged = [
        line.removeprefix("kept ") for line in killed.stdout.splitlines() if line.startswith("kept ")
    ]
    assert acknowledged == [id_of(delivery_of(content_of(n))) for n in range(3)]
    async with open_keeper(bootstrap, codec, Sealer(key)) as keeper:
        desk = desk_of(keeper.store)
        assert id_of(delivery_of(content_of(3))) not in keeper.store.log.entries
        acknowledged.append(await keeper.keep(delivery_of(content_of(3)), REFUSAL))
        for n, name in enumerate(acknowledged):
            shown = await desk.show(name, BY)
            assert shown.delivery is not None
            assert shown.delivery.document.content == content_of(n)
