"""One worker process under the harness's supervisor: started again when it ends, unless it is kept down."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from ops.services.process import Server
from ops.worker_processes import is_ready, worker_command


class Worker(Server):
    """A worker of a stage; every method may be called from any thread.

    ``start`` returns once the process runs: whether it is ready is :attr:`ready`, as a worker started while
    Kafka is away is not ready for a good while, and rightly so.

    Parameters
    ----------
    name : str
        The stage and a number: ``infer-1``.
    environment : dict
        Settings (``DIASTOLE_*``) of this worker; a change holds from its next start on.
    """

    def __init__(self, stage: str, name: str, root: Path, environment: dict[str, str]) -> None:
        self._described = worker_command(stage, root, {}, is_cancelled=lambda: True)
        super().__init__(self._described)
        self.name = name
        self.stage = stage
        self.environment = environment
        self.starts = 0
        self._lock = threading.RLock()
        self._kept_down = 0

    @property
    def ready(self) -> bool:
        """Whether it has its partitions and waits for nothing."""
        return self.running and is_ready(self.port)

    def start(self) -> Self:
        """Start the process and return at once; one that runs is left as it is."""
        with self._lock:
            if self.running:
                return self
            given = {**(self._described.environment or {}), **self.environment}
            self._command = replace(self._described, environment=given)
            self.starts += 1
            return super().start()

    def start_if_down(self) -> bool:
        """Start it if it has ended and nobody keeps it down; whether it was started."""
        with self._lock:
            if self.running or self._kept_down:
                return False
            self._release_leash()  # that of a process that ended by itself
            self.start()
            return True

    @contextmanager
    def kept_down(self) -> Iterator[None]:
        """Keep the supervisor from starting it again meanwhile; it is left to whoever asks to end it."""
        with self._lock:
            self._kept_down += 1
        try:
            yield
        finally:
            with self._lock:
                self._kept_down -= 1

    def kill(self) -> None:
        """End it with SIGKILL; the supervisor starts it again unless it is kept down."""
        with self._lock:
            super().kill()

    def restart(self) -> None:
        """End it with SIGTERM, as a deployment does, and start it again."""
        with self._lock:
            super().restart()

    def stop(self) -> None:
        """End it with SIGTERM and remove its data; keep it down first, or it comes again."""
        with self._lock:
            super().stop()
