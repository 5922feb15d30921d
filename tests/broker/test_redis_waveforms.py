"""Waveforms against a real Redis: the newest of each patient, whatever is repeated, reordered or lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import numpy as np
import pytest
import redis.asyncio
from assessments import START, featurized, nth_ecg_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from streams.adapters.redis_waveforms import RedisWaveforms, pointer_key, strip_keys
from streams.history_encoding import patient_digest
from streams.waveform import EncodedStrip, WaveformLimits, WaveformsUnavailableError, encode_strip

DAY = timedelta(days=1)


class Clock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = START + 2 * DAY

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def waveforms(redis_url: str, clock: Clock) -> AsyncIterator[RedisWaveforms]:
    store = RedisWaveforms(redis_url, WaveformLimits(), clock)
    yield store
    await store.close()


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test: what one of them closes is let go of in the next."""
    with asyncio.Runner() as runner:
        yield runner


async def kept(waveforms: RedisWaveforms, most: int) -> list[int]:
    return [n for n in range(most) if await waveforms.strip(nth_ecg_id(n)) is not None]


async def test_a_strip_is_found_by_its_ecg(waveforms: RedisWaveforms) -> None:
    ecg = featurized(1, patient_id="MRN-4711")
    await waveforms.write([encode_strip(ecg)])
    strip = await waveforms.strip(ecg.ecg_id)
    assert strip is not None
    assert (strip.patient_id, strip.ward_id, strip.site_id) == ("MRN-4711", "W1", "S")
    assert strip.acquired_at == ecg.acquired_at
    assert ecg.model_input_uv is not None
    np.testing.assert_array_equal(strip.leads_uv, ecg.model_input_uv)
    assert await waveforms.strip(nth_ecg_id(2)) is None


async def test_the_newest_four_of_each_patient_stay(waveforms: RedisWaveforms) -> None:
    await waveforms.write([encode_strip(featurized(n)) for n in (5, 1, 4)])
    await waveforms.write([encode_strip(featurized(n)) for n in (3, 0, 2)])
    await waveforms.write([encode_strip(featurized(9, hour=0, patient_id="P-2"))])
    assert await kept(waveforms, 10) == [2, 3, 4, 5, 9]


async def test_an_ecg_without_model_input_pushes_nothing_out(waveforms: RedisWaveforms) -> None:
    await waveforms.write([encode_strip(featurized(n)) for n in range(4)])
    await waveforms.write([encode_strip(featurized(n, acceptable=False)) for n in range(4, 9)])
    assert await kept(waveforms, 9) == [0, 1, 2, 3]


async def test_after_two_weeks_it_is_gone_and_an_archive_is_never_kept(
    waveforms: RedisWaveforms, server: redis.asyncio.Redis, clock: Clock
) -> None:
    await waveforms.write([encode_strip(featurized(1)), encode_strip(featurized(2, hour=-24 * 15))])
    assert await kept(waveforms, 3) == [1]
    assert await server.dbsize() == 3
    for key in (*strip_keys(patient_digest("P-1")), pointer_key(nth_ecg_id(1))):
        assert 13 * 86_400 < await server.ttl(key) <= 14 * 86_400
    clock.now += 14 * DAY
    assert await kept(waveforms, 3) == []
    await waveforms.write([encode_strip(featurized(4, hour=24 * 16))])
    assert await server.hlen(strip_keys(patient_digest("P-1"))[0]) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(7)), again=st.lists(st.integers(0, 6)), seed=st.integers(0, 99))
def test_replays_and_reordering_end_with_the_same_strips(
    redis_url: str, loop: asyncio.Runner, order: list[int], again: list[int], seed: int
) -> None:
    async def left() -> list[int]:
        waveforms = RedisWaveforms(redis_url, WaveformLimits(), Clock())
        async with redis.asyncio.Redis.from_url(redis_url) as server:
            await server.flushall()
        arrivals, sizes = [*order, *again], Random(seed)
        while arrivals:
            n_batch = sizes.randint(1, len(arrivals))
            batch, arrivals = arrivals[:n_batch], arrivals[n_batch:]
            await waveforms.write([SMALL[n] for n in batch])
        async with redis.asyncio.Redis.from_url(redis_url) as server:
            bodies, times = strip_keys(patient_digest("P-1"))
            names = await server.zrange(times, 0, -1)
            assert sorted(names) == sorted(await server.hkeys(bodies))
        await waveforms.close()
        return [n for n in range(7) if nth_ecg_id(n).encode() in names]

    assert loop.run(left()) == [3, 4, 5, 6]


SMALL = {
    n: EncodedStrip(
        ecg_id=nth_ecg_id(n),
        patient=patient_digest("P-1"),
        acquired_us=int((START + timedelta(hours=n)).timestamp() * 1_000_000),
        body=b"\0",
    )
    for n in range(7)
}


async def test_a_patient_takes_the_memory_that_is_stated(
    waveforms: RedisWaveforms, server: redis.asyncio.Redis
) -> None:
    body = bytes(np.random.default_rng(0).integers(0, 256, 26_000, np.uint8))
    await waveforms.write(
        [
            EncodedStrip(
                ecg_id=nth_ecg_id(n), patient=patient_digest("P-1"), acquired_us=at.acquired_us, body=body
            )
            for n, at in SMALL.items()
        ]
    )
    keys = await server.keys()
    assert len(keys) == 2 + 7
    used = sum([await server.memory_usage(key, samples=0) or 0 for key in keys])
    assert 4 * 26_000 < used < 4 * 32_000  # Redis rounds 26 kB up to 28


async def test_nothing_sent_to_redis_holds_the_patient_identifier(
    waveforms: RedisWaveforms, server: redis.asyncio.Redis
) -> None:
    # a flat line: the client that watches reads no more than 64 kB at once
    flat = replace(featurized(1, patient_id="MRN-4711"), model_input_uv=np.zeros((8, 5000), np.int16))
    async with server.monitor() as monitor:
        await waveforms.write([encode_strip(flat)])
        await waveforms.strip(nth_ecg_id(1))
        await server.echo("end of test")
        seen = ""
        while "end of test" not in seen:
            seen += str(await monitor.next_command())
    assert "MRN-4711" not in seen


async def test_a_waveform_that_was_evicted_is_not_kept(
    waveforms: RedisWaveforms, server: redis.asyncio.Redis
) -> None:
    await waveforms.write([encode_strip(featurized(1))])
    await server.delete(strip_keys(patient_digest("P-1"))[0])
    assert await waveforms.strip(nth_ecg_id(1)) is None


def test_the_keys_of_a_patients_strips_share_a_cluster_slot() -> None:
    assert len({key_slot(key.encode()) for key in strip_keys(patient_digest("P-1"))}) == 1


async def test_without_redis_it_is_said_in_one_line_and_may_be_tried_again() -> None:
    store = RedisWaveforms("redis://user:secret@127.0.0.1:1/0")
    await store.write([None])  # nothing to keep needs no Redis
    with pytest.raises(
        WaveformsUnavailableError, match=r"waveforms: Redis at 127\.0\.0\.1:1 does not"
    ) as refused:
        await store.strip(nth_ecg_id(1))
    await store.close()
    assert refused.value.retriable
    assert "secret" not in str(refused.value)
