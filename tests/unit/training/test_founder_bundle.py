"""A bundle around the published encoder: whose patients, under which seed, and how it tells its progress."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_bundle import ENCODER, manifest, tiny_bundle, tiny_bundle_folder
from typer.testing import CliRunner

from models.cohorts.paired_writer import write_paired
from models.cohorts.rows import CohortEcg
from models.founder import Net1D
from models.training import founder_bundle
from models.training.founder_bundle import FounderImport, founder_plan, import_founder
from models.training.recipe import Machine
from models.training.sources import Sizes, TrainingSources, simulated_sources
from ops.cli import main as cli
from schemas.errors import ConfigurationError
from schemas.leads import LEADS_8

HERE = Machine(device=torch.device("cpu"), workers=1)
SIZES = Sizes(registry=10, doppler=10, development=60, external=30)


@pytest.fixture
def small_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published one takes seconds an ECG; any other does here."""
    torch.manual_seed(0)
    monkeypatch.setattr(founder_bundle, "load_founder", lambda _path: Net1D(ENCODER).eval())


@pytest.mark.usefixtures("small_encoder")
def test_import_tells_what_was_simulated_and_goes_forward_only(tmp_path: Path) -> None:
    told: list[float] = []
    base = tiny_bundle(training=replace(manifest({}).training, simulated_parts=("encoder", "motion")))
    plan = founder_plan(50.0, seed=3, bundle_version="ours-1", quick=True)
    sources = simulated_sources(SIZES, 3)
    built = import_founder(
        tmp_path / "any.pth", base, sources, plan, tmp_path, HERE, lambda _what, done: told.append(done)
    )
    record = built.manifest.training
    assert built.manifest.bundle_version == "ours-1"
    assert record.seed == 3
    assert record.simulated_parts == ("motion", "ensemble")
    assert (built.manifest.heads, built.manifest.n_folds) == (plan.heads, plan.n_folds)
    assert "in part (motion and ensemble)" in built.manifest.not_for_text
    assert told == sorted(told)


def test_mains_of_no_grid_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="50 or 60 Hz"):
        founder_plan(16.7, seed=1)


class StoppedError(Exception):
    """Raised where the work would begin."""


@pytest.mark.parametrize(("options", "seed"), [([], 7), (["--seed", "2"], 2)])
def test_patients_are_dealt_under_the_seed_of_the_bundle_whose_motion_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], seed: int
) -> None:
    given: list[Any] = []

    def stop(_path: Path, _base: Any, *rest: Any) -> None:
        given.extend(rest[:2])
        raise StoppedError

    monkeypatch.setattr(founder_bundle, "import_founder", stop)
    base = tiny_bundle_folder(tmp_path / "base", training=replace(manifest({}).training, seed=7))
    cohort = lab(tmp_path / "lab")
    said = ["bundle", "import-founder", "any.pth", "--cohort", str(cohort), "--base", str(base)]
    result = CliRunner().invoke(
        cli.app, [*said, "--out", str(tmp_path / "out"), "--bundle-version", "lab-2", *options]
    )
    assert isinstance(result.exception, StoppedError)
    sources, plan = given
    assert isinstance(sources, TrainingSources)
    assert isinstance(plan, FounderImport)
    assert (plan.seed, plan.bundle_version) == (seed, "lab-2")
    assert f"dealt under the seed {seed}" in sources.development.provenance.details


def lab(folder: Path) -> Path:
    rows = (
        CohortEcg(
            key=f"E{i}",
            patient_key=f"P{i}",
            samples=np.zeros((8, 1000), dtype=np.int16),
            sample_rate_hz=100.0,
            lead_names=LEADS_8,
            uv_per_unit=5.0,
            outcomes={"is_high_risk": float(i % 2)},
            velocities_cm_s=np.ones((2, 128), dtype=np.float32),
        )
        for i in range(400)
    )
    write_paired(folder, rows, name="Lab", is_simulated=False)
    return folder
