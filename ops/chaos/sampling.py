"""Looking at a running cluster every few seconds: memory, handles, threads, lag and latency as JSON lines.

Linux' ``/proc`` is read, so that looking costs the workers nothing and works while they are held.
"""

import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from ops.chaos.cluster import Cluster
from ops.chaos.offsets import watching
from ops.chaos.starting import PARTITIONS
from ops.percentiles import percentile
from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.kafka_time import instant_of
from streams.topology import ECG_RISK

#: Between two looks, s: an hour is 720 lines.
SAMPLE_EVERY_S: Final = 5.0

_KB_PER_MB: Final = 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process at one moment.

    Attributes
    ----------
    life : str
        Its name and process id: another one after a restart.
    """

    name: str
    life: str
    age_s: float
    rss_mb: float
    handles: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look.

    Attributes
    ----------
    lag : dict of str to int
        By stage, records its group has not committed; stages that are done are left out.
    latency_p50_ms, latency_p99_ms : float or None
        From an ECG's publication to its assessment, of those that were assessed since the last look.
    """

    at_s: float
    processes: tuple[Process, ...]
    lag: dict[str, int] = field(default_factory=dict)
    assessed: int = 0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None


def look_at(name: str, pid: int | None, root: Path = Path("/proc")) -> Process | None:
    """Read what a process uses; None when it is gone, or another's.

    Parameters
    ----------
    root : Path
        Where the kernel shows processes.
    """
    folder = root / str(pid)
    try:
        said = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        handles = sum(1 for _ in (folder / "fd").iterdir())
        started_ticks = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[19])
        uptime_s = float((root / "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    if "VmRSS" not in said:
        return None  # it has ended and nobody has asked for its exit code yet
    return Process(
        name=name,
        life=f"{name}/{pid}",
        age_s=round(uptime_s - started_ticks / os.sysconf("SC_CLK_TCK"), 1),
        rss_mb=round(int(said["VmRSS"].split()[0]) / _KB_PER_MB, 1),
        handles=handles,
        threads=int(said["Threads"]),
    )


async def sample(cluster: Cluster, path: Path, begun_s: float) -> None:
    """Write samples until cancelled; what Kafka does not answer is left out of one, not waited for."""
    latencies: list[float] = []
    following = asyncio.create_task(_follow(cluster, latencies))
    try:
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            taken, latencies[:] = list(latencies), []
            found = await asyncio.to_thread(_processes, cluster)
            row = Sample(
                at_s=round(time.monotonic() - begun_s, 1),
                processes=found,
                lag=await _lag(cluster),
                assessed=len(taken),
                latency_p50_ms=percentile(taken, 50),
                latency_p99_ms=percentile(taken, 99),
            )
            await asyncio.to_thread(_append, path, row)
    finally:
        following.cancel()
        await asyncio.wait({following})


def read_samples(path: Path) -> list[Sample]:
    """Read what :func:`sample` wrote."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Sample(**{**row, "processes": tuple(Process(**process) for process in row["processes"])})
        for row in rows
    ]


def _append(path: Path, row: Sample) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(row)) + "\n")


def _processes(cluster: Cluster) -> tuple[Process, ...]:
    servers = {"broker": cluster.broker, "redis": cluster.redis, **cluster.workers}
    found = (look_at(name, server.pid) for name, server in servers.items())
    return tuple(process for process in found if process is not None)


async def _lag(cluster: Cluster) -> dict[str, int]:
    try:
        async with asyncio.timeout(SAMPLE_EVERY_S), watching(cluster.bootstrap, PARTITIONS) as watcher:
            return await watcher.behind()
    except (KafkaError, TimeoutError):
        return {}


async def _follow(cluster: Cluster, latencies: list[float]) -> None:
    """Note how long after its publication each ECG was assessed, by Kafka's own times."""
    codec = Codec(FileRegistry())
    while True:
        consumer = AIOKafkaConsumer(
            ECG_RISK, bootstrap_servers=cluster.bootstrap, group_id=None, auto_offset_reset="latest"
        )
        try:
            await consumer.start()
            async for record in consumer:
                latencies.append(_latency_ms(record, codec))
        except KafkaError:
            await asyncio.sleep(1.0)  # the broker is down on purpose
        finally:
            await consumer.stop()


def _latency_ms(record: Any, codec: Codec) -> float:
    try:
        risk = codec.decode(record.value or b"", RiskAssessed, headers=tuple(record.headers))
    except PoisonError:
        return 0.0
    return (instant_of(record.timestamp) - risk.published_at).total_seconds() * 1000.0
