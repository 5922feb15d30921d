import numpy as np
import pytest
import torch
from torch import Tensor

from models.features import COLUMN_NAMES
from models.motion_measurements import MOTION_COLUMNS, N_VELOCITIES, is_fibrillating, measure_motion, rr_ms
from schemas.risk import MOTION_SAMPLES, Motion

S_END_MS = {50.0: 375.0, 70.0: 345.0, 110.0: 300.0}
S_ONSET_MS, IVRT_MS, E_LONG_MS, A_LONG_MS = 70.0, 75.0, 150.0, 110.0
SEPTAL = (7.0, 6.0, 8.0)
LATERAL = (9.0, 8.5, 9.5)


def lobe(at_ms: Tensor, onset_ms: float, long_ms: float) -> Tensor:
    """A raised cosine of height 1; its mean over its duration is one half."""
    share = ((at_ms - onset_ms) / long_ms).clamp(0.0, 1.0)
    return 0.5 - 0.5 * torch.cos(2.0 * torch.pi * share)


def curves(bpm: float = 70.0, a_from_end_ms: float = A_LONG_MS + 5.0, *, late: bool = True) -> Tensor:
    """(1, 2, 128): spike, s', notch, e', a' of known size and place."""
    cycle_ms = 60000.0 / bpm
    at_ms = torch.arange(MOTION_SAMPLES) * cycle_ms / MOTION_SAMPLES
    s_end_ms = S_END_MS[bpm]
    rows = []
    for s, e, a in (SEPTAL, LATERAL):
        up = s * lobe(at_ms, S_ONSET_MS, s_end_ms - S_ONSET_MS) + 0.6 * s * lobe(at_ms, 5.0, 50.0)
        notch = 0.1 * s * lobe(at_ms, s_end_ms, IVRT_MS)
        early = e * lobe(at_ms, s_end_ms + IVRT_MS, E_LONG_MS)
        atrial = late * a * lobe(at_ms, cycle_ms - a_from_end_ms, A_LONG_MS)
        rows.append(up + notch - torch.maximum(early, atrial))
    return torch.stack(rows)[None]


def measured(of: Tensor, bpm: float = 70.0, *, fibrillating: bool = False) -> dict[str, float]:
    n = len(of)
    (row,) = measure_motion(of, torch.full((n,), 60000.0 / bpm), torch.full((n,), fibrillating)).tolist()
    return dict(zip(MOTION_COLUMNS, row, strict=True))


@pytest.mark.parametrize("bpm", [50.0, 70.0, 110.0])
def test_velocities_are_recovered_at_slow_and_fast_rates(bpm: float) -> None:
    found = measured(curves(bpm), bpm)
    for site, wanted in (("septal", SEPTAL), ("lateral", LATERAL)):
        for wave, cm_s in zip(("s_prime", "e_prime", "a_prime"), wanted, strict=True):
            assert found[f"{wave}_{site}_cm_s"] == pytest.approx(cm_s, abs=0.25), (wave, site)
    wanted_ratio = (SEPTAL[1] + LATERAL[1]) / (SEPTAL[2] + LATERAL[2])
    assert found["e_over_a"] == pytest.approx(wanted_ratio, rel=0.04)


@pytest.mark.parametrize("bpm", [50.0, 70.0, 110.0])
def test_times_and_displacement_are_recovered_at_slow_and_fast_rates(bpm: float) -> None:
    found, ejection_ms = measured(curves(bpm), bpm), S_END_MS[bpm] - S_ONSET_MS
    assert found["ivct_ms"] == pytest.approx(S_ONSET_MS, abs=3.0)
    assert found["ejection_ms"] == pytest.approx(ejection_ms, abs=4.0)
    assert found["ivrt_ms"] == pytest.approx(IVRT_MS, abs=6.0)
    wanted = (S_ONSET_MS + IVRT_MS) / ejection_ms
    assert found["performance_index"] == pytest.approx(wanted, abs=0.04)
    for site, (s, *_) in (("septal", SEPTAL), ("lateral", LATERAL)):
        mm = s * 0.5 * ejection_ms / 1000.0 * 10.0  # cm/s over s, in mm
        assert found[f"displacement_{site}_mm"] == pytest.approx(mm, rel=0.02)


