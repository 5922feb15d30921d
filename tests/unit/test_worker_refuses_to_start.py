import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from models.bundle import DEFAULT_BUNDLE
from schemas.errors import ConfigurationError, DiastoleError, FatalError, RetriableError
from streams.ending import Ending
from streams.settings import Settings
from streams.worker import FAILED, MISCONFIGURED, STOPPED, exit_code_of, run_stage


def refusal(capfd: pytest.CaptureFixture[str], stage: str, settings: Settings) -> str:
    assert run_stage(stage, settings) == MISCONFIGURED
    (line,) = capfd.readouterr().err.splitlines()
    assert "cannot_start" in line
    return line


@pytest.mark.parametrize(("stage", "setting"), [("infer", "bundle"), ("infer-silent", "silent_bundle")])
def test_a_corrupt_bundle_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], stage: str, setting: str
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, bundle)
    weights = bundle / "ensemble.safetensors"
    corrupt = bytearray(weights.read_bytes())
    corrupt[-1] ^= 1
    weights.write_bytes(corrupt)
    line = refusal(capfd, stage, Settings(**{setting: bundle}, home=tmp_path))
    assert "ensemble.safetensors" in line


def test_a_missing_policy_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, "alert", Settings(policy=tmp_path / "site.toml", home=tmp_path))
    assert "site.toml" in line


def test_an_unknown_stage_is_told_which_there_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, "guess", Settings(home=tmp_path))
    assert "featurize, infer, history, alert, link, waveform, infer-silent" in line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, STOPPED),
        (FatalError("the device is lost"), FAILED),
        (RetriableError("given up"), FAILED),
        (ConfigurationError("no such file"), MISCONFIGURED),
    ],
)
def test_the_exit_code_tells_the_supervisor_whether_to_start_anew(
    error: DiastoleError | None, code: int
) -> None:
    async def serve() -> None:
        if error is not None:
            raise error

    with capture_logs():
        assert exit_code_of("toy", serve()) == code


def test_a_port_of_the_metrics_that_is_taken_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refusal(capfd, "featurize", Settings(home=tmp_path, metrics_port=port))
    assert f"127.0.0.1:{port}" in line


def test_a_refusal_once_at_work_is_a_failure_to_start_anew_from() -> None:
    async def serve() -> None:
        raise ConfigurationError("no right to write there")

    with capture_logs() as logs:
        assert exit_code_of("toy", serve(), Ending(had_begun=True)) == FAILED
    assert [(line["event"], line["code"]) for line in logs] == [("failed", "CONFIGURATION")]


def test_an_error_nobody_expected_is_one_line_without_its_text() -> None:
    async def serve() -> None:
        raise KeyError("Jane Doe")

    with capture_logs() as logs:
        assert exit_code_of("toy", serve()) == FAILED
    assert [(line["event"], line["code"]) for line in logs] == [("failed", "KeyError")]
    assert "Jane Doe" not in str(logs)


def test_a_worker_that_something_holds_back_ends_nevertheless() -> None:
    program = """
import asyncio, sys, threading
from streams.ending import Ending
from streams.worker import exit_code_of

async def never_ends():
    while True:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            pass

async def serve():
    threading.Thread(target=threading.Event().wait).start()
    held = asyncio.create_task(never_ends())
    await asyncio.sleep(0)
    raise OverflowError

print("buffered", end="")
sys.exit(exit_code_of("toy", serve(), Ending(incomplete=True)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == FAILED
    assert ended.stdout.startswith("buffered")
