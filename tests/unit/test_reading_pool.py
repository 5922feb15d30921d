import asyncio
import os
import pickle
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from schemas.errors import ConfigurationError
from streams.feeds.document import Document
from streams.feeds.files import document_at
from streams.feeds.limits import DEFAULT_LIMITS, ReadLimits
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.reading import ReadingClosedError, ReadingPool, open_reading
from streams.feeds.reading_frames import Answer, answer_of
from streams.feeds.refusal import FeedRefusedError, RefusalReason

ODD = (sys.executable, str(Path(__file__).parents[1] / "odd_reader.py"))
OPTIONS = ReadOptions()
QUICK = replace(DEFAULT_LIMITS, timeout_s=0.3)


@asynccontextmanager
async def odd(n_readers: int = 1, limits: ReadLimits = DEFAULT_LIMITS) -> AsyncIterator[ReadingPool]:
    async with open_reading(n_readers, limits, ODD) as reading:
        yield reading


async def told(reading: ReadingPool, order: str) -> str:
    return (await reading.read(Document(content=order.encode()), OPTIONS)).ecg.device_id


async def refused(reading: ReadingPool, order: str) -> FeedRefusedError:
    with pytest.raises(FeedRefusedError) as refusal:
        await told(reading, order)
    return refusal.value


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_document_reads_as_it_does_in_this_process() -> None:
    document = document_at(Path(str(get_testdata_file("waveform_ecg.dcm", download=False))))
    async with open_reading(1) as reading:
        there = (await reading.read(document, OPTIONS)).ecg
        with pytest.raises(FeedRefusedError) as refusal:
            await reading.read(Document(content=b"of no known format"), OPTIONS)
        pids = reading.pids
    here = read(document, OPTIONS).ecg
    np.testing.assert_array_equal(there.samples, here.samples)
    assert not there.samples.flags.writeable
    assert replace(there, samples=here.samples).ecg_id == here.ecg_id
    assert (there.acquired_at, there.sample_rate_hz, there.lead_names, there.cart) == (
        here.acquired_at,
        here.sample_rate_hz,
        here.lead_names,
        here.cart,
    )
    assert refusal.value.reason is RefusalReason.UNKNOWN_FORMAT
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize("order", ["hang", "spin"])
async def test_what_is_not_read_in_time_is_refused_and_its_reader_replaced(order: str) -> None:
    async with odd(limits=QUICK) as reading:
        first = await told(reading, "read")
        began = time.monotonic()
        refusal = await refused(reading, order)
        assert time.monotonic() - began < 4.0
        assert refusal.reason is RefusalReason.TOO_SLOW
        assert await told(reading, "read") != first
        assert reading.n_replaced == 1


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("crash", RefusalReason.DAMAGED),
        ("leave", RefusalReason.DAMAGED),
        ("killed", RefusalReason.TOO_LARGE),
    ],
)
async def test_what_ends_its_readers_is_refused_and_others_are_read(
    order: str, reason: RefusalReason
) -> None:
    async with odd(n_readers=2) as reading:
        others = [asyncio.create_task(told(reading, "read")) for _ in range(5)]
        assert (await refused(reading, order)).reason is reason
        assert len(await asyncio.gather(*others)) == 5


async def test_a_reader_lost_by_no_fault_of_the_document_costs_it_nothing(tmp_path: Path) -> None:
    async with odd() as reading:
        assert await told(reading, f"killed_once {tmp_path / 'marker'}")
        assert reading.n_replaced == 1


async def test_memory_beyond_the_limit_is_refused() -> None:
    async with odd(limits=replace(DEFAULT_LIMITS, memory_bytes=64 * 2**20)) as reading:
        await told(reading, f"swell {32 * 2**20}")
        assert 16 * 2**20 < reading.peak_bytes < 64 * 2**20
        refusal = await refused(reading, f"swell {2**30}")
        assert refusal.reason is RefusalReason.TOO_LARGE
        assert await told(reading, "read")
        assert reading.n_replaced == 1


async def test_a_reader_that_keeps_memory_is_replaced() -> None:
    async with odd() as reading:
        first = await told(reading, f"keep {100 * 2**20}")
        assert reading.peak_bytes < 200 * 2**20
        assert await told(reading, "read") != first
        assert reading.n_replaced == 1


async def test_a_reader_connects_to_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        async with odd() as reading:
            refusal = await refused(reading, f"connect {server.getsockname()[1]}")
        assert refusal.reason is RefusalReason.UNSAFE
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_what_a_lost_reader_left_on_disk_is_removed() -> None:
    async with odd() as reading:
        folders = {(await told(reading, "read")).split()[1]}
        await refused(reading, "litter")
        folders.add((await told(reading, "read")).split()[1])
    assert not any(map(os.path.exists, folders))


async def test_what_libraries_print_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    async with odd() as reading:
        await told(reading, "say")
    assert "patient" not in "".join(capfd.readouterr())


async def test_a_cancelled_read_leaves_its_reader_to_the_next() -> None:
    async with odd(limits=QUICK) as reading:
        hanging = asyncio.create_task(told(reading, "hang"))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(told(reading, "read"))
        await asyncio.sleep(0)
        hanging.cancel()
        waiting.cancel()
        await asyncio.gather(hanging, waiting, return_exceptions=True)
        assert hanging.cancelled()
        assert waiting.cancelled()
        assert await told(reading, "read")


async def test_reads_under_way_at_the_end_are_to_be_sent_again() -> None:
    async with odd() as reading:
        asked = [asyncio.create_task(told(reading, "hang")) for _ in range(3)]
        await asyncio.sleep(0)
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ended] == [ReadingClosedError] * 3


async def test_readers_end_when_the_gateway_is_killed() -> None:
    script = f"""
import asyncio
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.reading import open_reading
from streams.feeds.readers.options import ReadOptions
async def gateway():
    limits = ReadLimits(timeout_s=0.3)
    async with open_reading(1, limits, command={ODD!r}) as reading:
        await reading.read(Document(content=b"read"), ReadOptions())
        print(*reading.pids, flush=True)
        await reading.read(Document(content=b"hang"), ReadOptions())
asyncio.run(gateway())
"""
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert gateway.stdout is not None
    pids = [int(pid) for pid in (await gateway.stdout.readline()).split()]
    assert pids
    gateway.kill()
    await gateway.wait()
    async with asyncio.timeout(20.0):
        while any(is_running(pid) for pid in pids):  # noqa: ASYNC110 — no children of ours
            await asyncio.sleep(0.05)


async def test_readers_that_do_not_start_are_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="does not start"):
        async with open_reading(1, command=(sys.executable, "-c", "")):
            pass


class Unasked:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.mark.parametrize("crafted", [Unasked(), Answer(refusal=Unasked()), "text"])  # type: ignore[arg-type]
def test_an_answer_of_anything_but_a_reading_is_not_loaded(crafted: object) -> None:
    with pytest.raises(pickle.UnpicklingError):
        answer_of(pickle.dumps(crafted))
