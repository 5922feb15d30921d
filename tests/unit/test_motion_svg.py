"""The picture of synthetic motion labels what was measured, and says what is absent."""

import numpy as np
import pytest

from schemas.risk import Motion
from streams.api.motion_svg import NORMAL_CM_S, WALLS, motion_svg, normal_curves, peaks_of, waves_of


def motion(*, has_a: bool = True) -> Motion:
    """Motion of the normal reference, with the peaks its curves have."""
    curves = normal_curves().copy()
    if not has_a:
        curves[:, 105:] = 0.0
    return Motion(
        velocities_cm_s=curves,
        s_prime_septal_cm_s=8.0,
        s_prime_lateral_cm_s=9.0,
        e_prime_septal_cm_s=10.0,
        e_prime_lateral_cm_s=13.0,
        a_prime_septal_cm_s=9.5 if has_a else None,
        a_prime_lateral_cm_s=9.5 if has_a else None,
        e_over_a=1.2 if has_a else None,
        e_prime_septal_sd_cm_s=0.8,
        e_prime_lateral_sd_cm_s=1.1,
    )


def test_the_reference_has_the_middles_of_the_normal_ranges() -> None:
    for row, wall in enumerate(WALLS):
        low, high = NORMAL_CM_S["e"][wall]
        assert -normal_curves()[row].min() == pytest.approx((low + high) / 2, abs=0.2)


def test_the_reference_cannot_be_changed_by_who_draws_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        normal_curves()[0, 0] = 1.0


@pytest.mark.parametrize("wall", WALLS)
def test_waves_are_labelled_with_their_values_and_doubts(wall: str) -> None:
    svg = motion_svg(motion(), wall)  # type: ignore[arg-type]
    assert ">s′ " in svg
    assert ">e′ " in svg
    assert ">a′ 9.5<" in svg
    assert svg.count('class="doubt"') == 1
    assert "± " in svg
    assert 'class="normal"' in svg
    assert "absent" not in svg


def test_an_absent_late_wave_is_said_and_not_labelled() -> None:
    svg = motion_svg(motion(has_a=False), "septal")
    assert "a′ absent: no late wave, as in atrial fibrillation" in svg
    assert ">a′ 0" not in svg
    assert "a′ absent" in svg.partition("</desc>")[0]


def test_peaks_follow_each_other_in_the_cycle() -> None:
    both = motion()
    for row, wall in enumerate(WALLS):
        s, e, a = peaks_of(normal_curves()[row], waves_of(both, wall))
        assert s is not None
        assert e is not None
        assert a is not None
        assert s < e < a


def test_two_late_waves_of_one_height_are_told_apart_by_their_time() -> None:
    curve = np.zeros(128, np.float32)
    curve[60:70] = -np.hanning(10) * 8
    curve[110:120] = -np.hanning(10) * 8
    even = Motion(
        velocities_cm_s=np.stack([curve, curve]),
        e_prime_septal_cm_s=float(-curve.min()),
        a_prime_septal_cm_s=float(-curve.min()),
    )
    _, e, a = peaks_of(curve, waves_of(even, "septal"))
    assert e is not None
    assert a is not None
    assert 60 <= e < 70
    assert 110 <= a < 120


def test_time_is_in_ms_where_the_rate_is_known() -> None:
    assert ">800<" in motion_svg(motion(), "septal", cycle_ms=800.0)
    assert "share of the cycle" in motion_svg(motion(), "septal")


def test_a_curve_beyond_the_usual_is_not_cut() -> None:
    wide = Motion(velocities_cm_s=np.full((2, 128), -30.0, np.float32))
    svg = motion_svg(wide, "lateral")
    ys = [float(pair.split(" ")[1]) for pair in svg.split('class="curve" d="M')[1].split('"')[0].split("L")]
    assert max(ys) < 250
    assert "s′, e′, a′ absent" in svg
