from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from tiny_bundle import tiny_bundle, waves

from models.bundle import Bundle
from models.manifest import InputContract
from models.predictor import Predictor
from models.saliency import BIN_SAMPLES, explain
from schemas.featurized import EcgFeaturized, Measurements, Quality

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


@pytest.fixture
def ecg() -> EcgFeaturized:
    (uv,), (beat,) = waves(1, seed=4)
    return EcgFeaturized(
        ecg_id="00000000-0000-5000-8000-000000000001",
        patient_id="P1",
        acquired_at=AT,
        published_at=AT,
        quality=Quality(acceptable=True, score=1.0),
        measurements=Measurements(heart_rate_bpm=70.0, rr_sd_ms=20.0),
        model_input_uv=uv,
        median_beat_uv=beat,
        age_years=60.0,
    )


def log_odds(bundle: Bundle, ecg: EcgFeaturized) -> float:
    (prediction,) = Predictor(bundle).predict([ecg])
    return sum(part.log_odds for part in prediction.contributions) + bundle.ensemble.reference_log_odds


def without_lead(uv: np.ndarray, lead: int) -> np.ndarray:
    changed = uv.copy()
    changed[lead] = 0
    return changed


def test_shares_add_up_to_one_and_none_is_negative(bundle: Bundle, ecg: EcgFeaturized) -> None:
    found = explain(bundle, ecg)
    assert (found.strip.shape, found.beat.shape) == ((8, 500), (8, 55))
    assert found.strip.sum() + found.beat.sum() == pytest.approx(1.0, abs=1e-5)
    assert found.beat.sum() > 0.0
    assert min(found.strip.min(), found.beat.min()) >= 0.0
    shares = list(found.lead_shares.values())
    assert sum(shares) == pytest.approx(1.0, abs=1e-5)
    assert shares == sorted(shares, reverse=True)


def test_what_is_explained_is_the_answer(bundle: Bundle, ecg: EcgFeaturized) -> None:
    assert explain(bundle, ecg).log_odds == pytest.approx(log_odds(bundle, ecg), abs=1e-3)


def test_same_ecg_is_explained_alike_each_time(bundle: Bundle, ecg: EcgFeaturized) -> None:
    first, again = explain(bundle, ecg), explain(bundle, ecg)
    assert (first.strip == again.strip).all()
    assert (first.beat == again.beat).all()


@pytest.mark.parametrize("lead", [0, 7])
def test_flat_lead_has_no_share(bundle: Bundle, ecg: EcgFeaturized, lead: int) -> None:
    assert ecg.model_input_uv is not None
    assert ecg.median_beat_uv is not None
    flat = replace(
        ecg,
        model_input_uv=without_lead(ecg.model_input_uv, lead)
        + np.int16(40 * (np.arange(8) == lead)[:, None]),
        median_beat_uv=without_lead(ecg.median_beat_uv, lead),
    )
    found = explain(bundle, flat)
    assert found.strip[lead].sum() == 0.0
    assert found.beat[lead].sum() == 0.0
    assert found.strip.sum() > 0.0


def test_ecg_without_a_beat_rests_on_its_strip_alone(bundle: Bundle, ecg: EcgFeaturized) -> None:
    found = explain(bundle, replace(ecg, median_beat_uv=None))
    assert found.beat.sum() == 0.0
    assert found.strip.sum() == pytest.approx(1.0, abs=1e-5)


def test_flat_ecg_rests_on_nothing(bundle: Bundle, ecg: EcgFeaturized) -> None:
    found = explain(bundle, replace(ecg, model_input_uv=np.zeros((8, 5000), np.int16), median_beat_uv=None))
    assert found.strip.sum() == 0.0


def blanked(ecg: EcgFeaturized, lead: int, place: int) -> EcgFeaturized:
    """The ECG, level in one bin."""
    assert ecg.model_input_uv is not None
    uv = ecg.model_input_uv.reshape(8, -1, BIN_SAMPLES).copy()  # (8, 500, 10)
    uv[lead, place] = np.median(ecg.model_input_uv[lead])
    return replace(ecg, model_input_uv=uv.reshape(8, 5000))


def test_what_is_salient_moves_the_answer_more_than_what_is_not(bundle: Bundle, ecg: EcgFeaturized) -> None:
    found = explain(bundle, ecg)
    order = np.argsort(found.strip, axis=None)
    moved = [
        np.mean(
            [
                abs(explain(bundle, blanked(ecg, *divmod(int(at), 500))).log_odds - found.log_odds)
                for at in bins
            ]
        )
        for bins in (order[-12:], order[:12])
    ]
    assert moved[0] > 3 * moved[1]


def test_ecg_that_is_not_scored_is_not_explained(bundle: Bundle, ecg: EcgFeaturized) -> None:
    unusable = Quality(acceptable=False, score=0.0, reasons=("X",))
    with pytest.raises(ValueError, match="nothing to explain"):
        explain(bundle, replace(ecg, model_input_uv=None, median_beat_uv=None, quality=unusable))


def test_bundle_on_the_published_preprocessing_is_explained_too(ecg: EcgFeaturized) -> None:
    found = explain(tiny_bundle(input=InputContract(normalisation="ecgfounder")), ecg)
    assert found.strip.sum() + found.beat.sum() == pytest.approx(1.0, abs=1e-5)
