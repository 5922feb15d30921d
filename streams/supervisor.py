"""A process per stage, restarted when it fails: what systemd or an orchestrator does elsewhere."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final

import structlog

log = structlog.get_logger()

_MISCONFIGURED: Final = 2
_FIRST_PAUSE_S: Final = 1.0
_MOST_PAUSE_S: Final = 30.0
_CALM_S: Final = 60.0  # a process that lived this long failed for a new reason: pauses begin anew
_STOP_BUDGET_S: Final = 75.0  # draining (≤ 50 s) and leaving


@dataclass(slots=True)
class _Child:
    """One supervised process; ``due_s`` is set while it waits to be started again."""

    arguments: tuple[Any, ...]
    process: BaseProcess | None = None
    started_s: float = 0.0
    n_started: int = 0
    pause_s: float = _FIRST_PAUSE_S
    due_s: float | None = 0.0


class _Supervisor:
    def __init__(self, jobs: Mapping[str, tuple[Any, ...]], run: Callable[..., int]) -> None:
        # spawn: a forked child would inherit torch's threads and our signal handlers half-alive.
        self._context = multiprocessing.get_context("spawn")
        self._run = run
        self._children = {name: _Child(arguments) for name, arguments in jobs.items()}
        self._stopping = False
        self._exit_code = 0

    def stop(self, signum: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        self._stopping = True
        for child in self._children.values():
            if child.process is not None and child.process.is_alive():
                child.process.terminate()

    def run(self) -> int:
        while not self._stopping:
            self._start_due()
            self._wait()
            self._reap()
        return self._join()

    def _start_due(self) -> None:
        for name, child in self._children.items():
            if child.due_s is not None and time.monotonic() >= child.due_s and not self._stopping:
                child.process = self._context.Process(
                    target=_child_main, args=(self._run, child.arguments), name=f"diastole-{name}"
                )
                child.process.start()
                child.started_s, child.due_s = time.monotonic(), None
                child.n_started += 1

    def _wait(self) -> None:
        sentinels = [c.process.sentinel for c in self._children.values() if c.process is not None]
        connection.wait(sentinels, timeout=0.5)

    def _reap(self) -> None:
        for name, child in self._children.items():
            if child.process is None or child.process.exitcode is None or self._stopping:
                continue
            code, child.process = child.process.exitcode, None
            if code == _MISCONFIGURED and child.n_started == 1:
                self._exit_code = code
                self.stop()
                return
            self._restart_later(name, child, code)

    def _restart_later(self, name: str, child: _Child, code: int) -> None:
        if time.monotonic() - child.started_s > _CALM_S:
            child.pause_s = _FIRST_PAUSE_S
        log.error("stage_ended", stage=name, exit_code=code, restart_in_s=child.pause_s)
        child.due_s = time.monotonic() + child.pause_s
        child.pause_s = min(2 * child.pause_s, _MOST_PAUSE_S)

    def _join(self) -> int:
        deadline_s = time.monotonic() + _STOP_BUDGET_S
        for name, child in self._children.items():
            if child.process is None:
                continue
            child.process.join(max(0.0, deadline_s - time.monotonic()))
            if child.process.exitcode is None:
                log.error("stage_killed", stage=name, after_s=_STOP_BUDGET_S)
                child.process.kill()
                child.process.join()
            self._exit_code = max(self._exit_code, abs(child.process.exitcode or 0))
        return self._exit_code


def supervise(jobs: Mapping[str, tuple[Any, ...]], run: Callable[..., int]) -> int:
    """Run ``run(*arguments)`` of each job in its own process until SIGTERM or SIGINT.

    A process that ends by itself is started again after a pause that doubles up to 30 s. One whose first
    start ends with code 2 (misconfigured) stops all; later that is one more failure of one stage, which must
    not take along those that work.

    Returns
    -------
    int
        0 when all stopped cleanly, else the highest exit code.
    """
    supervisor = _Supervisor(jobs, run)
    before = {number: signal.signal(number, supervisor.stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return supervisor.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _child_main(run: Callable[..., int], arguments: tuple[Any, ...]) -> None:
    raise SystemExit(run(*arguments))
