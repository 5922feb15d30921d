"""A real waveform worker: goes on after being killed; what it cannot keep disturbs nobody."""

import asyncio
from dataclasses import replace
from pathlib import Path

from aiokafka import AIOKafkaProducer
from assessments import featurized
from worker_process import WorkerProcess

from ops.services import RunningBroker
from ops.topic_reader import open_topic_reader
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.featurized import EcgFeaturized
from schemas.registry import FileRegistry
from streams.adapters.redis_waveforms import RedisWaveforms
from streams.stage import utc_now
from streams.topology import ECG_FEATURIZED, WAVEFORM_ROUTE, dead_letter_topic

CODEC = Codec(FileRegistry())
DEADLINE_S = 90


def lately(number: int, *, acceptable: bool = True) -> EcgFeaturized:
    """An ECG of a patient of its own, of just now: older ones are not kept."""
    ecg = featurized(number, patient_id=f"P-{number}", acceptable=acceptable)
    return replace(ecg, acquired_at=utc_now(), published_at=utc_now())


async def publish(broker: RunningBroker, values: list[tuple[str, bytes]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for key, value in values:
            await producer.send_and_wait(ECG_FEATURIZED, value, key=key.encode())


def coded(*ecgs: EcgFeaturized) -> list[tuple[str, bytes]]:
    return [(ecg.patient_id, CODEC.encode(ecg)) for ecg in ecgs]


async def until_kept(waveforms: RedisWaveforms, *ecgs: EcgFeaturized) -> None:
    async with asyncio.timeout(DEADLINE_S):
        for ecg in ecgs:
            found = None
            while found is None:
                found = await waveforms.strip(ecg.ecg_id)


async def test_a_killed_worker_goes_on_and_what_it_cannot_keep_lies_apart(
    embedded_broker: RunningBroker, redis_url: str, tmp_path: Path
) -> None:
    await apply_topics(embedded_broker.bootstrap, partitions=2)
    given = {"broker": embedded_broker.bootstrap, "redis_url": redis_url, "session_timeout_s": 6}
    waveforms = RedisWaveforms(redis_url)
    before, gap, meanwhile = [lately(n) for n in range(3)], lately(3, acceptable=False), lately(4)
    await publish(embedded_broker, [*coded(*before, gap), ("P-9", b"\x00garbage")])
    with WorkerProcess("waveform", tmp_path, **given):
        await until_kept(waveforms, *before)
    # left by SIGKILL
    await publish(embedded_broker, coded(meanwhile))
    with WorkerProcess("waveform", tmp_path, **given) as worker:
        await until_kept(waveforms, *before, meanwhile)
        await asyncio.to_thread(worker.until_ready)
        assert worker.terminate() == 0
    assert await waveforms.strip(gap.ecg_id) is None
    await waveforms.close()
    apart, among_those_of_infer = WAVEFORM_ROUTE.dead_letters, dead_letter_topic(ECG_FEATURIZED)
    reading = open_topic_reader(
        embedded_broker.bootstrap, [apart, among_those_of_infer], CODEC, from_beginning=True
    )
    async with asyncio.timeout(DEADLINE_S), reading as reader:
        dead = []
        while not dead:
            dead = await reader.poll(1.0)
        dead += await reader.poll(0.5)
    assert {seen.message.topic for seen in dead} == {apart}
    assert {seen.message.value for seen in dead} == {b"\x00garbage"}
