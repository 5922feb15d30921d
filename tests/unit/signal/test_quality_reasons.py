"""Real recordings are clean; broken on purpose, each says what is wrong with it."""

import numpy as np
import pytest

from models.examination import examine
from models.quality import RULES, Reason, judge
from schemas.leads import LEADS_8, LEADS_12


def reasons(recording, **kwargs):
    return _examined(recording, **kwargs).quality.reasons


def _examined(recording, *, rows=None, rate_hz=None, stated=()):
    rows = list(range(12)) if rows is None else rows
    return examine(
        recording.uv[None, rows],
        sample_rate_hz=rate_hz or recording.rate_hz,
        lead_names=[LEADS_12[row] for row in rows],
        uv_per_unit=1.0,
        stated=[stated],
    )[0]


def test_real_recordings_raise_no_alarm(recording):
    examined = recording.examined()
    assert examined.quality == judge([])
    assert examined.quality.score == 1.0
    assert examined.model_input_uv.shape == (8, 5000)


def test_normalised_recordings_are_scorable_and_called_rescaled(ptbxl_uv):
    found = examine(ptbxl_uv, sample_rate_hz=500, lead_names=LEADS_12, uv_per_unit=1.0, stated=[()] * 48)
    assert all(each.quality.acceptable for each in found)
    assert {reason for each in found for reason in each.quality.reasons} <= {"LEADS_RESCALED"}


@pytest.mark.parametrize("lead", ["I", "aVF", "V3"])
def test_a_lead_that_comes_off_is_named(recording, lead):
    uv = recording.uv.copy()
    uv[recording.row(lead), round(6 * recording.rate_hz) :] = 2500.0
    examined = recording.changed(uv).examined()
    assert f"LEAD_OFF:{lead}" in examined.quality.reasons
    assert examined.model_input_uv is None


def test_a_lead_without_signal_is_flat(recording):
    uv = recording.uv.copy()
    uv[recording.row("V2")] = np.random.default_rng(0).normal(size=uv.shape[1]) * 3.0
    assert reasons(recording.changed(uv)) == ("FLAT:V2",)


def test_a_dead_lead_is_off_and_not_flat_as_well(recording):
    uv = recording.uv.copy()
    uv[recording.row("V4")] = 0.0
    assert reasons(recording.changed(uv)) == ("LEAD_OFF:V4",)


def test_clipping_is_named(recording):
    uv = recording.uv.copy()
    v = recording.row("V1")
    rail = 0.6 * np.abs(uv[v] - np.median(uv[v])).max()
    uv[v] = np.median(uv[v]) + np.clip(uv[v] - np.median(uv[v]), -rail, rail)
    assert "CLIPPED:V1" in reasons(recording.changed(uv))


def test_noise_in_one_lead_is_said_and_scored_and_in_all_is_not_scored(recording):
    noise = np.random.default_rng(1).normal(size=recording.uv.shape) * 300.0
    one = recording.uv.copy()
    one[recording.row("V6")] += noise[0]
    examined = recording.changed(one).examined()
    assert examined.quality.reasons == ("NOISE:V6",)
    assert examined.quality.acceptable
    assert 0 < examined.quality.score < 1
    assert not recording.changed(recording.uv + noise).examined().quality.acceptable


def test_exchanged_arm_electrodes_are_noticed(philips_103, philips_104, aecg, dicom):
    for recording in (philips_103, philips_104, aecg, dicom):
        i, ii, iii, avr, avl, avf, *chest = recording.uv
        swapped = recording.changed(np.stack([-i, iii, ii, avl, avr, avf, *chest]))
        assert reasons(swapped) == ("ARM_LEADS_SWAPPED",)


