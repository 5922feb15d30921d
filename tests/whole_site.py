"""Every process of a site, started as an operator would, and all that they let be seen of patients' ECGs."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from deliver_process import is_ready

from ops.services.ports import LOOPBACK, free_port, listens
from ops.services.process import Server, ServerCommand
from ops.services.waiting import becomes_true
from streams.adapters.topic_partitions import partitions_of
from streams.topology import LINK_ROUTE, ROUTES, WAVEFORM_ROUTE

#: Fourteen processes and as many readers that import at once, on a busy machine with a cold disk.
START_WITHIN_S = 300.0
#: Processes of ``worker all`` in the order of their ports; the watch is the last.
STAGES = (*ROUTES, LINK_ROUTE.stage, WAVEFORM_ROUTE.stage, "watch")

Said = tuple[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Program:
    """One command, the port it is for, and where its health answers."""

    name: str
    words: Sequence[str]
    port: int
    health_ports: Sequence[int]
    settings: Mapping[str, object]

    def server(self, folder: Path) -> Server:
        (folder / self.name).mkdir(parents=True)
        environment = {f"DIASTOLE_{name.upper()}": str(given) for name, given in self.settings.items()}
        return Server(
            ServerCommand(
                name=self.name,
                argv=[sys.executable, "-m", "ops.cli", *self.words],
                folder=folder / self.name,
                port=self.port,
                answers=lambda _: all(map(is_ready, self.health_ports)),
                start_within_s=START_WITHIN_S,
                stop_within_s=40.0,
                environment={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            )
        )


def site_programs(
    folder: Path, common: Mapping[str, object], options: Mapping[str, Sequence[str]]
) -> list[Program]:
    """Describe the programs of a site; half of them log for people, half for machines.

    Parameters
    ----------
    common : mapping
        Settings of all.
    options : mapping
        What each feed, ``deliver`` and ``api`` are told beyond their ports.
    """
    base = _ports_in_a_row(len(STAGES))
    settings = {**common, "home": folder / "home"}
    programs = [
        Program(
            name="worker",
            words=["worker", "all", "--metrics-port", str(base)],
            port=base,
            health_ports=range(base, base + len(STAGES)),
            settings={**settings, "log_format": "json", "log_level": "debug"},
        )
    ]
    for number, (name, more) in enumerate(options.items()):
        port, health = free_port(), free_port()
        words = [*name.split(), *more, "--metrics-port", str(health)]
        if name in ("feed http", "feed mllp", "feed dicom", "api"):
            words += ["--port", str(port)]
        log_format = "json" if number % 2 else "console"
        programs.append(
            Program(
                name=name.replace(" ", "-"),
                words=words,
                port=port if "--port" in words else health,
                health_ports=[health],
                settings={**settings, "log_format": log_format, "log_level": "debug"},
            )
        )
    return programs


def _ports_in_a_row(n: int) -> int:
    while True:
        base = free_port()
        if not any(listens(base + place) for place in range(n)):
            return base


@contextmanager
def running(programs: Sequence[Program], folder: Path) -> Iterator[dict[str, Server]]:
    """Start all of them at once and wait until they are ready; leaving stops them."""
    servers = {program.name: program.server(folder) for program in programs}
    with ExitStack() as stack, ThreadPoolExecutor(len(servers)) as threads:
        for server in servers.values():
            stack.callback(server.stop)
        list(threads.map(Server.start, servers.values()))
        yield servers


def kill_and_await(worker: Server, stage: str) -> None:
    """SIGKILL one stage of ``worker all``; wait until its supervisor has it ready again."""
    port = worker.port + STAGES.index(stage)
    (victim,) = [
        child
        for child in psutil.Process(worker.pid).children(recursive=True)
        if any(
            each.laddr.port == port and each.status == psutil.CONN_LISTEN for each in child.net_connections()
        )
    ]
    victim.send_signal(signal.SIGKILL)
    assert becomes_true(lambda: not is_ready(port), 30.0)
    assert becomes_true(lambda: is_ready(port), START_WITHIN_S), worker.log_tail()


def told_by_health(programs: Sequence[Program]) -> Iterator[Said]:
    """What each process says of itself at its three addresses, and at one that it does not have."""
    for program in programs:
        for port in {
            *program.health_ports,
            *([program.port] if program.name in ("api", "feed-http") else []),
        }:
            for path in ("healthz", "readyz", "metrics", "ZQX7VELD-1"):
                yield f"{program.name} :{port}/{path}", _got(f"http://{LOOPBACK}:{port}/{path}")


def _got(url: str) -> bytes:
    answer = httpx.get(url, timeout=30.0)
    return answer.content + str(answer.headers).encode()


def titles(servers: Mapping[str, Server]) -> Iterator[Said]:
    """Arguments of each process and of all it started, and the names of their threads."""
    for name, server in servers.items():
        ours = psutil.Process(server.pid)
        for process in (ours, *ours.children(recursive=True)):
            yield f"{name} arguments", " ".join(process.cmdline()).encode()
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                yield f"{name} thread", (thread / "comm").read_bytes()


def logs(folder: Path, programs: Sequence[Program]) -> Iterator[Said]:
    """All that was written to standard output and error."""
    for program in programs:
        yield f"{program.name} log", (folder / program.name / "server.log").read_bytes()


def file_names(home: Path) -> Iterator[Said]:
    """Names of whatever lies in a folder."""
    for path in home.rglob("*"):
        yield "file name", str(path.relative_to(home)).encode()


async def headers(bootstrap: str) -> list[tuple[str, str, bytes]]:
    """Topic, name and text of every header on the broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = sorted(await admin.list_topics())
    finally:
        await admin.close()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    found = []
    async with consumer:
        partitions = [
            tp for topic in topics if topic[0] != "_" for tp in await partitions_of(bootstrap, topic)
        ]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        while [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                found += [
                    (tp.topic, name, text or b"") for record in records for name, text in record.headers
                ]
    return found
