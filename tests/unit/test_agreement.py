from dataclasses import replace
from datetime import UTC, datetime

import pytest

from models.agreement import compare_assessments
from schemas.featurized import Measurements, Quality
from schemas.risk import Phenotype, RiskAssessed

AT = datetime(2026, 3, 1, tzinfo=UTC)
THRESHOLD = 0.5


def risk(number: int, probability: float | None, bundle: str) -> RiskAssessed:
    phenotype = Phenotype.NOT_SCORED
    if probability is not None:
        phenotype = Phenotype.HIGH if probability >= THRESHOLD else Phenotype.LOW
    return RiskAssessed(
        ecg_id=f"00000000-0000-5000-8000-{number:012d}",
        patient_id="P1",
        acquired_at=AT,
        published_at=AT,
        assessed_at=AT,
        phenotype=phenotype,
        probability=probability,
        not_scored_reasons=("QUALITY",) if probability is None else (),
        bundle_version=bundle,
        bundle_sha256=bundle,
        quality=Quality(acceptable=True, score=1.0),
        measurements=Measurements(),
    )


def pairs(*probabilities: tuple[float | None, float | None]) -> list[tuple[RiskAssessed, RiskAssessed]]:
    return [(risk(i, one, "a"), risk(i, other, "b")) for i, (one, other) in enumerate(probabilities)]


def test_same_answers_agree_wholly() -> None:
    found = compare_assessments(pairs((0.1, 0.1), (0.7, 0.7), (0.4, 0.4)))
    assert (found.n, found.n_scored) == (3, 3)
    assert (found.agreement, found.mean_difference, found.max_absolute_difference) == (1.0, 0.0, 0.0)
    assert found.correlation == pytest.approx(1.0)
    assert (found.to_high, found.to_low) == (0, 0)


def test_reclassified_are_counted_both_ways_and_differences_have_signs() -> None:
    found = compare_assessments(pairs((0.4, 0.6), (0.45, 0.55), (0.8, 0.3), (0.1, 0.1)))
    assert (found.to_high, found.to_low) == (2, 1)
    assert found.agreement == 0.25
    assert found.mean_difference == pytest.approx((0.2 + 0.1 - 0.5) / 4)
    assert found.mean_absolute_difference == pytest.approx((0.2 + 0.1 + 0.5) / 4)
    assert found.max_absolute_difference == pytest.approx(0.5)


def test_not_scored_is_counted_and_is_no_probability() -> None:
    found = compare_assessments(pairs((0.4, None), (None, 0.9), (None, 0.2), (None, None), (0.6, 0.7)))
    assert (found.n, found.n_scored) == (5, 1)
    assert (found.only_first_scored, found.only_second_scored) == (1, 2)
    assert found.mean_difference == pytest.approx(0.1)
    assert found.correlation is None


def test_opposite_answers_are_correlated_negatively() -> None:
    assert compare_assessments(pairs((0.1, 0.9), (0.5, 0.5), (0.9, 0.1))).correlation == pytest.approx(-1.0)


@pytest.mark.parametrize("given", [[], pairs((None, None))])
def test_nothing_scored_leaves_nothing_to_say(given: list[tuple[RiskAssessed, RiskAssessed]]) -> None:
    found = compare_assessments(given)
    assert (found.n_scored, found.agreement, found.mean_difference, found.correlation) == (
        0,
        None,
        None,
        None,
    )
    assert found.max_absolute_difference is None


def test_assessments_of_different_ecgs_are_no_pair() -> None:
    first, second = risk(1, 0.5, "a"), risk(1, 0.5, "b")
    other = replace(second, ecg_id="00000000-0000-5000-8000-000000000009")
    with pytest.raises(ValueError, match="different ECGs"):
        compare_assessments([(first, other)])
