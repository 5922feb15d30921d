import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("kind", ["embedded", "apache"])
def test_the_demo_scores_alerts_and_closes_its_counts(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, services_root: Path
) -> None:
    if kind == "apache":
        request.getfixturevalue("apache_broker")  # skips where there is none, and fetches the jars once
    options = ["--beds", "7", "--rounds", "8", "--rate", "20", "--shared-ecg", str(tmp_path)]
    command = [sys.executable, "-m", "ops.cli", "demo", *options, *(["--apache"] if kind == "apache" else [])]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)

    assert done.returncode == 0, done.stdout + done.stderr
    # 7 × 8 simulated ECGs, the real one, one of them twice, three pieces of garbage
    assert re.search(r"Messages in\W+61\b", done.stdout)
    assert "57 ECGs, 1 repeat of one of them, 3 pieces of garbage" in done.stdout
    assert re.search(r"Dead letters\W+3\b", done.stdout)
    assert re.search(r"Counts close\W+yes", done.stdout)
    assert "ALERT" in done.stdout
    assert "✗" not in done.stdout
    assert "alert raised" in done.stdout  # in the risk trend of a patient who deteriorates
    assert max(map(len, done.stdout.partition("How every message ended")[2].splitlines())) <= 110
    assert "\x1b" not in done.stdout
    assert "642341" not in done.stdout + done.stderr
    assert "not a medical device" in done.stdout
    assert "It did not show" in done.stdout
