"""Ten thousand files in a folder, ``diastole feed folder --once`` killed in the middle, Apache Kafka."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.cohorts.simulated import Course, SimulatedPatient
from ops.cli.feed_folder import AT_ONCE_PER_READER
from ops.services import RunningBroker
from ops.services.waiting import becomes_true
from ops.topic_reader import open_topic_reader
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.feeds.settings import FeedSettings
from streams.topology import ECG_QUARANTINE, ECG_RECORDED

N_FILES = 10_000
KILLED_AFTER = 4_000

#: For a machine that does other things as well; alone it takes a quarter of this.
DEADLINE_S = 600.0


def write_files(folder: Path) -> None:
    """Write small ECGs of one patient each, 2 s of 12 leads, which differ in their UID and patient alone."""
    ecg = SimulatedPatient(seed=1, course=Course(start=0.2, end=0.2)).record(datetime(2026, 1, 5, tzinfo=UTC))
    step = round(ecg.sample_rate_hz / 250.0)
    samples = ecg.samples[:, : int(2 * ecg.sample_rate_hz) : step]
    said = {
        "patient_id": "PATIENT-%08d",
        "source_uid": "1.2.3.%08d",
        "acquired_at": "2026-01-05T08:00:00+01:00",
        "sample_rate_hz": 250,
        "uv_per_unit": ecg.uv_per_unit,
        "leads": dict(zip(ecg.lead_names, samples.tolist(), strict=True)),
    }
    template = json.dumps(said)
    for n in range(N_FILES):
        path = folder / f"day-{n % 7}" / f"ecg-{n}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(template % (n, n), encoding="ascii")


@contextmanager
def feeding(folder: Path, home: Path, bootstrap: str, log: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "ops.cli", "feed", "folder", str(folder), "--once"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "DIASTOLE_HOME": str(home),
        "DIASTOLE_BROKER": bootstrap,
    }
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def told(log: Path) -> list[tuple[int, int]]:
    """Each line of progress: how many of how many."""
    lines = re.findall(r"^(\d+) of (\d+);", log.read_text(), re.MULTILINE)
    return [(int(done), int(total)) for done, total in lines]


def count_of(summary: str, what: str) -> int:
    found = re.search(rf"(\d+) {what}", summary)
    return int(found[1]) if found else 0


async def ids_on(topic: str, bootstrap: str, n: int) -> Counter[str]:
    ids: Counter[str] = Counter()
    async with open_topic_reader(bootstrap, [topic], Codec(FileRegistry()), from_beginning=True) as reader:
        while sum(ids.values()) < n:
            polled = await reader.poll(5.0)
            if not polled:
                break
            for seen in polled:
                assert isinstance(seen.record, EcgRecorded)
                ids[seen.record.ecg_id] += 1
        assert not await reader.poll(1.0)
    return ids


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "share"
    made.mkdir()
    write_files(made)
    return made


async def test_ten_thousand_files_are_each_taken_once_through_a_kill(
    own_apache_broker: RunningBroker, folder: Path, tmp_path: Path
) -> None:
    bootstrap = own_apache_broker.bootstrap
    await apply_topics(bootstrap, 4)
    started_s = time.monotonic()

    first_log = tmp_path / "first.log"
    with feeding(folder, tmp_path / "home", bootstrap, first_log) as process:
        assert becomes_true(
            lambda: any(done >= KILLED_AFTER for done, _ in told(first_log)) or process.poll() is not None,
            DEADLINE_S,
        ), first_log.read_text()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert any(total == N_FILES for _, total in told(first_log)), first_log.read_text()
    n_moved = len(files_in(folder / "accepted"))
    assert KILLED_AFTER <= n_moved < N_FILES

    second_log = tmp_path / "second.log"
    with feeding(folder, tmp_path / "home", bootstrap, second_log) as process:
        summary, _ = process.communicate(timeout=DEADLINE_S)
    took_s = time.monotonic() - started_s
    print(f"{took_s:.1f} s with {n_moved} before the kill; {summary.strip()}")

    assert process.returncode == 0, second_log.read_text()
    assert told(second_log)[-1][0] == told(second_log)[-1][1]
    assert len(files_in(folder / "accepted")) == len(files_in(folder)) == N_FILES
    ids = await ids_on(ECG_RECORDED, bootstrap, N_FILES)
    assert len(ids) == N_FILES
    assert set(ids.values()) == {1}

    read_again = count_of(summary, "repeated")
    assert read_again <= AT_ONCE_PER_READER * FeedSettings().readers, (
        "only what was in flight at the kill is read twice"
    )
    only_moved = count_of(summary, "taken before and moved now")
    assert count_of(summary, "accepted") + read_again + only_moved == N_FILES - n_moved
    assert ECG_QUARANTINE not in summary
    for log in (first_log, second_log):
        assert "PATIENT" not in log.read_text()
        assert "ecg-" not in log.read_text()
