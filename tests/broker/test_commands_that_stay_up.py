import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from assessments import assessed

from ops.services.ports import listens
from ops.services.waiting import becomes_true
from streams.adapters.redis_history import RedisHistory
from streams.history import HistoryPoint, history_points
from streams.stage import Received

#: A worker takes seconds to import torch, and tens of them where tests share two cores.
READY_WITHIN_S = 150.0
STOPS_WITHIN_S = 60.0
EXPORT = re.compile(r"^ *export (DIASTOLE_\w+)=(\S+)$", re.MULTILINE)


class Running:
    """A command that stays up, with what it has written so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", written: Path) -> None:
        self.process, self._written = process, written

    @property
    def output(self) -> str:
        return self._written.read_text()

    def wait_for(self, text: str) -> None:
        becomes_true(lambda: text in self.output or self.process.poll() is not None, READY_WITHIN_S)
        assert text in self.output, self.output

    def exports(self) -> dict[str, str]:
        return dict(EXPORT.findall(self.output))

    def ports(self) -> list[int]:
        exported = self.exports()
        return [
            int(re.findall(r":(\d+)", exported[name])[0])
            for name in ("DIASTOLE_BROKER", "DIASTOLE_REDIS_URL")
        ]

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(STOPS_WITHIN_S)


@contextmanager
def running(arguments: Sequence[str], home: Path) -> Iterator[Running]:
    written = home / "written.txt"
    with written.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "ops.cli", *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "DIASTOLE_HOME": str(home)},
        )
    try:
        yield Running(process, written)
    finally:
        process.kill()
        process.wait()


def diastole(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ops.cli", *arguments]
    both = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=both)


def nobody_runs_from(home: Path) -> bool:
    """Whether no process works in a folder below ``home``; every server and worker does."""
    folders = (path.readlink() for path in Path("/proc").glob("[0-9]*/cwd") if os.access(path, os.R_OK))
    return not any(folder.is_relative_to(home) for folder in folders)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_services_stay_up_until_told_and_serve_the_history(how: signal.Signals, tmp_path: Path) -> None:
    risks = [assessed(n, p, patient_id="SIM-1") for n, p in enumerate((0.1, None, 0.9))]
    points = [
        point
        for point in history_points([Received(record=risk, published_at=risk.published_at) for risk in risks])
        if isinstance(point, HistoryPoint)
    ]

    async def keep(url: str) -> None:
        history = RedisHistory(url)
        await history.upsert(points)
        await history.close()

    with running(["services", "up"], tmp_path) as services:
        services.wait_for("Ctrl-C here stops both")
        asyncio.run(keep(services.exports()["DIASTOLE_REDIS_URL"]))

        shown = diastole(services.exports(), "history", "show", "SIM-1")
        assert shown.returncode == 0, shown.stderr
        assert "▁×█" in shown.stdout
        assert "lead off (V3)" in shown.stdout
        nobody = diastole(services.exports(), "history", "show", "NOBODY")
        assert (nobody.returncode, nobody.stdout.count("\n")) == (1, 1)

        ports = services.ports()
        assert services.stop(how) == 0
        assert not any(map(listens, ports))
    assert nobody_runs_from(tmp_path)


def test_a_kept_demo_can_be_looked_into_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    nothing_more = tmp_path / "no-recordings"
    nothing_more.mkdir()
    play = ["--beds", "7", "--rounds", "8", "--rate", "20", "--shared-ecg", str(nothing_more)]
    with running(["demo", "--keep", *play], tmp_path) as demo:
        demo.wait_for("until Ctrl-C. In another shell:")
        demo.wait_for("export DIASTOLE_REDIS_URL")
        patient = re.findall(r"diastole history show (SIM-\d+)", demo.output)[0]
        assert f"Risk and motion of {patient}" in demo.output

        shown = diastole(demo.exports(), "history", "show", patient)
        assert shown.returncode == 0, shown.stderr
        tailed = diastole(demo.exports(), "tail", "ecg.risk.v1", "--count", "1")  # the ward plays on
        assert (tailed.returncode, tailed.stdout.count("SIM-")) == (0, 1)

        ports = demo.ports()
        assert demo.stop(signal.SIGINT) == 0, demo.output
        assert not any(map(listens, ports))
    assert nobody_runs_from(tmp_path)


def test_a_demo_stopped_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(["demo"], tmp_path) as demo:
        demo.wait_for("Starting 4 workers")
        assert demo.stop(signal.SIGTERM) == 130
        assert "Stopped before the play was over" in demo.output
        assert "Traceback" not in demo.output
    assert nobody_runs_from(tmp_path)
