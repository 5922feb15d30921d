from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from tiny_bundle import N_HEADS, tiny_bundle, waves

from models.bundle import Bundle
from models.cohorts.featurized import Cohort
from models.features import COLUMNS
from models.manifest import InputContract
from models.predictor import Predictor
from models.scorer import Extractor, RowLayout
from models.scoring import extract, score_cohort


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """Ten ECGs; the fourth has no median beat, and nothing is known of the rate of the fifth."""
    n = 10
    uv, beats_uv = waves(n, seed=2)
    beats_uv[3] = 0
    features = np.random.default_rng(0).uniform(50, 100, (n, len(COLUMNS))).astype(np.float32)
    features[4, 0] = np.nan
    keys = np.arange(n).astype(np.str_)
    return Cohort(
        keys=keys,
        patient_keys=keys,
        inputs_uv=uv,
        beats_uv=beats_uv,
        features=features,
        velocities_cm_s=np.full((n, 2, 128), np.nan, dtype=np.float32),
    )


def test_cohort_is_scored_as_the_running_pipeline_scores(bundle: Bundle, cohort: Cohort) -> None:
    layout = RowLayout(N_HEADS)
    rows = np.stack(Predictor(bundle).score_arrays(cohort.inputs_uv, cohort.beats_uv, cohort.features))
    found = score_cohort(bundle, cohort, batch_size=4, with_curves=True)
    np.testing.assert_allclose(found.log_odds, rows[:, layout.log_odds].mean(axis=1), atol=5e-5)
    np.testing.assert_allclose(found.contributions, rows[:, layout.contributions], atol=5e-5)
    np.testing.assert_allclose(found.motion, rows[:, layout.motion], rtol=1e-4)
    np.testing.assert_allclose(found.extracted.deviation, rows[:, layout.deviation], rtol=1e-4)
    assert found.curves is not None
    np.testing.assert_allclose(found.curves.reshape(10, -1), rows[:, layout.curves], atol=1e-4)
    np.testing.assert_allclose(found.probability, expit(found.log_odds))
    assert (found.probability_low < found.probability).all()
    assert (found.probability < found.probability_high).all()


def test_ecg_without_a_beat_has_a_score_and_no_motion(bundle: Bundle, cohort: Cohort) -> None:
    found = score_cohort(bundle, cohort)
    assert np.isnan(found.motion).all(axis=1).tolist() == [i == 3 for i in range(10)]
    assert np.isfinite(found.log_odds).all()
    assert found.curves is None


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_size_of_batches_does_not_matter(bundle: Bundle, cohort: Cohort, batch_size: int) -> None:
    found, whole = (score_cohort(bundle, cohort, size) for size in (batch_size, 10))
    np.testing.assert_allclose(found.embedding, whole.embedding, atol=1e-5)
    np.testing.assert_allclose(found.log_odds, whole.log_odds, atol=5e-5)


def test_cohort_mapped_from_disk_is_read_and_left_as_it_was(
    bundle: Bundle, cohort: Cohort, tmp_path: Path
) -> None:
    np.save(tmp_path / "inputs.npy", cohort.inputs_uv)
    mapped = np.load(tmp_path / "inputs.npy", mmap_mode="r")
    from_disk = Cohort(
        keys=cohort.keys,
        patient_keys=cohort.patient_keys,
        inputs_uv=mapped,
        beats_uv=cohort.beats_uv,
        features=cohort.features,
        velocities_cm_s=cohort.velocities_cm_s,
    )
    assert (score_cohort(bundle, from_disk).log_odds == score_cohort(bundle, cohort).log_odds).all()


def test_progress_is_told(bundle: Bundle, cohort: Cohort) -> None:
    told: list[float] = []
    score_cohort(bundle, cohort, 4, progress=lambda _what, done: told.append(done))
    assert told == [0.0, 0.4, 0.8]


def test_bundle_states_how_the_encoder_input_is_made(bundle: Bundle, cohort: Cohort) -> None:
    contracts = (
        InputContract(),
        InputContract(normalisation="ecgfounder", mains_hz=50.0),
        InputContract(normalisation="ecgfounder", mains_hz=60.0),
    )
    found = [extract(Extractor(bundle.encoder, bundle.motion, each), cohort) for each in contracts]
    band, at_50, at_60 = (each.embedding for each in found)
    assert np.abs(band - at_50).max() > 1e-3
    assert np.abs(at_50 - at_60).max() > 0.0
    np.testing.assert_array_equal(found[0].motion, found[1].motion)
