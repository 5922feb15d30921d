from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from assessments import moving
from tiny_bundle import tiny_bundle, waves

from models.manifest import Eligibility, Manifest
from models.predictor import Prediction, Predictor
from ops.ledger import PROBABILITY_TOLERANCE
from schemas.featurized import EcgFeaturized, Measurements, Quality, StageTiming
from schemas.recorded import Sex, Urgency
from schemas.risk import Contribution, Phenotype, RiskAssessed
from streams.infer import infer, not_scored_reasons, rhythm_strip_uv
from streams.stage import Received

AT = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 0, 0, 5, tzinfo=UTC)
GOOD = Quality(acceptable=True, score=0.9, reasons=("NOISE:V3",))
BAD = Quality(acceptable=False, score=0.2, reasons=("LEAD_OFF:V1", "NOISE:V3"))


class FixedScores:
    """Says what it is told to, whoever asks."""

    def __init__(self, *probabilities: float) -> None:
        self.manifest: Manifest = tiny_bundle().manifest
        self.probabilities = probabilities
        self.asked: list[str] = []

    def predict(self, ecgs: Sequence[EcgFeaturized]) -> list[Prediction]:
        self.asked.extend(ecg.ecg_id for ecg in ecgs)
        return [
            Prediction(
                probability=p,
                probability_low=p / 2,
                probability_high=(1 + p) / 2,
                contributions=(Contribution(name="age", log_odds=0.5),),
                motion=None if ecg.median_beat_uv is None else moving(10 * p),
            )
            for ecg, p in zip(ecgs, self.probabilities, strict=False)
        ]


def ecg(number: int = 1, **changes: Any) -> EcgFeaturized:
    fields: dict[str, Any] = {
        "ecg_id": f"00000000-0000-5000-8000-{number:012d}",
        "patient_id": f"P{number}",
        "acquired_at": AT,
        "published_at": AT,
        "quality": GOOD,
        "measurements": Measurements(heart_rate_bpm=70.0),
        "model_input_uv": np.full((8, 5000), number, dtype=np.int16),
        "median_beat_uv": np.full((8, 550), number, dtype=np.int16),
        "age_years": 60.0,
    }
    if changes.get("model_input_uv", ...) is None:
        fields["median_beat_uv"] = None
    return EcgFeaturized(**(fields | changes))


def infer_all(scores: FixedScores | Predictor, *ecgs: EcgFeaturized) -> list[RiskAssessed]:
    results = infer([Received(record=e, published_at=AT) for e in ecgs], scores, lambda: NOW)
    assert all(isinstance(r, RiskAssessed) for r in results)
    return [r for r in results if isinstance(r, RiskAssessed)]


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"age_years": 17.9}, ("AGE_UNDER_18",)),
        ({"age_years": 18.0}, ()),
        ({"age_years": None}, ()),
        ({"has_pacemaker": True}, ("PACED",)),
        ({"has_pacemaker": False}, ()),
        ({"has_pacemaker": None}, ()),
        ({"quality": BAD, "model_input_uv": None}, ("LEAD_OFF:V1", "NOISE:V3")),
        ({"quality": Quality(acceptable=False, score=0.0), "model_input_uv": None}, ("QUALITY",)),
        (
            {
                "age_years": 3.0,
                "has_pacemaker": True,
                "quality": Quality(acceptable=False, score=0.0, reasons=("PACED",)),
                "model_input_uv": None,
            },
            ("AGE_UNDER_18", "PACED"),
        ),
        ({}, ()),
    ],
)
def test_eligibility_decides_who_is_scored(changes: dict[str, Any], reasons: tuple[str, ...]) -> None:
    scores = FixedScores(0.5)
    (risk,) = infer_all(scores, ecg(**changes))
    assert risk.not_scored_reasons == reasons
    assert (risk.phenotype is Phenotype.NOT_SCORED) == bool(reasons)
    assert (risk.probability is None) == bool(reasons)
    assert len(scores.asked) == (0 if reasons else 1)


def test_eligibility_is_the_bundles() -> None:
    lenient = Eligibility(min_age_years=12.0, paced_allowed=True)
    assert not_scored_reasons(ecg(age_years=13.0, has_pacemaker=True), lenient) == ()
    assert not_scored_reasons(ecg(age_years=11.0), lenient) == ("AGE_UNDER_12",)


def test_answers_stay_with_their_ecgs_when_some_are_not_scored() -> None:
    batch = [ecg(1), ecg(2, age_years=5.0), ecg(3), ecg(4, has_pacemaker=True), ecg(5)]
    risks = infer_all(FixedScores(0.1, 0.3, 0.5), *batch)
    assert [r.ecg_id for r in risks] == [e.ecg_id for e in batch]
    assert [r.probability for r in risks] == [0.1, None, 0.3, None, 0.5]


