import os
import signal
import threading
import time
from pathlib import Path

from structlog.testing import capture_logs

from streams.supervisor import supervise


def fail_once(folder: Path, parent: int) -> int:
    """Fail on the first run; on the second ask the supervisor to stop."""
    if not (folder / "ran").exists():
        (folder / "ran").touch()
        return 1
    os.kill(parent, signal.SIGTERM)
    return _until_terminated()


def misconfigured_after_a_failure(folder: Path, parent: int) -> int:
    """Fail, be misconfigured when started again, and ask the supervisor to stop when started once more."""
    runs = len(list(folder.iterdir()))
    (folder / str(runs)).touch()
    if runs < 2:
        return runs + 1
    os.kill(parent, signal.SIGTERM)
    return _until_terminated()


def misconfigured() -> int:
    return 2


def _until_terminated() -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    deadline_s = time.monotonic() + 60
    while not stop.is_set() and time.monotonic() < deadline_s:
        stop.wait(0.05)
    return 0


def test_a_stage_that_fails_is_started_again_and_sigterm_stops_all(tmp_path: Path) -> None:
    with capture_logs() as logs:
        supervise({"toy": (tmp_path, os.getpid())}, fail_once)
    assert [(line["event"], line["exit_code"]) for line in logs if line["event"] == "stage_ended"] == [
        ("stage_ended", 1)
    ]


def test_a_misconfigured_stage_is_not_started_again() -> None:
    with capture_logs() as logs:
        assert supervise({"toy": ()}, misconfigured) == 2
    assert logs == []


def test_a_stage_that_worked_once_stops_no_other_by_being_refused_later(tmp_path: Path) -> None:
    with capture_logs() as logs:
        supervise({"toy": (tmp_path, os.getpid())}, misconfigured_after_a_failure)
    assert [line["exit_code"] for line in logs if line["event"] == "stage_ended"] == [1, 2]