def test_the_isovolumic_spike_is_not_taken_for_systole() -> None:
    tall = curves()
    at_ms = torch.arange(MOTION_SAMPLES) * 60000.0 / 70.0 / MOTION_SAMPLES
    tall += 12.0 * lobe(at_ms, 0.0, 55.0)
    found = measured(tall)
    assert found["s_prime_septal_cm_s"] == pytest.approx(SEPTAL[0], abs=0.1)
    assert found["ivct_ms"] == pytest.approx(S_ONSET_MS, abs=6.0)


def test_fibrillation_has_no_late_wave_and_says_so_by_nan() -> None:
    for late in (True, False):
        found = measured(curves(late=late), fibrillating=True)
        for name in ("a_prime_septal_cm_s", "a_prime_lateral_cm_s", "e_over_a"):
            assert np.isnan(found[name]), name
        assert found["e_prime_septal_cm_s"] == pytest.approx(SEPTAL[1], abs=0.1)


def test_a_curve_without_a_late_wave_has_none_in_any_rhythm() -> None:
    found = measured(curves(late=False))
    assert np.isnan(found["a_prime_septal_cm_s"])
    assert np.isnan(found["e_over_a"])
    assert found["e_prime_lateral_cm_s"] == pytest.approx(LATERAL[1], abs=0.1)


def test_waves_that_run_into_each_other_are_two_while_a_valley_shows() -> None:
    # At 110 a minute e' peaks 450 ms after R and a' at 490: the curve does not come back to 0 between them.
    touching = curves(110.0, a_from_end_ms=A_LONG_MS)
    between = touching[0, 0, round(450 / 545 * MOTION_SAMPLES) : round(490 / 545 * MOTION_SAMPLES)]
    assert between.max() < -3.0
    found = measured(touching, 110.0)
    assert found["e_prime_septal_cm_s"] == pytest.approx(SEPTAL[1], abs=0.3)
    assert found["a_prime_septal_cm_s"] == pytest.approx(SEPTAL[2], abs=0.3)


def test_waves_fused_into_one_count_as_early_and_leave_no_late_one() -> None:
    fused = curves(110.0, a_from_end_ms=165.0)  # a' peaks where e' does
    found = measured(fused, 110.0)
    assert found["e_prime_septal_cm_s"] == pytest.approx(SEPTAL[2], abs=0.3)
    assert np.isnan(found["a_prime_septal_cm_s"])


def test_without_a_rate_velocities_stay_and_times_go() -> None:
    row = measure_motion(curves(), torch.tensor([torch.nan]), torch.tensor([False]))[0]
    known = dict(zip(MOTION_COLUMNS, torch.isfinite(row).tolist(), strict=True))
    untimed = [name for name in MOTION_COLUMNS if name.endswith(("_cm_s", "e_over_a"))]
    assert [name for name, is_there in known.items() if is_there] == untimed


def test_a_flat_curve_and_one_with_gaps_have_no_measurements() -> None:
    broken = curves()
    broken[0, 1, 40] = torch.nan
    both = torch.cat([torch.zeros(1, 2, MOTION_SAMPLES), broken])
    out = measure_motion(both, torch.full((2,), 860.0), torch.zeros(2, dtype=torch.bool))
    assert torch.isnan(out).all()


def test_each_row_depends_on_its_own_curves_alone() -> None:
    rows = torch.cat([curves(bpm) for bpm in S_END_MS] + [torch.full((1, 2, MOTION_SAMPLES), torch.nan)])
    rr = torch.tensor([1200.0, 857.0, 545.0, torch.nan])
    fibrillating = torch.tensor([False, True, False, True])
    together = measure_motion(rows, rr, fibrillating)
    for i in range(4):
        piece = slice(i, i + 1)
        alone = measure_motion(rows[piece], rr[piece], fibrillating[piece])
        assert torch.equal(together[piece].nan_to_num(-1.0), alone.nan_to_num(-1.0))


