from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from models.cohorts.recorder import Fault, Recorder
from models.cohorts.simulated import Course, SimulatedPatient, Ward
from schemas.leads import LEADS_12
from schemas.recorded import EcgRecorded

AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
LEVEL = Course(start=0.2, end=0.2)


def record(seed: int = 5, fault: Fault | None = None, **recorder: float) -> EcgRecorded:
    cart = Recorder(**recorder)  # type: ignore[arg-type]
    return SimulatedPatient(seed=seed, course=LEVEL, recorder=cart).record(AT, fault=fault)


def lead(ecg: EcgRecorded, name: str) -> np.ndarray:
    return ecg.samples[ecg.lead_names.index(name)].astype(np.int64)


@pytest.mark.parametrize("fault", [None, Fault.ARM_SWAP, Fault.NOISE, Fault.PACED])
@pytest.mark.parametrize("rate", [250.0, 400.0, 500.0, 1000.0])
def test_limb_leads_obey_einthoven_and_goldberger_to_the_bit(rate: float, fault: Fault | None) -> None:
    ecg = record(sample_rate_hz=rate, fault=fault)
    assert (lead(ecg, "III") == lead(ecg, "II") - lead(ecg, "I")).all()
    assert (2 * lead(ecg, "aVR") == -(lead(ecg, "I") + lead(ecg, "II"))).all()
    assert (2 * lead(ecg, "aVL") == 2 * lead(ecg, "I") - lead(ecg, "II")).all()
    assert (2 * lead(ecg, "aVF") == 2 * lead(ecg, "II") - lead(ecg, "I")).all()


@pytest.mark.parametrize("rate", [250.0, 400.0, 500.0, 1000.0])
def test_recording_lasts_ten_seconds_at_any_rate(rate: float) -> None:
    ecg = record(sample_rate_hz=rate)
    assert ecg.samples.shape == (12, 10 * rate)
    assert ecg.samples.dtype == np.int16
    assert not ecg.samples.flags.writeable
    assert ecg.lead_names == LEADS_12


def test_same_seed_and_time_give_the_same_ecg_and_id() -> None:
    first, again = record(), record()
    assert first.ecg_id == again.ecg_id
    assert (first.samples == again.samples).all()


def test_another_time_or_another_seed_gives_another_ecg() -> None:
    patient = SimulatedPatient(seed=5, course=LEVEL)
    ids = {patient.record(AT).ecg_id, patient.record(AT + timedelta(seconds=1)).ecg_id, record(seed=6).ecg_id}
    assert len(ids) == 3


def test_rates_show_the_same_heart() -> None:
    fine, coarse = record(sample_rate_hz=1000.0), record(sample_rate_hz=250.0)
    difference_uv = (lead(fine, "II")[::4] - lead(coarse, "II")) * fine.uv_per_unit
    assert np.abs(difference_uv[50:-50]).max() < 60.0  # what lies above 125 Hz of a QRS of more than 1 mV


def test_resolution_changes_units_and_not_microvolts() -> None:
    fine, coarse = record(uv_per_unit=1.25), record(uv_per_unit=5.0)
    assert np.abs(lead(fine, "V5") * 1.25 - lead(coarse, "V5") * 5.0).max() <= 5.0


def test_voltages_are_those_of_an_ecg() -> None:
    for seed in range(20):
        ecg = record(seed=seed)
        r_mv = lead(ecg, "V5").max() * ecg.uv_per_unit / 1000
        assert 0.4 < r_mv < 5.0


def test_arm_swap_turns_lead_i_over_and_exchanges_ii_with_iii() -> None:
    right, swapped = record(), record(fault=Fault.ARM_SWAP)
    assert (lead(swapped, "I") == -lead(right, "I")).all()
    assert np.abs(lead(swapped, "II") - lead(right, "III")).max() <= 2  # rounded to even anew


def test_faults_are_seen_in_the_recording() -> None:
    flat_rows = (record(fault=Fault.LEAD_OFF).samples == 0).all(axis=1)
    assert flat_rows.sum() == 1
    assert record(fault=Fault.TOO_SHORT).samples.shape[1] < 5000
    assert record(fault=Fault.PACED).has_pacemaker is True
    assert record().has_pacemaker is False


def test_severity_rises_once_and_smoothly_over_the_course() -> None:
    course = Course(start=0.1, end=0.9, onset=AT, rise=timedelta(days=21))
    days = [course.severity(AT + timedelta(days=d)) for d in range(-3, 30)]
    assert days[0] == pytest.approx(0.1)
    assert days[-1] == pytest.approx(0.9)
    assert all(0.0 <= later - earlier < 0.1 for earlier, later in pairwise(days))


def test_label_depends_on_the_echo_and_both_classes_overlap_in_severity() -> None:
    patients = [SimulatedPatient(seed=s, course=LEVEL) for s in range(300)]
    share = [np.mean([p.echo(AT, severity=s).is_high_risk for p in patients]) for s in (0.1, 0.5, 0.9)]
    assert 0.0 < share[0] < 0.2 < share[1] < 0.8 < share[2] < 1.0


def test_ward_repeats_itself_and_has_someone_who_deteriorates() -> None:
    ward = Ward(beds=6, seed=3, since=AT)
    assert [e.ecg_id for e in ward.round(AT)] == [e.ecg_id for e in replace(ward).round(AT)]
    later = AT + timedelta(days=45)
    rises = [ward.patient(b).course.severity(later) - ward.patient(b).course.severity(AT) for b in range(6)]
    assert max(rises) > 0.5
    assert min(rises) == 0.0
    with pytest.raises(IndexError, match="beds 0 to 5"):
        ward.patient(6)


def test_ward_records_something_bad_now_and_then() -> None:
    ward = Ward(beds=4, seed=3, since=AT, fault_rate=0.5)
    rounds = [ecg for hour in range(10) for ecg in ward.round(AT + timedelta(hours=hour))]
    bad = [e for e in rounds if e.has_pacemaker or e.samples.shape[1] < 10 * e.sample_rate_hz]
    assert 0 < len(bad) < len(rounds)
    assert len({e.ecg_id for e in rounds}) == len(rounds)
