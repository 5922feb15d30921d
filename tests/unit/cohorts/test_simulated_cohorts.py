"""The simulated cohorts are what they say: who is in them, what is known, and how much an ECG can tell."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from models.cohorts.beat_waves import waves
from models.cohorts.dipole import Wave
from models.cohorts.echo import draw_echo
from models.cohorts.heart import (
    N_VOICES,
    Block,
    HeartState,
    Population,
    Traits,
    draw_severity,
    draw_traits,
    heart_state,
)
from models.cohorts.simulated_cohorts import (
    FIRST_SEED,
    TRAINING_RECORDERS,
    UNSEEN_RECORDER,
    code_like,
    development,
    doppler,
    echonext_like,
    external,
    registry,
)
from models.cohorts.structural_disease import FLAGS
from models.cohorts.tissue_doppler import draw_velocities
from schemas.leads import LEADS_12

COHORTS = (registry, doppler, development, external, echonext_like, code_like)


def seeds(cohort, n=40):
    return {int(cohort[i].patient_key.removeprefix("SIM-")) for i in range(n)}


def test_published_sizes_are_the_default():
    assert [len(each()) for each in (development, external, echonext_like, code_like)] == [
        1012,
        956,
        100_000,
        233_770,
    ]
    assert echonext_like().n_patients == 36_286


def test_no_patient_is_in_two_cohorts_or_in_a_ward():
    drawn = [seeds(make()) for make in COHORTS]
    assert sum(map(len, drawn)) == len(set.union(*drawn))
    assert min(set.union(*drawn)) >= FIRST_SEED


def test_a_row_depends_on_its_number_alone():
    forward, backward = development(), development()
    rows = {i: backward[i] for i in (7, 3, 0)}
    for i, row in rows.items():
        again = forward[i]
        assert (again.samples == row.samples).all()
        assert again.outcomes == row.outcomes
        assert (again.velocities_cm_s == row.velocities_cm_s).all()


def test_another_seed_draws_other_people():
    assert development(seed=2)[0].patient_key != development(seed=1)[0].patient_key


def test_rows_beyond_the_end_are_refused():
    with pytest.raises(IndexError, match="rows 0 to 4"):
        development(n=5)[5]


def test_each_cohort_knows_what_it_should_and_no_more():
    assert "is_high_risk" not in registry()[0].outcomes
    assert registry()[0].velocities_cm_s is None
    assert {"is_high_risk", "lv_mass_index_g_m2", "kidney_disease"} <= set(development()[0].outcomes)
    assert development()[0].velocities_cm_s.shape == (2, 128)
    assert {*FLAGS, *(f"{flag}_measured" for flag in FLAGS)} <= set(echonext_like()[0].outcomes)
    assert {"follow_up_years", "event"} <= set(code_like()[0].outcomes)
    assert code_like()[0].lead_names == LEADS_12


def test_a_flag_that_was_not_measured_is_zero():
    rows = [echonext_like()[i].outcomes for i in range(200)]
    unmeasured = [row[flag] for row in rows for flag in FLAGS if row[f"{flag}_measured"] == 0.0]
    assert len(unmeasured) > 100
    assert set(unmeasured) == {0.0}


def test_patients_of_the_echonext_like_cohort_come_several_times_as_the_same_person():
    cohort = echonext_like(n=30, n_patients=10)
    assert cohort[3].patient_key == cohort[13].patient_key
    assert cohort[3].age_years == cohort[13].age_years
    assert (cohort[3].samples != cohort[13].samples).any()


def test_the_external_cart_is_never_trained_on():
    assert UNSEEN_RECORDER not in TRAINING_RECORDERS
    assert {external()[i].centre for i in range(20)} == {UNSEEN_RECORDER.device_id}
    seen = {make()[i].centre for make in (registry, doppler, development) for i in range(30)}
    assert seen == {cart.device_id for cart in TRAINING_RECORDERS}


class Drawn:
    """Parameters of many people's ECGs without noise, with what their echo found: no samples are needed."""

    def __init__(self, n: int, population: Population) -> None:
        rng = np.random.default_rng(11)
        self.seen, self.demographics, self.labels, self.e_prime = [], [], [], []
        for _ in range(n):
            traits = draw_traits(rng, population)
            state = heart_state(traits, draw_severity(rng, traits, population))
            jitter = rng.standard_normal(N_VOICES)
            velocities = draw_velocities(rng, traits, state, 60000 / rng.normal(72, 9), 155.0)
            echo = draw_echo(rng, traits, state, velocities)
            self.seen.append(ecg_parameters(traits, state, jitter))
            self.demographics.append([traits.age_years, traits.is_male, traits.has_hypertension])
            self.labels.append(echo.is_high_risk)
            self.e_prime.append(velocities.e_prime_mean_cm_s)
        self.seen, self.labels = np.array(self.seen), np.array(self.labels)
        self.demographics, self.e_prime = np.array(self.demographics), np.array(self.e_prime)


def ecg_parameters(traits: Traits, state: HeartState, jitter: np.ndarray) -> list[float]:
    beat = [wave for wave in waves(traits, state, jitter) if not wave.name.endswith("BBB")]
    hidden = [wave.atrial and state.is_fibrillating for wave in beat]
    numbers = [number for wave, gone in zip(beat, hidden, strict=True) for number in of(wave, gone)]
    return [*numbers, state.is_fibrillating, state.block is Block.LEFT, state.block is Block.RIGHT]


def of(wave: Wave, gone: bool) -> list[float]:
    return [0.0] * 5 if gone else [wave.at_ms, wave.sigma_ms, *wave.xyz_mv]


@pytest.fixture(scope="module")
def drawn():
    return Drawn(9000, Population())


def test_an_ideal_reader_of_the_ecg_alone_reaches_an_auc_of_086_to_090(drawn):
    shown, judged = slice(0, 6000), slice(6000, None)
    reader = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.06, max_leaf_nodes=8, l2_regularization=5.0, random_state=0
    ).fit(drawn.seen[shown], drawn.labels[shown])
    auc = roc_auc_score(drawn.labels[judged], reader.predict_proba(drawn.seen[judged])[:, 1])
    assert 0.86 <= auc <= 0.90


def test_no_single_parameter_of_the_ecg_gives_the_label_away(drawn):
    varying = drawn.seen[:, drawn.seen.std(axis=0) > 0]
    aucs = [roc_auc_score(drawn.labels, column) for column in varying.T]
    assert max(max(auc, 1 - auc) for auc in aucs) < 0.80


def test_early_diastolic_velocity_falls_about_one_centimetre_a_second_a_decade(drawn):
    a_decade = np.polyfit(drawn.demographics[:, 0], drawn.e_prime, 1)[0] * 10
    assert -1.3 < a_decade < -0.7


def test_high_risk_is_older_and_more_often_hypertensive(drawn):
    high = drawn.labels
    assert 0.2 < high.mean() < 0.4
    assert drawn.demographics[high, 0].mean() > drawn.demographics[~high, 0].mean() + 3
    assert drawn.demographics[high, 2].mean() > drawn.demographics[~high, 2].mean() + 0.1
