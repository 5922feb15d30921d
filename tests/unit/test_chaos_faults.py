"""The catalogue of faults, and what some do to plain processes and sockets."""

import asyncio
import errno
import random
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops.chaos.cluster import Cluster
from ops.chaos.faults import FAULTS, available, unavailable
from ops.chaos.faults.clock_jump import faking_library
from ops.chaos.faults.file_limit import files_limited
from ops.chaos.proxy import Proxy
from ops.services.ports import LOOPBACK


class Brief(random.Random):
    """Makes every outage last 0.3 s."""

    def uniform(self, a: float, b: float) -> float:
        return 0.3


def cluster(**parts: Any) -> Cluster:
    """Stand in for as much of a cluster as a fault asks for."""
    return cast("Cluster", SimpleNamespace(environment={}, **parts))


def test_every_kind_goes_by_its_name() -> None:
    assert {kind: fault.kind for kind, fault in FAULTS.items()} == {kind: kind for kind in FAULTS}
    assert len(FAULTS) >= 26


def test_what_cannot_be_done_is_left_out_with_the_reason() -> None:
    bare = cluster(registry=None, bundles=(Path("one"),))
    reasons = unavailable(bare)
    assert reasons["registry-down"] == "this cluster's workers use no schema registry"
    assert reasons["new-bundle"] == "this cluster has no second bundle to deploy"
    assert set(available(bare)) == FAULTS.keys() - reasons.keys()


def test_a_clock_jumps_only_with_the_library() -> None:
    reason = FAULTS["clock-jump"].obstacle(cluster())
    assert (reason is None) == (faking_library() is not None)
    assert reason is None or "apt-get install libfaketime" in reason


@pytest.fixture
def writer(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that appends 100 bytes at each line it is sent, and says how many went in, or -errno."""
    code = (
        "import sys\n"
        "file = open(sys.argv[1], 'ab', 0)\n"
        "for _ in sys.stdin:\n"
        "    try: said = file.write(b'x' * 100)\n"
        "    except OSError as error: said = -error.errno\n"
        "    print(said, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def append(writer: "subprocess.Popen[str]") -> int:
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write("\n")
    writer.stdin.flush()
    return int(writer.stdout.readline())


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
def test_a_full_disk_takes_what_fits_then_nothing_then_all_again(writer: "subprocess.Popen[str]") -> None:
    assert append(writer) == 100
    with files_limited(writer.pid, 130):
        assert append(writer) == 30
        assert append(writer) == -errno.EFBIG
    assert append(writer) == 100


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
def test_a_process_that_ended_on_a_full_disk_is_no_trouble(writer: "subprocess.Popen[str]") -> None:
    with files_limited(writer.pid, 0):
        writer.kill()
        writer.wait()


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it is sent, in a thread of its own: clients that give up come and go at any time."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            while chunk := self.request.recv(100):
                self.request.sendall(chunk)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Echo) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        with Proxy(server.server_address[1]) as running:
            yield running
        server.shutdown()
        serving.join()


async def answer(proxy: Proxy, within_s: float) -> bytes:
    """Ask through the proxy; what goes wrong is an OSError, a time-out included."""
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    try:
        writer.write(b"?")
        return await asyncio.wait_for(reader.read(100), within_s)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("kind", ["kafka-cut", "kafka-stall", "redis-cut", "redis-stall"])
async def test_a_network_fault_cuts_off_and_ends(proxy: Proxy, kind: str) -> None:
    part = f"{kind.partition('-')[0]}_proxy"
    injecting = asyncio.create_task(FAULTS[kind].inject(cluster(**{part: proxy}), Brief()))
    failed = 0
    while not injecting.done():
        try:
            await answer(proxy, 0.1)
        except OSError:
            failed += 1
            await asyncio.sleep(0)
    assert failed > 0
    assert "0.3 s" in await injecting
    assert await answer(proxy, 5) == b"?"


@pytest.mark.parametrize("part", ["kafka", "redis"])
async def test_a_slow_network_is_quick_again(proxy: Proxy, part: str) -> None:
    said = await FAULTS[f"{part}-delay"].inject(cluster(**{f"{part}_proxy": proxy}), Brief(1))
    assert "slower by" in said
    assert await answer(proxy, 0.1) == b"?"
