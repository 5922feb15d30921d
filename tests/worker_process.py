"""A real worker, started as an operator would: ``diastole worker STAGE`` with settings in its environment."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ops.services.ports import free_port
from ops.services.waiting import becomes_true

#: Importing torch on a busy machine with a cold disk.
START_WITHIN_S = 90.0


class WorkerProcess:
    """One worker process and everything it wrote; leaving the context kills what is left of it.

    ``words`` name another command that says of its health what workers do; ``stage`` then names its log.
    """

    def __init__(
        self, stage: str, home: Path, *, words: Sequence[str] | None = None, **settings: object
    ) -> None:
        self.port = free_port()
        self._log = home / f"{stage}-{self.port}.log"
        given = {"home": home, "log_format": "json", "metrics_port": self.port, "device": "cpu", **settings}
        environment = {f"DIASTOLE_{name.upper()}": str(setting) for name, setting in given.items()}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ops.cli", *(words or ("worker", stage))],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int | None:
        """Process id; None once it has ended."""
        return self._process.pid if self._process.poll() is None else None

    @property
    def output(self) -> str:
        """All it wrote so far, standard output and error together."""
        return self._log.read_text()

    def lines(self, *events: str) -> list[dict[str, Any]]:
        """Return its log lines of these events, of all if none is named; other output is an error."""
        logged = [json.loads(line) for line in self.output.splitlines()]
        return [line for line in logged if not events or line["event"] in events]

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /readyz; status 0 while nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)
        except OSError:
            return 0, {}

    def until_ready(self) -> None:
        """Wait until it has its partitions and waits for nothing."""
        self.until(lambda: self.readiness()[0] == 200)

    def until_held_up_by(self, code: str) -> None:
        """Wait until it says that this error holds it up, and that it is therefore not ready."""
        self.until(lambda: self.readiness()[1].get("held_up_by") == code)
        assert self.readiness()[0] == 503

    def until(self, holds: Any) -> None:
        """Wait for a condition while the worker lives."""
        assert becomes_true(lambda: self._process.poll() is not None or holds(), START_WITHIN_S), self.output
        assert self._process.poll() is None, self.output

    def ends(self) -> int:
        """Wait for its end; return its exit code."""
        return self._process.wait(START_WITHIN_S)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP and SIGCONT, say."""
        self._process.send_signal(number)

    def terminate(self) -> int:
        """Send SIGTERM and wait for its end; return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.ends()