def test_threshold_itself_is_high() -> None:
    threshold = tiny_bundle().manifest.threshold.probability
    low, high = infer_all(FixedScores(round(threshold - 0.0001, 4), threshold), ecg(1), ecg(2))
    assert (low.phenotype, high.phenotype) == (Phenotype.LOW, Phenotype.HIGH)


def test_assessment_carries_over_what_is_known_of_the_ecg_and_the_model() -> None:
    scores = FixedScores(0.5)
    known = ecg(
        site_id="S",
        ward_id="W",
        device_id="D",
        sex=Sex.FEMALE,
        urgency=Urgency.STAT,
        timings=(StageTiming(stage="featurize", queue_ms=1.0, work_ms=2.0, batch_size=3),),
    )
    (risk,) = infer_all(scores, known)
    carried = [
        "ecg_id",
        "patient_id",
        "acquired_at",
        "published_at",
        "quality",
        "measurements",
        "site_id",
        "ward_id",
        "device_id",
        "age_years",
        "sex",
        "urgency",
        "timings",
    ]
    assert {name: getattr(risk, name) for name in carried} == {name: getattr(known, name) for name in carried}
    assert risk.assessed_at == NOW
    assert risk.bundle_version == scores.manifest.bundle_version
    assert risk.bundle_sha256 == scores.manifest.sha256
    assert risk.not_for_text == scores.manifest.not_for_text
    assert (risk.probability_low, risk.probability_high) == (0.25, 0.75)
    assert risk.contributions[0].name == "age"
    assert risk.motion is not None
    assert risk.motion.e_prime_cm_s == 5.0


def test_motion_stays_with_its_ecg_and_what_is_not_scored_has_none() -> None:
    batch = [ecg(1), ecg(2, age_years=5.0), ecg(3), ecg(4, median_beat_uv=None)]
    risks = infer_all(FixedScores(0.1, 0.3, 0.5), *batch)
    moved = [risk.motion.e_prime_cm_s if risk.motion else None for risk in risks]
    assert moved == [1.0, None, 3.0, None]


def test_an_ecg_without_a_median_beat_is_scored_all_the_same() -> None:
    (risk,) = infer_all(FixedScores(0.5), ecg(median_beat_uv=None))
    assert (risk.not_scored_reasons, risk.probability, risk.motion) == ((), 0.5, None)


def test_ecg_not_scored_for_its_quality_has_no_strip_and_a_paced_one_has() -> None:
    bad, paced = infer_all(
        FixedScores(), ecg(1, quality=BAD, model_input_uv=None), ecg(2, has_pacemaker=True)
    )
    assert bad.rhythm_strip_uv is None
    assert paced.rhythm_strip_uv is not None


def test_rhythm_strip_keeps_the_rhythm_and_drops_what_125_hz_cannot_show() -> None:
    seconds = np.arange(5000) / 500
    waveform = np.zeros((8, 5000))
    waveform[1] = 1000 * np.sin(2 * np.pi * 5 * seconds) + 1000 * np.sin(2 * np.pi * 110 * seconds)
    strip = rhythm_strip_uv(waveform.astype(np.int16))
    assert strip.shape == (1250,)
    assert strip.dtype == np.int16
    assert not strip.flags.writeable
    expected = 1000 * np.sin(2 * np.pi * 5 * np.arange(1250) / 125)
    assert np.abs(strip - expected)[50:-50].max() < 30  # 110 Hz would fold to 15 Hz at full size


def test_predictor_that_loses_an_answer_is_refused() -> None:
    with pytest.raises(AssertionError, match="predict"):
        infer_all(FixedScores(0.1), ecg(1), ecg(2))


def test_replay_in_another_batch_gives_the_same_assessment() -> None:
    predictor = Predictor(tiny_bundle(), batch_sizes=(1, 4))
    batch = [
        ecg(i, model_input_uv=wave, median_beat_uv=beat if i else None)
        for i, (wave, beat) in enumerate(zip(*waves(3), strict=True))
    ]
    together = infer_all(predictor, *batch)
    alone = [infer_all(predictor, replace(e))[0] for e in batch]
    for one, other in zip(together, alone, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=PROBABILITY_TOLERANCE)
        assert one.probability_low == pytest.approx(other.probability_low, abs=PROBABILITY_TOLERANCE)
    assert [r.motion is None for r in together] == [True, False, False]
    for one, other in zip(together[1:], alone[1:], strict=True):
        assert one.motion is not None
        assert other.motion is not None
        np.testing.assert_allclose(one.motion.velocities_cm_s, other.motion.velocities_cm_s, atol=1e-3)
        assert one.motion.e_prime_septal_cm_s == pytest.approx(other.motion.e_prime_septal_cm_s, abs=1e-3)


def test_empty_batch_gives_nothing() -> None:
    assert infer([], FixedScores(), lambda: NOW) == []
