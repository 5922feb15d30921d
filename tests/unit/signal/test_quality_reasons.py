"""Real recordings are clean; broken on purpose, each says what is wrong with it."""

from datetime import UTC, datetime

import numpy as np
import pytest

from models.cohorts.simulated import Course, SimulatedPatient
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


def _examined_48(uv):
    return examine(uv, sample_rate_hz=500, lead_names=LEADS_12, uv_per_unit=1.0, stated=[()] * 48)


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
    assert sum("ARM_LEADS_SWAPPED" in each.quality.reasons for each in found) >= 35
    assert sum(not each.quality.acceptable for each in found) >= 40


def test_right_arm_and_left_leg_exchanged_are_noticed(philips_103, philips_104, dicom):
    for recording in (philips_103, philips_104, dicom):
        i, ii, iii, avr, avl, avf, *chest = recording.uv
        swapped = recording.changed(np.stack([-iii, -ii, -i, avf, avl, avr, *chest]))
        assert reasons(swapped) == ("ARM_LEG_LEADS_SWAPPED",)


def test_right_arm_and_left_leg_exchanged_are_noticed_in_most_rhythms(ptbxl_uv):
    i, ii, iii, avr, avl, avf = np.moveaxis(ptbxl_uv[:, :6], 1, 0)
    limbs = np.stack([-iii, -ii, -i, avf, avl, avr], axis=1)
    found = _examined_48(np.concatenate([limbs, ptbxl_uv[:, 6:]], axis=1))
    assert sum("ARM_LEG_LEADS_SWAPPED" in each.quality.reasons for each in found) >= 32  # two thirds


def test_chest_leads_attached_in_reverse_are_noticed(philips_103, philips_104, aecg, dicom):
    for recording in (philips_103, philips_104, aecg, dicom):
        swapped = recording.changed(np.concatenate([recording.uv[:6], recording.uv[:5:-1]]))
        assert reasons(swapped) == ("CHEST_LEADS_REVERSED",)


def test_chest_leads_attached_in_reverse_are_noticed_in_most_rhythms(ptbxl_uv):
    found = _examined_48(np.concatenate([ptbxl_uv[:, :6], ptbxl_uv[:, :5:-1]], axis=1))
    assert sum("CHEST_LEADS_REVERSED" in each.quality.reasons for each in found) >= 43


@pytest.mark.parametrize("severity", [0.0, 0.3, 0.6, 0.8, 1.0])
def test_simulated_hearts_raise_no_alarm(severity):
    for seed in range(25):
        course = Course(start=severity, end=severity)
        ecg = SimulatedPatient(seed=1000 + seed, course=course).record(datetime(2026, 3, 1, tzinfo=UTC))
        found = examine(
            ecg.samples[None],
            sample_rate_hz=ecg.sample_rate_hz,
            lead_names=ecg.lead_names,
            uv_per_unit=ecg.uv_per_unit,
            stated=[()],
        )[0]
        assert found.quality.reasons == ()


def test_limb_leads_that_break_einthovens_law_are_noticed(recording):
    i, *others = recording.uv
    late = recording.changed(np.stack([np.roll(i, round(0.3 * recording.rate_hz)), *others]))
    assert "NOT_EINTHOVEN:I" in reasons(late)


@pytest.mark.parametrize("lead", LEADS_12[:6])
def test_a_limb_lead_upside_down_is_named(recording, lead):
    uv = recording.uv.copy()
    uv[recording.row(lead)] *= -1
    assert f"NOT_EINTHOVEN:{lead}" in reasons(recording.changed(uv))
    assert not any(r.startswith("NOT_EINTHOVEN") for r in reasons(recording))


def test_two_augmented_leads_under_each_others_names_are_both_named(recording):
    uv = recording.uv[[0, 1, 2, 3, 5, 4, *range(6, 12)]]
    assert {"NOT_EINTHOVEN:aVL", "NOT_EINTHOVEN:aVF"} <= set(reasons(recording.changed(uv)))


@pytest.mark.parametrize("others", [("I", "II"), ("I", "III"), ("II", "aVL")])
def test_of_three_limb_leads_that_contradict_each_other_none_can_be_named(recording, others):
    rows = sorted(recording.row(lead) for lead in (*others, "aVF", "V1", "V2", "V3", "V4", "V5", "V6"))
    assert reasons(recording, rows=rows) == ()
    uv = recording.uv.copy()
    uv[recording.row("aVF")] *= -1
    assert "NOT_EINTHOVEN" in reasons(recording.changed(uv), rows=rows)


def test_an_augmented_lead_upside_down_is_named_in_normalised_recordings_too(ptbxl_uv):
    uv = ptbxl_uv.copy()
    uv[:, LEADS_12.index("aVF")] *= -1
    assert all(each.quality.reasons[0] == "NOT_EINTHOVEN:aVF" for each in _examined_48(uv))


VOLTAGES_OF_V5 = ("r_v5_mv", "t_v5_mv", "st_v5_mv")


def test_what_a_missing_dead_or_flat_lead_would_have_shown_is_not_known(recording):
    whole = recording.examined().measurements
    off, flat = recording.uv.copy(), recording.uv.copy()
    off[recording.row("V5")] = 0.0
    flat[recording.row("V5")] = np.random.default_rng(0).normal(size=flat.shape[1]) * 3.0
    rows = [row for row in range(12) if LEADS_12[row] != "V5"]
    for less in (
        recording.changed(off).examined(),
        recording.changed(flat).examined(),
        _examined(recording, rows=rows),
    ):
        assert [getattr(less.measurements, name) for name in VOLTAGES_OF_V5] == [None] * 3
        assert less.measurements.r_v6_mv == pytest.approx(whole.r_v6_mv, abs=0.05)
        assert less.measurements.qrs_ms is not None


@pytest.mark.parametrize("dead", ["I", "aVF"])
def test_axes_are_not_known_without_the_leads_they_are_read_from(recording, dead):
    uv = recording.uv.copy()
    uv[recording.row(dead)] = 0.0
    measured = recording.changed(uv).examined().measurements
    assert (measured.p_axis_deg, measured.qrs_axis_deg, measured.t_axis_deg) == (None, None, None)
    assert measured.r_v5_mv is not None


def test_what_is_derived_from_a_dead_lead_is_as_dead(aecg):
    uv = aecg.uv.copy()
    uv[aecg.row("II")] = 0.0
    eight = _examined(aecg.changed(uv), rows=[LEADS_12.index(lead) for lead in LEADS_8])
    assert eight.measurements.r_avl_mv is None  # aVL = I − II/2
    assert eight.measurements.qrs_axis_deg is None
    assert aecg.changed(uv).examined().measurements.r_avl_mv is not None  # recorded for itself


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