def test_gradients_are_finite_even_where_measurements_are_missing() -> None:
    rows = torch.cat([curves(), curves(late=False), torch.zeros(1, 2, MOTION_SAMPLES)]).requires_grad_()
    rr = torch.tensor([857.0, torch.nan, 857.0])
    out = measure_motion(rows, rr, torch.tensor([False, False, True]))
    torch.where(torch.isfinite(out), out, 0.0).sum().backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()
    assert rows.grad[0].abs().sum() > 0.0
    assert rows.grad[2].abs().sum() == 0.0


def test_a_larger_wave_is_a_larger_measurement_by_the_gradient_too() -> None:
    row = curves().requires_grad_()
    found = measure_motion(row, torch.tensor([857.0]), torch.tensor([False]))
    found[0, MOTION_COLUMNS.index("e_prime_septal_cm_s")].backward()  # type: ignore[no-untyped-call]
    assert row.grad is not None
    assert row.grad[0, 0].sum() == pytest.approx(-1.0)  # one sample, read downward
    assert row.grad[0, 1].abs().sum() == 0.0


def test_columns_are_fields_of_the_published_motion() -> None:
    assert set(MOTION_COLUMNS) <= set(Motion.__slots__)
    assert len(MOTION_COLUMNS) == 13
    assert all(name.endswith("_cm_s") for name in MOTION_COLUMNS[:N_VELOCITIES])


@pytest.mark.parametrize(
    ("pr_ms", "rr_sd_ms", "bpm", "wanted"),
    [
        (np.nan, 170.0, 70.0, True),
        (160.0, 170.0, 70.0, False),  # ectopic beats in sinus rhythm
        (np.nan, 30.0, 70.0, False),  # a junctional rhythm is regular
        (np.nan, 60.0, 120.0, True),
        (np.nan, np.nan, 70.0, False),
        (np.nan, 170.0, np.nan, False),
    ],
)
def test_fibrillation_is_no_p_and_irregular(pr_ms: float, rr_sd_ms: float, bpm: float, wanted: bool) -> None:
    rows = np.full((1, len(COLUMN_NAMES)), np.nan, dtype=np.float32)
    for name, number in (("pr_ms", pr_ms), ("rr_sd_ms", rr_sd_ms), ("heart_rate_bpm", bpm)):
        rows[0, COLUMN_NAMES.index(name)] = number
    assert is_fibrillating(rows).tolist() == [wanted]
    assert is_fibrillating(torch.from_numpy(rows)).tolist() == [wanted]


def test_a_rate_of_zero_is_no_rate() -> None:
    rows = np.zeros((2, len(COLUMN_NAMES)), dtype=np.float32)
    rows[1, COLUMN_NAMES.index("heart_rate_bpm")] = 60.0
    assert torch.isnan(rr_ms(rows)).tolist() == [True, False]
    assert float(rr_ms(rows)[1]) == pytest.approx(1000.0)


@pytest.mark.parametrize(("early_cm_s", "late_cm_s"), [(5.5, 8.0), (9.0, 5.5)])
def test_a_wave_that_rides_on_the_slope_of_the_other_is_read_at_its_shoulder(early_cm_s, late_cm_s):
    """At 92 a minute and a long PR the waves overlap, and the curve between them does not come back."""
    rr_ms, n = 652.0, 128
    at_ms = torch.arange(n) * rr_ms / n
    early, late = lobe(at_ms, 415.0, 190.0), lobe(at_ms, 490.0, 165.0)
    curve = 6.5 * lobe(at_ms, 70.0, 260.0) - torch.maximum(early_cm_s * early, late_cm_s * late)
    measured = measure_motion(
        torch.stack([curve, curve])[None], torch.tensor([rr_ms]), torch.tensor([False])
    )[0]
    assert measured[1].item() == pytest.approx(early_cm_s, abs=0.6)
    assert measured[2].item() == pytest.approx(late_cm_s, abs=0.6)
