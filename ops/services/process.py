"""One server process: started, waited for, killed, restarted, stopped, and never left behind."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from ops.services.ports import listens
from ops.services.waiting import ServiceError, becomes_true

log = structlog.get_logger(__name__)

#: Reads a pipe that only its starter holds open; when the starter is gone, however it died, the read
#: ends and the server's process group goes too. (PR_SET_PDEATHSIG would follow the starting *thread*.)
_LEASH = 'read -r _; kill -s KILL -- "-$0"'

_LOG_TAIL_LINES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCommand:
    """How a server is started and recognised as ready.

    Attributes
    ----------
    folder : Path
        Holds ``server.log`` and ``data/``.
    port : int
        Loopback port the server listens on.
    answers : callable
        Given the port, whether the server can serve.
    start_within_s, stop_within_s : float
        Seconds given for becoming ready, and for ending after SIGTERM before SIGKILL follows.
    """

    name: str
    argv: Sequence[str]
    folder: Path
    port: int
    answers: Callable[[int], bool]
    start_within_s: float
    stop_within_s: float = 15.0
    environment: Mapping[str, str] | None = None

    @property
    def log_file(self) -> Path:
        """Where standard output and error of all starts are appended."""
        return self.folder / "server.log"


class Server:
    """A running server; also a context manager that stops it.

    Parameters
    ----------
    command : ServerCommand
        What to run. Construction starts nothing; ``start`` does.
    """

    def __init__(self, command: ServerCommand) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Loopback port, the same after a restart."""
        return self._command.port

    @property
    def pid(self) -> int | None:
        """Process id, None while the server is down."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def folder(self) -> Path:
        """Folder of this run."""
        return self._command.folder

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the process and wait until it serves.

        Raises
        ------
        ServiceError
            When it ends or does not answer in time; the message carries the tail of its log.
        """
        command = self._command
        with command.log_file.open("ab") as log_stream:
            self._process = subprocess.Popen(
                list(command.argv),
                stdin=subprocess.DEVNULL,
                stdout=log_stream,
                stderr=subprocess.STDOUT,
                env=dict(command.environment) if command.environment is not None else None,
                cwd=command.folder,
                start_new_session=True,
            )
        self._leash = subprocess.Popen(
            ["/bin/sh", "-c", _LEASH, str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_until_serving()
        log.info("server_started", server=command.name, port=command.port, folder=str(command.folder))
        return self

    def kill(self) -> None:
        """End the server at once with SIGKILL, as a crash would; its data stay. Twice is as once."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Bring the server back on the same port with the data it left, stopping it first if it runs."""
        self._end(signal.SIGTERM)
        self.start()

    def stop(self) -> None:
        """End the server for good and remove its data; the log stays. Twice is as once."""
        self._end(signal.SIGTERM)
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def log_tail(self) -> str:
        """Last lines the server wrote."""
        text = self._command.log_file.read_text(errors="replace") if self._command.log_file.exists() else ""
        return "\n".join(text.splitlines()[-_LOG_TAIL_LINES:])

    def _wait_until_serving(self) -> None:
        command = self._command
        # Asked once more it may say no again: a server that begins with work waiting has come all the same.
        has_come = becomes_true(
            lambda: not self.running or command.answers(command.port), command.start_within_s
        )
        if has_come and self.running:
            return
        why = f"did not answer within {command.start_within_s:g} s" if self.running else "ended at once"
        self._end(signal.SIGKILL)
        raise ServiceError(f"{command.name} {why}; log {command.log_file}:\n{self.log_tail()}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            _signal_group(process, how)
            try:
                process.wait(self._command.stop_within_s)
            except subprocess.TimeoutExpired:
                log.warning("server_killed_after_deadline", server=self._command.name)
                _signal_group(process, signal.SIGKILL)
                process.wait()
            _signal_group(process, signal.SIGKILL)  # whatever it had started itself
            becomes_true(lambda: not listens(self.port), within_s=5.0)
        self._release_leash()

    def _release_leash(self) -> None:
        leash, self._leash = self._leash, None
        if leash is not None:
            leash.kill()
            leash.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _signal_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Signal the process group; nothing happens when it is gone already."""
    try:
        os.killpg(process.pid, how)
    except ProcessLookupError:
        return