def test_exchanged_arm_electrodes_are_noticed_in_most_rhythms(ptbxl_uv):
    i, ii, iii, avr, avl, avf = np.moveaxis(ptbxl_uv[:, :6], 1, 0)
    swapped = np.concatenate([np.stack([-i, iii, ii, avl, avr, avf], axis=1), ptbxl_uv[:, 6:]], axis=1)
    found = examine(swapped, sample_rate_hz=500, lead_names=LEADS_12, uv_per_unit=1.0, stated=[()] * 48)
    assert sum("ARM_LEADS_SWAPPED" in each.quality.reasons for each in found) >= 36  # three quarters


def test_limb_leads_that_break_einthovens_law_are_noticed(recording):
    i, ii, iii, *others = recording.uv
    inverted = recording.changed(np.stack([i, ii, -iii, *others]))
    assert "NOT_EINTHOVEN" in reasons(inverted)
    late = recording.changed(np.stack([np.roll(i, round(0.3 * recording.rate_hz)), ii, iii, *others]))
    assert "NOT_EINTHOVEN" in reasons(late)


@pytest.mark.parametrize("width_ms", [2, 4])
def test_pacing_spikes_are_noticed(recording, width_ms):
    uv = recording.uv.copy()
    height = np.linspace(400.0, 1500.0, 12)[:, None]
    width = round(width_ms * recording.rate_hz / 1000)
    for peak in recording.examined().r_peaks:
        at = round((peak - 30) * recording.rate_hz / 500)
        uv[:, max(at, 0) : max(at, 0) + width] += height
    assert "PACED" in reasons(recording.changed(uv))


def test_a_stated_pacemaker_is_not_scored(aecg):
    assert _examined(aecg, stated=[(Reason.PACED, "")]).quality.reasons == ("PACED",)
    assert _examined(aecg).quality.acceptable


def test_a_missing_chest_lead_is_named_and_the_rest_measured(aecg):
    examined = _examined(aecg, rows=[row for row in range(12) if LEADS_12[row] != "V3"])
    assert examined.quality.reasons == ("MISSING_LEAD:V3",)
    assert examined.model_input_uv is None
    assert examined.measurements.pr_ms is not None


def test_missing_limb_leads_are_derived(aecg):
    eight = _examined(aecg, rows=[LEADS_12.index(lead) for lead in LEADS_8])
    assert eight.quality.acceptable
    np.testing.assert_array_equal(eight.model_input_uv, aecg.examined().model_input_uv)


def test_no_known_lead_at_all_is_all_missing():
    found = examine(
        np.zeros((1, 1, 5000)), sample_rate_hz=500, lead_names=["RESP"], uv_per_unit=1.0, stated=[()]
    )[0]
    assert found.quality.reasons == tuple(f"MISSING_LEAD:{lead}" for lead in LEADS_12)


def test_short_recordings_and_odd_rates_are_not_scored(aecg):
    assert reasons(aecg.changed(aecg.uv[:, :4900])) == ("TOO_SHORT",)
    assert reasons(aecg, rate_hz=99.0) == ("UNSUPPORTED_RATE",)
    assert reasons(aecg, rate_hz=5000.0) == ("UNSUPPORTED_RATE",)


@pytest.mark.parametrize("factor", [0.001, 1000.0])
def test_a_wrong_unit_is_noticed(recording, factor):
    assert "AMPLITUDE_IMPLAUSIBLE" in reasons(recording.changed(recording.uv * factor))


def test_no_heartbeat_is_noticed(aecg):
    t = np.arange(5000) / 500
    hum = 200 * np.sin(2 * np.pi * 0.8 * t)[None] * np.ones((12, 1))
    hum += np.random.default_rng(0).normal(size=hum.shape)
    assert not aecg.changed(hum).examined().quality.acceptable


def test_every_reason_has_a_rule_and_blocking_costs():
    assert set(RULES) == set(Reason)
    for reason, rule in RULES.items():
        assert 0 < rule.cost <= 1, reason
        quality = judge([(reason, f"lead{k}") for k in range(min(rule.blocks_from, 12))])
        assert quality.acceptable == (rule.blocks_from > 12)
        assert quality.score < 1
