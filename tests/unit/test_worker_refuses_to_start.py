import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from models.bundle import DEFAULT_BUNDLE
from schemas.errors import ConfigurationError, DiastoleError, FatalError, RetriableError
from streams.settings import Settings
from streams.worker import FAILED, MISCONFIGURED, STOPPED, exit_code_of, run_stage


def refusal(capfd: pytest.CaptureFixture[str], stage: str, settings: Settings) -> str:
    assert run_stage(stage, settings) == MISCONFIGURED
    (line,) = capfd.readouterr().err.splitlines()
    assert "cannot_start" in line
    return line


def test_a_corrupt_bundle_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, bundle)
    weights = bundle / "heads.safetensors"
    corrupt = bytearray(weights.read_bytes())
    corrupt[-1] ^= 1
    weights.write_bytes(corrupt)
    line = refusal(capfd, "infer", Settings(bundle=bundle, home=tmp_path))
    assert "heads.safetensors" in line


def test_a_missing_policy_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, "alert", Settings(policy=tmp_path / "site.toml", home=tmp_path))
    assert "site.toml" in line


def test_an_unknown_stage_is_told_which_there_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, "guess", Settings(home=tmp_path))
    assert "featurize, infer, history, alert" in line


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
