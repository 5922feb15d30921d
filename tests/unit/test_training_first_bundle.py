from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.bundle import load_bundle
from models.founder import EncoderConfig
from models.manifest import Manifest
from models.training.cohort import FIRST_SEED, visits
from models.training.encoder import EncoderTraining, augment
from models.training.first_bundle import BundleTraining, cut, simulate, train
from models.training.heads import HeadsTraining, hide, logistic_regression
from models.training.judge import auc, brier, sensitivity_specificity, threshold_at_specificity

TINY = BundleTraining(
    bundle_version="tiny",
    n_encoder=24,
    n_heads=24,
    n_calibration=24,
    n_test=24,
    config=EncoderConfig(base_filters=16, filters=(16, 16), blocks=(1, 1), n_outputs=6),
    encoder=EncoderTraining(epochs=1, batch_size=8, crop_samples=1000),
    heads=HeadsTraining(n_heads=3),
)


def silent(_what: str, _done: float) -> None:
    pass


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    return train(TINY, out, silent), out


def test_trained_bundle_loads_and_states_its_metrics(trained: tuple[Manifest, Path]) -> None:
    manifest, out = trained
    assert load_bundle(out).manifest == manifest
    assert set(manifest.metrics) == {"auc", "brier", "sensitivity", "specificity", "prevalence", "patients"}
    assert manifest.metrics["patients"] == 24
    assert manifest.training.seed == TINY.seed


def test_same_plan_gives_the_same_bundle(trained: tuple[Manifest, Path], tmp_path: Path) -> None:
    assert train(TINY, tmp_path / "again", silent).sha256 == trained[0].sha256


def test_another_seed_gives_another_bundle(trained: tuple[Manifest, Path], tmp_path: Path) -> None:
    assert train(replace(TINY, seed=2), tmp_path / "other", silent).files != trained[0].files


def test_progress_is_told_from_nothing_to_nearly_all() -> None:
    told: list[float] = []
    plan = replace(TINY, n_encoder=48)
    cohort = simulate(plan, lambda _what, done: told.append(done))
    assert told == [0.0, pytest.approx(100 / 120)]
    parts = cut(cohort, plan)
    assert [len(p) for p in (parts.encoder, parts.heads, parts.calibration, parts.test)] == [48, 24, 24, 24]
    assert (parts.test.inputs_uv == cohort.inputs_uv[96:]).all()


def test_cohort_patients_are_numbered_apart_from_wards_and_drawn_once() -> None:
    ids = [v.patient.seed for v in visits(seed=1, n=50)]
    assert len(set(ids)) == 50
    assert min(ids) >= FIRST_SEED


def test_augmentation_changes_little_and_repeats_itself() -> None:
    uv = torch.full((2, 8, 100), 1000, dtype=torch.int16)
    first, again = (augment(uv, torch.Generator().manual_seed(3), 0.03) for _ in range(2))
    assert torch.equal(first, again)
    assert 0 < float((first - uv).abs().max()) < 100 + 5 * 30


def test_hiding_takes_measurements_of_a_person_together() -> None:
    features = np.ones((1000, 17), dtype=np.float32)
    hidden = np.isnan(hide(features, 0.2, np.random.default_rng(0)))
    assert (hidden[:, :-2].all(axis=1) == hidden[:, 0]).all()
    assert hidden[:, 0].mean() == pytest.approx(0.2, abs=0.05)
    assert not np.isnan(features).any()


def test_logistic_regression_finds_the_weights_it_was_made_of() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((20000, 2))
    label = (rng.random(20000) < 1 / (1 + np.exp(-(inputs @ [1.5, -0.5] - 1.0)))).astype(float)
    weights, bias = logistic_regression(inputs, label, penalty=0.0)
    np.testing.assert_allclose([*weights, bias], [1.5, -0.5, -1.0], atol=0.08)


def test_auc_counts_pairs_in_order_and_ties_as_half() -> None:
    label = np.array([0.0, 0.0, 1.0, 1.0])
    assert auc(label, np.array([0.1, 0.4, 0.4, 0.9])) == 3.5 / 4
    assert auc(label, np.array([0.9, 0.8, 0.2, 0.1])) == 0.0
    assert np.isnan(auc(np.zeros(3), np.arange(3.0)))


def test_threshold_keeps_the_specificity_asked_for() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0.0, 1.0], 1000)
    judged = np.concatenate([rng.random(1000) * 0.6, 0.3 + rng.random(1000) * 0.7])
    threshold = threshold_at_specificity(label, judged, 0.9)
    sensitivity, specificity = sensitivity_specificity(label, judged, threshold)
    assert specificity == pytest.approx(0.9, abs=0.002)
    assert 0.5 < sensitivity < 1.0
    assert brier(label, label) == 0.0
