import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.splits import holdout, patient_folds
from schemas.errors import ConfigurationError

PATIENTS = st.lists(st.text("abcdé0", min_size=1, max_size=3), min_size=1, max_size=60)
SEEDS = st.integers(0, 2**31)


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    keys = np.array(draw(PATIENTS.filter(lambda keys: len(set(keys)) >= 2)))
    strata = np.array(
        draw(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=len(keys), max_size=len(keys)))
    )
    k = draw(st.integers(2, len(set(keys.tolist()))))
    return keys, strata, k


@given(cohorts(), SEEDS)
def test_no_patient_is_in_two_folds_and_folds_are_even(
    cohort: tuple[np.ndarray, np.ndarray, int], seed: int
) -> None:
    keys, strata, k = cohort
    folds = patient_folds(keys, k, seed, strata)
    of = {key: {int(fold) for fold in folds[keys == key]} for key in set(keys.tolist())}
    assert all(len(parts) == 1 for parts in of.values())
    highest = {key: np.nanmax(np.append(strata[keys == key], -1.0)) for key in of}
    for stratum in (*set(highest.values()), None):
        counts = np.zeros(k)
        for key, (fold,) in of.items():
            counts[fold] += stratum is None or highest[key] == stratum
        assert counts.max() - counts.min() <= 1


@given(cohorts(), SEEDS, st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_rows(
    cohort: tuple[np.ndarray, np.ndarray, int], seed: int, shuffler: object
) -> None:
    keys, strata, k = cohort
    order = np.arange(len(keys))
    shuffler.shuffle(order)
    assert (
        patient_folds(keys, k, seed, strata)[order] == patient_folds(keys[order], k, seed, strata[order])
    ).all()
    assert (holdout(keys, 0.3, seed)[order] == holdout(keys[order], 0.3, seed)).all()


@given(cohorts(), SEEDS, st.floats(0.01, 0.99))
def test_holdout_keeps_whole_patients_and_leaves_some(
    cohort: tuple[np.ndarray, np.ndarray, int], seed: int, share: float
) -> None:
    keys, _, _ = cohort
    out = holdout(keys, share, seed)
    inside, outside = set(keys[~out].tolist()), set(keys[out].tolist())
    assert inside
    assert outside
    assert not inside & outside
    assert abs(len(outside) - share * len(inside | outside)) <= 1
    assert not (out & ~holdout(keys, 0.99, seed)).any()


def test_another_seed_deals_otherwise() -> None:
    keys = np.array([f"patient {i}" for i in range(100)])
    assert (patient_folds(keys, 5, 1) != patient_folds(keys, 5, 2)).any()
    assert (holdout(keys, 0.3, 1) != holdout(keys, 0.3, 2)).any()
    assert (patient_folds(keys, 5, 1) == patient_folds(keys, 5, 1)).all()


def test_what_cannot_be_dealt_is_refused() -> None:
    keys = np.array(["a", "a", "b"])
    for k in (1, 3):
        with pytest.raises(ConfigurationError, match="2 patients cannot be dealt into"):
            patient_folds(keys, k, 1)
    for share in (0.0, 1.0):
        with pytest.raises(ConfigurationError, match="2 patients"):
            holdout(keys, share, 1)
    with pytest.raises(ConfigurationError, match="of 1 patients"):
        holdout(keys[:2], 0.5, 1)
