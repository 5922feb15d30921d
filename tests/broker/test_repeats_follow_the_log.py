"""What is on ``ecg.recorded.v1`` is known: after a restart, of other gateways, of a log made anew."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from feed_storm import dicom_document

from ops.services import RunningBroker
from ops.services.ports import free_port
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.errors import ConfigurationError, RetriableError
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.feeds.document import Document
from streams.feeds.filing import Filed, digest_of
from streams.feeds.producer import BrokerUnavailableError
from streams.feeds.publish import EcgPublisher, open_publisher
from streams.feeds.read import read
from streams.feeds.repeats import NOTES_FILE, RepeatsIndex, open_repeats
from streams.topology import ECG_RECORDED

WINDOW = timedelta(days=14)
DEADLINE_S = 60.0


@pytest.fixture
def codec() -> Codec:
    return Codec(FileRegistry())


def ecgs_of(run: int, n: int) -> list[EcgRecorded]:
    """Recordings of one test alone: Apache Kafka is shared with others."""
    return [read(Document(content=dicom_document(number, run))).ecg for number in range(n)]


async def there(index: RepeatsIndex, ecgs: Sequence[EcgRecorded]) -> list[bool]:
    """Ask for each whether it is there, sending none."""
    answers = []
    for ecg in ecgs:
        try:
            async with index.claim(ecg.ecg_id, ecg.patient_id) as filed:
                answers.append(filed is not None)
                raise RetriableError("only asking")
        except RetriableError:
            continue
    return answers


@asynccontextmanager
async def publisher_of(broker: RunningBroker, codec: Codec) -> AsyncIterator[EcgPublisher]:
    async with asyncio.timeout(DEADLINE_S), open_publisher(broker.bootstrap, codec) as publisher:
        yield publisher


async def test_what_others_wrote_is_known_at_once_and_after_a_restart(
    broker: RunningBroker, codec: Codec, tmp_path: Path
) -> None:
    await apply_topics(broker.bootstrap, 4)
    ecgs = ecgs_of(101, 9)
    told: list[tuple[int, int]] = []
    async with publisher_of(broker, codec) as publisher:
        for ecg in ecgs[:3]:
            await publisher.publish(ecg)
        async with open_repeats(broker.bootstrap, codec, tmp_path, WINDOW) as index:
            assert await there(index, ecgs[:4]) == [True, True, True, False]
        for ecg in ecgs[3:6]:
            await publisher.publish(ecg)
        async with open_repeats(
            broker.bootstrap, codec, tmp_path, WINDOW, on_progress=lambda *at: told.append(at)
        ) as index:
            assert await there(index, ecgs[:7]) == [True] * 6 + [False]
            # Written by somebody else meanwhile; the ids asked for above are unclear and so looked up.
            await publisher.publish(ecgs[6])
            assert await there(index, [ecgs[6]]) == [True]
    assert told
    assert all(0 <= read <= due for read, due in told)


async def test_two_gateways_learn_from_each_other(
    broker: RunningBroker, codec: Codec, tmp_path: Path
) -> None:
    await apply_topics(broker.bootstrap, 4)
    (ecg,) = ecgs_of(102, 1)
    async with (
        publisher_of(broker, codec) as publisher,
        open_repeats(broker.bootstrap, codec, tmp_path / "one", WINDOW) as one,
        open_repeats(broker.bootstrap, codec, tmp_path / "other", WINDOW) as other,
    ):
        async with one.claim(ecg.ecg_id, ecg.patient_id) as is_there:
            assert not is_there
            await publisher.publish(ecg)
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if await there(other, [ecg]) == [True]:
                    return
                await asyncio.sleep(0.01)  # between two looks


async def test_under_whom_an_ecg_is_there_is_learnt_from_the_log(
    broker: RunningBroker, codec: Codec, tmp_path: Path
) -> None:
    await apply_topics(broker.bootstrap, 4)
    (ecg,) = ecgs_of(107, 1)
    async with publisher_of(broker, codec) as publisher:
        await publisher.publish(ecg)
    async with (
        open_repeats(broker.bootstrap, codec, tmp_path, WINDOW) as index,
        index.claim(ecg.ecg_id, "another patient") as filed,
    ):
        assert filed == Filed(patient=digest_of(ecg.patient_id))


async def test_a_send_that_was_cut_is_looked_up_before_it_is_sent_again(
    broker: RunningBroker, codec: Codec, tmp_path: Path
) -> None:
    await apply_topics(broker.bootstrap, 4)
    (ecg,) = ecgs_of(103, 1)
    async with (
        publisher_of(broker, codec) as publisher,
        open_repeats(broker.bootstrap, codec, tmp_path, WINDOW) as index,
    ):

        async def publish_unheard() -> None:
            async with index.claim(ecg.ecg_id, ecg.patient_id):
                await publisher.publish(ecg)
                raise TimeoutError

        with pytest.raises(TimeoutError):
            await publish_unheard()
        async with index.claim(ecg.ecg_id, ecg.patient_id) as is_there:
            assert is_there


async def test_the_window_bounds_how_far_back_is_read(
    apache_broker: RunningBroker, codec: Codec, tmp_path: Path
) -> None:
    await apply_topics(apache_broker.bootstrap, 4)
    (ecg,) = ecgs_of(104, 1)
    async with publisher_of(apache_broker, codec) as publisher:
        await publisher.publish(ecg)
    later = datetime.now(UTC) + timedelta(days=15)
    async with open_repeats(apache_broker.bootstrap, codec, tmp_path, WINDOW, now=lambda: later) as index:
        assert await there(index, [ecg]) == [False]


@pytest.mark.parametrize("n_after", [1, 40])
async def test_a_log_made_anew_is_read_anew(
    own_apache_broker: RunningBroker, codec: Codec, tmp_path: Path, n_after: int
) -> None:
    """Also one that is by then longer than the notes say: another record is where they end."""
    broker = own_apache_broker
    await apply_topics(broker.bootstrap, 1)
    ecgs = ecgs_of(105, 50)
    async with publisher_of(broker, codec) as publisher:
        for ecg in ecgs[:10]:
            await publisher.publish(ecg)
    async with open_repeats(broker.bootstrap, codec, tmp_path, WINDOW) as index:
        assert await there(index, ecgs[:10]) == [True] * 10

    await _delete_topic(broker)
    await apply_topics(broker.bootstrap, 1)
    async with publisher_of(broker, codec) as publisher:
        for ecg in ecgs[10 : 10 + n_after]:
            await publisher.publish(ecg)
    async with open_repeats(broker.bootstrap, codec, tmp_path, WINDOW) as index:
        assert await there(index, ecgs[:10]) == [False] * 10
        assert await there(index, ecgs[10 : 10 + n_after]) == [True] * n_after


async def _delete_topic(broker: RunningBroker) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([ECG_RECORDED])
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if ECG_RECORDED not in await admin.list_topics():
                    return
                await asyncio.sleep(0.1)  # between two looks
    finally:
        await admin.close()


async def test_without_its_file_it_is_read_from_the_log(
    embedded_broker: RunningBroker, codec: Codec, tmp_path: Path
) -> None:
    await apply_topics(embedded_broker.bootstrap, 4)
    ecgs = ecgs_of(106, 2)
    async with publisher_of(embedded_broker, codec) as publisher:
        await publisher.publish(ecgs[0])
        await publisher._producer.send_and_wait(ECG_RECORDED, value=b"noise", key=b"k", headers=[])
        payload = codec.encode(ecgs[1])
        await publisher._producer.send_and_wait(ECG_RECORDED, value=payload, key=b"k", headers=[])
    for _ in range(2):
        async with open_repeats(embedded_broker.bootstrap, codec, tmp_path, WINDOW) as index:
            assert await there(index, ecgs) == [True, True], "with a header or without"
        (tmp_path / NOTES_FILE).write_bytes(b"")


async def test_a_missing_topic_or_broker_is_said(
    embedded_broker: RunningBroker, codec: Codec, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="diastole topics apply"):
        async with open_repeats(embedded_broker.bootstrap, codec, tmp_path, WINDOW):
            pass
    with pytest.raises(BrokerUnavailableError, match="DIASTOLE_BROKER"):
        async with open_repeats(f"127.0.0.1:{free_port()}", codec, tmp_path, WINDOW):
            pass
