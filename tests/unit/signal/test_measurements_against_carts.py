"""Our measurements against those the carts themselves stored in the same files."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy.signal import resample_poly

from models.beats import r_peaks
from models.measurements import axis_deg, fridericia_ms, measure
from models.signal import condition
from schemas.featurized import Measurements
from schemas.leads import LEADS_12

# From the files. Sierra 1.03 states its QRS twice: 96 ms (qrsoff − qrson; 59–115 ms in eleven leads) and
# 135 ms (lead II alone, whose elevated ST ripples: an acute inferior infarction). The first counts.
CART = {
    "philips_103": {"heart_rate_bpm": 41, "pr_ms": 151, "qrs_ms": 96, "qt_ms": 476, "qrs_axis_deg": -21,
                    "p_axis_deg": 66, "t_axis_deg": 59, "r_avl_mv": 0.908, "t_v5_mv": 0.266},
    "philips_104": {"heart_rate_bpm": 84, "pr_ms": 144, "qrs_ms": 84, "qt_ms": 352, "qrs_axis_deg": 78,
                    "p_axis_deg": 81, "t_axis_deg": 67, "r_v5_mv": 1.213, "s_v3_mv": 3.778},
    "aecg": {"pr_ms": 148, "qrs_ms": 120, "qt_ms": 420, "p_duration_ms": 102, "qrs_axis_deg": -61,
             "p_axis_deg": 44, "t_axis_deg": 86},
}  # fmt: skip
TOLERANCE = {
    "heart_rate_bpm": 2, "pr_ms": 30, "qrs_ms": 20, "qt_ms": 30, "p_duration_ms": 30,
    "p_axis_deg": 15, "qrs_axis_deg": 15, "t_axis_deg": 15,
}  # fmt: skip


@pytest.mark.parametrize(("cart", "field"), [(cart, field) for cart in CART for field in CART[cart]])
def test_measurements_agree_with_the_carts_own(cart, field, request):
    measured = request.getfixturevalue(cart).examined().measurements
    assert getattr(measured, field) == pytest.approx(CART[cart][field], abs=TOLERANCE.get(field, 0.1))


@pytest.mark.parametrize("rate_hz", [250, 400, 1000])
def test_measurements_do_not_depend_on_rate_unit_or_lead_order(recording, rate_hz):
    uv = recording.uv[:, : round(10 * recording.rate_hz)]
    order = np.random.default_rng(5).permutation(12)
    anew = resample_poly(uv, rate_hz, int(recording.rate_hz), axis=-1, padtype="line")[order] / 1000.0
    conditioned = condition(
        anew[None], sample_rate_hz=rate_hz, lead_names=[LEADS_12[row] for row in order], uv_per_unit=1000.0
    )
    other = measure(conditioned.mv, r_peaks(conditioned.mv))[0]
    one = recording.examined().measurements
    for field, value in asdict(one).items():
        tolerance = 0.5 if "bpm" in field else 8 if field.endswith("_ms") else 8 if "deg" in field else 0.02
        if field == "p_terminal_v1_mv_ms":
            tolerance = 0.5
        assert getattr(other, field) == pytest.approx(value, abs=tolerance), field


@pytest.mark.parametrize("noise_uv", [10.0, 25.0])
def test_intervals_hold_in_noise(recording, noise_uv):
    noise = np.random.default_rng(7).normal(size=recording.uv.shape) * noise_uv
    one = recording.examined().measurements
    other = recording.changed(recording.uv + noise).examined().measurements
    for field, tolerance in (("heart_rate_bpm", 1), ("pr_ms", 20), ("qrs_ms", 20), ("qt_ms", 20)):
        assert getattr(other, field) == pytest.approx(getattr(one, field), abs=tolerance), field


#: Rows of the 48 PTB-XL records that cardiologists call atrial fibrillation, and such in sinus rhythm.
FIBRILLATING = (1, 7, 10, 15, 24, 26, 28, 32, 36, 38, 46, 47)
SINUS = (3, 5, 6, 11, 13, 16, 21, 23, 33, 40)


@pytest.fixture(scope="module")
def ptbxl_measured(ptbxl_uv):
    mv = condition(ptbxl_uv, sample_rate_hz=500, lead_names=LEADS_12).mv
    return measure(mv, r_peaks(mv))


def test_fibrillation_has_no_pr_interval_and_irregular_beats(ptbxl_measured):
    with_p = [row for row in FIBRILLATING if ptbxl_measured[row].pr_ms is not None]
    assert len(with_p) <= 1
    for row in FIBRILLATING:
        assert ptbxl_measured[row].rr_sd_ms > 40


def test_sinus_rhythm_has_p_waves(ptbxl_measured):
    without = [row for row in SINUS if ptbxl_measured[row].pr_ms is None]
    assert without == []


def test_bundle_branch_block_is_wide_and_normal_is_narrow(ptbxl_measured):
    assert ptbxl_measured[3].qrs_ms >= 120
    assert ptbxl_measured[6].qrs_ms >= 120
    assert ptbxl_measured[11].qrs_ms <= 115


def test_nothing_is_measured_without_beats():
    assert measure(np.zeros((1, 12, 5000), np.float32), [np.array([], dtype=np.int64)]) == [Measurements()]


def test_axis_follows_the_hexaxial_system():
    for degrees in range(-179, 181, 7):
        area_i = math.cos(math.radians(degrees))
        area_avf = math.sqrt(3) / 2 * math.sin(math.radians(degrees))
        assert axis_deg(area_i, area_avf) == pytest.approx(degrees, abs=0.1)
    assert axis_deg(-1.0, -0.0) == 180.0
    assert axis_deg(0.0, 0.0) is None


def test_fridericia_leaves_qt_at_sixty_beats_a_minute():
    assert fridericia_ms(400.0, 1000.0) == pytest.approx(400.0)
    assert fridericia_ms(None, 1000.0) is None
    assert fridericia_ms(400.0, None) is None


def test_qtc_is_of_the_mean_interval_and_not_of_the_mean_rate(ptbxl_uv, ptbxl_measured):
    beats = r_peaks(condition(ptbxl_uv, sample_rate_hz=500, lead_names=LEADS_12).mv)
    rows = [row for row in FIBRILLATING if ptbxl_measured[row].qtc_ms is not None]
    assert len(rows) >= 8
    for row in rows:
        measured, rr_ms = ptbxl_measured[row], np.diff(beats[row]) * 2.0
        assert measured.qtc_ms == pytest.approx(fridericia_ms(measured.qt_ms, rr_ms.mean()), abs=0.1)
        assert measured.qtc_ms < fridericia_ms(measured.qt_ms, 60000.0 / measured.heart_rate_bpm) - 0.2
