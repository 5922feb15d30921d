"""Workers as processes of their own, as in production: for the demo and the bench."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ops.services.folders import new_run_folder
from ops.services.ports import LOOPBACK, free_port
from ops.services.process import Server, ServerCommand

#: Importing torch and Faust in four processes on two shared cores takes about 15 s when the disk is cold.
_START_WITHIN_S: Final = 90.0
_STOP_WITHIN_S: Final = 30.0  # the worker's own drain budget is 20 s

_PROBE_TIMEOUT_S: Final = 2.0

#: Each stage in its own process on few cores: more numeric threads would only take turns.
WORKER_ENVIRONMENT: Final = {"DIASTOLE_THREADS": "1", "OMP_NUM_THREADS": "1"}


@contextmanager
def running_workers(
    stages: Sequence[str],
    root: Path,
    environment: Mapping[str, str],
    on_ready: Callable[[str], None] = lambda stage: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[dict[str, Server]]:
    """Start one worker per stage, wait until each is ready, and stop them at the end.

    Parameters
    ----------
    environment : mapping
        Settings (``DIASTOLE_*``) given to the workers over this process's own environment.
    on_ready : callable
        Called with a stage's name when its worker has its partitions.
    is_cancelled : callable
        When it turns true nothing is waited for any longer; the caller is expected to leave the context.

    Raises
    ------
    ServiceError
        When a worker does not become ready, with the tail of its log.
    """
    with ExitStack() as stack:
        workers = {stage: Server(worker_command(stage, root, environment, is_cancelled)) for stage in stages}
        for server in workers.values():
            stack.callback(server.stop)

        def start(stage: str) -> str:
            workers[stage].start()
            return stage

        with ThreadPoolExecutor(len(workers)) as threads:
            starting = [threads.submit(start, stage) for stage in workers]
            for started in as_completed(starting):
                on_ready(started.result())
        yield workers


def worker_command(
    stage: str,
    root: Path,
    environment: Mapping[str, str],
    is_cancelled: Callable[[], bool] = lambda: False,
) -> ServerCommand:
    """Say how to start one worker of a stage on a free port; started, it is waited for until it is ready.

    Parameters
    ----------
    environment : mapping
        Settings (``DIASTOLE_*``) over this process's own environment.
    is_cancelled : callable
        When it is true the worker is not waited for.
    """
    port = free_port()
    words = ("worker", stage, "--metrics-port", str(port))
    return own_command(f"worker-{stage}", words, port, root, environment, is_cancelled)


@contextmanager
def running_api(
    root: Path,
    environment: Mapping[str, str],
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[str]:
    """Start the read API with the care team's pages on a loopback port, and stop it at the end.

    Yields the address of the inbox. Without tokens: whoever is on this machine may see and answer all.

    Raises
    ------
    ServiceError
        When it does not become ready, with the tail of its log.
    """
    port = free_port()
    words = ("api", "--host", LOOPBACK, "--port", str(port))
    server = Server(own_command("api", words, port, root, environment, is_cancelled))
    try:
        server.start()
        yield f"http://{LOOPBACK}:{port}/"
    finally:
        server.stop()


@contextmanager
def running_delivery(root: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Start what brings alerts to people and asks the next, and stop it at the end; it is not waited for.

    Raises
    ------
    ServiceError
        When it does not start.
    """
    port = free_port()
    words = ("deliver", "--metrics-port", str(port))
    server = Server(own_command("deliver", words, port, root, environment, lambda: True))
    try:
        server.start()
        yield
    finally:
        server.stop()


def own_command(
    name: str,
    words: Sequence[str],
    port: int,
    root: Path,
    environment: Mapping[str, str],
    is_cancelled: Callable[[], bool],
) -> ServerCommand:
    """Say how to start one of our own processes that answers ``/readyz`` on ``port``.

    Parameters
    ----------
    words : sequence of str
        The command behind ``diastole``, with the option that makes it answer on the port.
    environment, is_cancelled
        As of :func:`worker_command`.
    """
    return ServerCommand(
        name=name,
        argv=[sys.executable, "-m", "ops.cli", *words],
        folder=new_run_folder(root, name),
        port=port,
        answers=lambda port: is_cancelled() or is_ready(port),
        start_within_s=_START_WITHIN_S,
        stop_within_s=_STOP_WITHIN_S,
        environment={**os.environ, **environment},
    )


def is_ready(port: int) -> bool:
    """Whether the worker whose health is on this port has its partitions and waits for nothing."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=_PROBE_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
