"""The model's second input: one median beat per ECG, at the PQ level, made once for stream and cohorts."""

import numpy as np
import pytest

from models.beats import EIGHT_ROWS, r_peaks
from models.delineation import delineate
from models.featurizing import featurize_arrays
from models.measurements import measure
from models.median_beat import AFTER_R, BEFORE_R, median_beat
from models.signal import condition, model_input_uv
from schemas.featurized import MEDIAN_BEAT_R, MEDIAN_BEAT_SAMPLES
from schemas.leads import LEADS_12

FLAT_MV = np.zeros((1, 12, 5000), np.float32)


@pytest.fixture(scope="module")
def conditioned_mv(ptbxl_uv):
    return condition(ptbxl_uv[:6], sample_rate_hz=500, lead_names=LEADS_12, uv_per_unit=1.0).mv


@pytest.fixture(scope="module")
def arrays(conditioned_mv):
    return featurize_arrays(conditioned_mv)


def test_the_schema_fixes_where_the_beat_lies():
    assert (BEFORE_R, BEFORE_R + AFTER_R) == (MEDIAN_BEAT_R, MEDIAN_BEAT_SAMPLES)


def test_beats_are_small_integers_of_the_eight_leads(arrays):
    assert arrays.beats_uv.shape == (6, 8, BEFORE_R + AFTER_R)
    assert arrays.beats_uv.dtype == np.int16
    assert all(beat.any() for beat in arrays.beats_uv)


def test_a_beat_is_the_median_beat_shifted_lead_by_lead(conditioned_mv, arrays):
    for mv, peaks, beat_uv in zip(conditioned_mv, arrays.r_peaks, arrays.beats_uv, strict=True):
        shifted = beat_uv / 1000 - median_beat(mv, peaks).mv[EIGHT_ROWS]
        assert np.ptp(shifted, axis=1).max() <= 0.0011  # whole µV


def test_a_beat_rests_at_zero_before_its_qrs(conditioned_mv, arrays):
    for mv, peaks, beat_uv in zip(conditioned_mv, arrays.r_peaks, arrays.beats_uv, strict=True):
        onset = delineate(median_beat(mv, peaks), 800.0).qrs_onset
        assert np.abs(beat_uv[:, onset - 8 : onset].mean(axis=1)).max() < 1.0


def test_the_r_wave_is_where_the_model_looks_for_it(arrays):
    for beat_uv in arrays.beats_uv.astype(float):
        slope = np.sqrt((np.diff(beat_uv, axis=1) ** 2).mean(axis=0))
        assert abs(int(np.argmax(slope)) - BEFORE_R) <= 30  # 60 ms, half a wide QRS


def test_measurements_and_input_are_those_of_the_single_steps(conditioned_mv, arrays):
    assert arrays.measurements == measure(conditioned_mv, r_peaks(conditioned_mv))
    np.testing.assert_array_equal(arrays.inputs_uv, model_input_uv(conditioned_mv))


def test_rows_do_not_depend_on_the_batch(conditioned_mv, arrays):
    for i, mv in enumerate(conditioned_mv):
        alone = featurize_arrays(mv[None])
        np.testing.assert_array_equal(alone.beats_uv[0], arrays.beats_uv[i])
        assert alone.measurements == [arrays.measurements[i]]


def test_an_ecg_without_a_whole_beat_has_a_beat_of_zeros():
    found = featurize_arrays(FLAT_MV)
    assert not found.beats_uv.any()
    assert found.r_peaks[0].size == 0


def test_no_ecgs_give_empty_arrays():
    found = featurize_arrays(FLAT_MV[:0])
    assert found.inputs_uv.shape == (0, 8, 5000)
    assert found.beats_uv.shape == (0, 8, 550)
    assert found.measurements == []


def test_an_examined_ecg_has_its_own_read_only_beat(philips_103):
    examined = philips_103.examined()
    assert examined.median_beat_uv.shape == (8, 550)
    assert examined.median_beat_uv.base is None
    assert not examined.median_beat_uv.flags.writeable


def test_an_ecg_that_must_not_be_scored_has_no_beat(philips_103):
    uv = philips_103.uv.copy()
    uv[philips_103.row("V3")] = 0.0
    examined = philips_103.changed(uv).examined()
    assert not examined.quality.acceptable
    assert examined.median_beat_uv is None
    assert examined.measurements.qrs_ms is not None
