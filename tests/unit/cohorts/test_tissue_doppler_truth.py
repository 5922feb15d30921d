"""Simulated tissue Doppler looks like tissue Doppler: signs, order, ranges, and what disease does."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from models.cohorts.heart import HeartState, Population, Traits, draw_traits, heart_state
from models.cohorts.simulated import Course, SimulatedPatient
from models.cohorts.tissue_doppler import Velocities, draw_velocities, velocity_curves

AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def person(seed: int = 3) -> Traits:
    return replace(
        draw_traits(np.random.default_rng(seed), Population()),
        age_years=55.0,
        has_hypertension=False,
        has_kidney_disease=False,
        fibrillation_draw=0.9,
        leaning=(0.0,) * 5,
        echo_voice=(0.0,) * 6,
    )


def velocities(severity: float = 0.0, rr_ms: float = 860.0, **state: object) -> Velocities:
    traits = person()
    heart: HeartState = replace(heart_state(traits, severity), **state)  # type: ignore[arg-type]
    return draw_velocities(np.random.default_rng(1), traits, heart, rr_ms, 150.0)


@pytest.mark.parametrize("rr_ms", [550.0, 700.0, 860.0, 1200.0])
def test_waves_come_in_order_with_their_signs(rr_ms):
    drawn = velocities(rr_ms=rr_ms)
    for wall, curve in enumerate(velocity_curves(drawn)):
        at_ms = np.arange(128) * rr_ms / 128
        systole, after = at_ms < drawn.s_end_ms, at_ms >= drawn.s_end_ms
        assert curve[systole].max() == pytest.approx(drawn.s_prime_cm_s[wall], rel=0.03)
        assert curve[systole].min() >= 0.0
        late = at_ms >= max(drawn.a_onset_ms, drawn.e_onset_ms)
        assert curve[after].min() <= -0.9 * drawn.e_prime_cm_s[wall]
        assert curve[late].min() <= -0.9 * drawn.a_prime_cm_s[wall]
        assert at_ms[np.argmax(curve)] < drawn.s_end_ms <= at_ms[np.argmin(curve)]


def test_nothing_moves_at_the_start_and_the_end_of_a_cycle():
    curves = velocity_curves(velocities())
    assert np.abs(curves[:, 0]).max() < 0.5
    assert np.abs(curves[:, -1]).max() < 1.5
    assert np.abs(np.diff(curves, axis=1)).max() < 4.0


def test_healthy_and_ill_velocities_lie_in_the_ranges_of_adults():
    healthy, ill = velocities(0.0), velocities(0.95)
    assert 7 < healthy.e_prime_cm_s[0] < 13
    assert 9 < healthy.e_prime_cm_s[1] < 16
    assert 6 < healthy.s_prime_cm_s[0] < 10
    assert 7 < healthy.a_prime_cm_s[0] < 12
    assert ill.e_prime_cm_s[0] < 6.5
    assert ill.e_prime_cm_s[0] < ill.e_prime_cm_s[1]


def test_early_over_late_velocity_falls_as_relaxation_is_impaired():
    ratios = [
        each.e_prime_mean_cm_s / np.mean(each.a_prime_cm_s)
        for each in (velocities(severity) for severity in (0.0, 0.3, 0.6))
    ]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 1.0 > ratios[-1]


def test_impaired_relaxation_lengthens_isovolumic_relaxation_and_pressure_shortens_it_again():
    lengths = [
        each.e_onset_ms - each.s_end_ms
        for each in (
            velocities(relaxation=0.0, filling=0.0),
            velocities(relaxation=0.8, filling=0.2),
            velocities(relaxation=0.8, filling=1.2),
        )
    ]
    assert lengths[0] < lengths[1] > lengths[2]


def test_fibrillating_atria_move_no_annulus():
    drawn = velocities(is_fibrillating=True)
    assert drawn.a_prime_cm_s is None
    late = velocity_curves(drawn)[:, int(128 * (drawn.e_onset_ms + drawn.e_duration_ms) / drawn.rr_ms) + 1 :]
    assert (late == 0.0).all()


def test_the_same_patient_and_moment_give_the_same_velocities_as_the_ecg_has_its_rate():
    patient = SimulatedPatient(seed=5, course=Course(start=0.4, end=0.4))
    assert patient.velocities(AT) == patient.velocities(AT)
    assert 400 < patient.velocities(AT).rr_ms < 1350
