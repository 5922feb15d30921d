from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.data import get_testdata_file

from models.cohorts.recorder import RECORDERS, Fault
from models.cohorts.simulated import Course, SimulatedPatient
from schemas.leads import LEADS_8, LEADS_12
from schemas.recorded import EcgRecorded
from streams.featurize import CLOCK_SKEW
from streams.feeds.files import read_file
from streams.feeds.plausibility import (
    MAX_AHEAD,
    lone_samples,
    remarks,
    require_plausible,
    require_plausible_time,
    require_plausible_waveform,
)
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ACQUIRED = NOW - timedelta(hours=1)
GIVEN = ReadOptions(patient_id="P1", acquired_at=ACQUIRED)
LIMBS = LEADS_12[:6]
Samples = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def ecg() -> EcgRecorded:
    return SimulatedPatient(seed=5, course=Course(start=0.2, end=0.2)).record(ACQUIRED)


def with_samples(ecg: EcgRecorded, samples: Samples, leads: tuple[str, ...] = LEADS_12) -> EcgRecorded:
    assert np.abs(samples).max() < 2**15
    return replace(ecg, samples=samples.astype(np.int16), lead_names=leads)


def changed(ecg: EcgRecorded, change: Callable[[Samples], None]) -> EcgRecorded:
    samples = ecg.samples.astype(np.int64)
    change(samples)
    return with_samples(ecg, samples)


def refusal_of(ecg: EcgRecorded) -> FeedRefusedError:
    with pytest.raises(FeedRefusedError) as refusal:
        require_plausible_waveform(ecg)
    return refusal.value


@pytest.mark.parametrize(
    "name",
    ["aecg/hl7_example.xml", "philips/sierra_1_03.xml", "philips/sierra_1_04.xml", "wfdb/s0010_re.hea"],
)
def test_real_recordings_are_plausible(shared_ecg: Path, name: str) -> None:
    require_plausible(read_file(shared_ecg / name, GIVEN).ecg, NOW)


def test_pydicoms_recording_is_plausible() -> None:
    require_plausible(read_file(Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))).ecg, NOW)


def test_real_recordings_brought_to_one_size_are_plausible(shared_ecg: Path, ecg: EcgRecorded) -> None:
    archive = np.load(shared_ecg / "ptbxl" / "ptbxl_48.npz")
    assert len(archive["ecg_milli_sd"]) == 48
    leads = tuple(str(lead) for lead in archive["leads"])
    for milli_sd in archive["ecg_milli_sd"]:
        require_plausible_waveform(with_samples(ecg, milli_sd.T.astype(np.int64), leads))


@pytest.mark.parametrize("recorder", RECORDERS, ids=lambda recorder: recorder.device_id)
@pytest.mark.parametrize("fault", [None, *Fault])
def test_what_is_not_good_enough_to_score_is_no_reason_to_refuse(
    recorder: object, fault: Fault | None
) -> None:
    for seed in range(4):
        patient = SimulatedPatient(seed=seed, course=Course(start=0.5, end=0.5))
        require_plausible(patient.record(ACQUIRED, fault=fault, recorder=recorder), NOW)  # type: ignore[arg-type]


def test_a_recording_of_eight_leads_has_no_law_to_break(ecg: EcgRecorded) -> None:
    rows = [LEADS_12.index(lead) for lead in LEADS_8]
    require_plausible_waveform(with_samples(ecg, ecg.samples[rows].astype(np.int64), LEADS_8))


@pytest.mark.parametrize(("n_samples", "is_refused"), [(499, True), (500, False)])
def test_less_than_a_second_is_no_ecg(ecg: EcgRecorded, n_samples: int, is_refused: bool) -> None:
    short = with_samples(ecg, ecg.samples[:, :n_samples].astype(np.int64))
    if is_refused:
        assert refusal_of(short).reason is RefusalReason.IMPLAUSIBLE_DURATION
    else:
        require_plausible_waveform(short)


def test_more_than_an_hour_is_no_ecg(ecg: EcgRecorded) -> None:
    hours = replace(
        ecg,
        sample_rate_hz=50.0,
        samples=np.tile(ecg.samples[[0, 1]], (1, 35)),
        lead_names=("I", "II"),
    )
    require_plausible_waveform(hours)
    longer = replace(hours, samples=np.tile(hours.samples, (1, 2)))
    assert longer.samples.shape[1] / longer.sample_rate_hz > 3600.0
    assert refusal_of(longer).reason is RefusalReason.IMPLAUSIBLE_DURATION


@pytest.mark.parametrize("uv_per_unit", [1.25e-3, 1.25e-6, 100.0])
def test_a_wrong_unit_shows_in_the_amplitude(ecg: EcgRecorded, uv_per_unit: float) -> None:
    assert refusal_of(replace(ecg, uv_per_unit=uv_per_unit)).reason is RefusalReason.IMPLAUSIBLE_AMPLITUDE


def test_leads_that_do_not_move_are_no_ecg(ecg: EcgRecorded) -> None:
    refusal = refusal_of(with_samples(ecg, np.full((12, 5000), 1234)))
    assert refusal.reason is RefusalReason.IMPLAUSIBLE_AMPLITUDE


def test_a_drift_of_the_baseline_is_no_wrong_unit(ecg: EcgRecorded) -> None:
    drift = np.linspace(0, 20_000, 5000).astype(np.int64)  # 25 mV in ten seconds
    weights = np.array([1, 1, 0, -1, 0.5, 0.5, 1, 1, 1, 1, 1, 1])
    samples = ecg.samples + (drift // 2 * 2 * weights[:, None]).astype(np.int64)
    require_plausible_waveform(with_samples(ecg, samples))


@pytest.mark.parametrize("lead", LIMBS)
@pytest.mark.parametrize("factor", [-1.0, 0.5, 1.1, 2.0])
def test_a_limb_lead_of_another_sign_or_scale_is_named(ecg: EcgRecorded, lead: str, factor: float) -> None:
    row = LEADS_12.index(lead)

    def rescale(samples: Samples) -> None:
        samples[row] = np.rint(samples[row] * factor)

    refusal = refusal_of(changed(ecg, rescale))
    assert refusal.reason is RefusalReason.CONTRADICTORY_LEADS
    assert f"(lead {lead} " in str(refusal)


@pytest.mark.parametrize("pair", [("I", "II"), ("II", "III"), ("III", "aVF"), ("aVR", "aVL"), ("I", "aVR")])
def test_limb_leads_under_each_others_names_are_named(ecg: EcgRecorded, pair: tuple[str, str]) -> None:
    rows = [LEADS_12.index(lead) for lead in pair]

    def exchange(samples: Samples) -> None:
        samples[rows] = samples[rows[::-1]]

    refusal = refusal_of(changed(ecg, exchange))
    assert refusal.reason is RefusalReason.CONTRADICTORY_LEADS
    assert f"(lead {', '.join(pair)} " in str(refusal)


def test_a_limb_lead_of_another_time_is_named(ecg: EcgRecorded) -> None:
    def shift(samples: Samples) -> None:
        samples[4] = np.roll(samples[4], 25)

    assert "(lead aVL " in str(refusal_of(changed(ecg, shift)))


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1)])
def test_three_limb_leads_check_each_other(ecg: EcgRecorded, order: tuple[int, ...]) -> None:
    three = ecg.samples[:3].astype(np.int64)
    require_plausible_waveform(with_samples(ecg, three, LEADS_12[:3]))
    refusal = refusal_of(with_samples(ecg, three[list(order)], LEADS_12[:3]))
    assert refusal.reason is RefusalReason.CONTRADICTORY_LEADS


def test_noise_of_separate_amplifiers_breaks_no_law(ecg: EcgRecorded) -> None:
    noise = np.random.default_rng(3).normal(0.0, 16.0, size=ecg.samples.shape)  # 20 µV
    require_plausible_waveform(with_samples(ecg, ecg.samples + np.rint(noise).astype(np.int64)))


def test_rounding_of_computed_leads_breaks_no_law(ecg: EcgRecorded) -> None:
    i, ii = ecg.samples[:2].astype(np.int64) // 4
    limbs = np.stack([i, ii, ii - i, -((i + ii) // 2), i - ii // 2, ii - i // 2])
    require_plausible_waveform(
        replace(ecg, samples=limbs.astype(np.int16), lead_names=LIMBS, uv_per_unit=5.0)
    )


@pytest.mark.parametrize("row", range(6))
@pytest.mark.parametrize("error", [40, -300, 5000])
def test_one_sample_of_a_limb_lead_that_the_others_deny_is_damage(
    ecg: EcgRecorded, row: int, error: int
) -> None:
    def hit(samples: Samples) -> None:
        samples[row, 1234] += error

    refusal = refusal_of(changed(ecg, hit))
    assert refusal.reason is RefusalReason.DAMAGED
    assert f"1 samples of its limb leads (lead {LEADS_12[row]})" in str(refusal)


@pytest.mark.parametrize("bit", [11, 12, 13, 14])
def test_a_flipped_high_bit_in_a_chest_lead_is_damage(ecg: EcgRecorded, bit: int) -> None:
    samples = ecg.samples.astype(np.int16)
    samples[8, 2500] ^= np.int16(1 << bit)  # 2.6 mV and more
    refusal = refusal_of(replace(ecg, samples=samples))
    assert refusal.reason is RefusalReason.DAMAGED
    assert "V3" in str(refusal)


@pytest.mark.parametrize("width", [1, 2])
def test_pacing_spikes_pass(ecg: EcgRecorded, width: int) -> None:
    # 10 mV in II, in each lead as a spike at −60° from the right ventricle's apex would be seen
    spike = np.array([2000, -6000, -8000, 2000, 5000, -7000, 1500, 2500, -3000, -4000, -3500, -2500])

    def pace(samples: Samples) -> None:
        for beat in range(300, 5000, 400):
            samples[:, beat : beat + width] += spike[:, None]

    require_plausible_waveform(changed(ecg, pace))


def test_a_lead_of_misread_bytes_is_no_signal(ecg: EcgRecorded) -> None:
    def misread(samples: Samples) -> None:
        stored = (samples[9] // 2).astype("<i2").tobytes()
        samples[9] = np.maximum(np.frombuffer(stored[1:] + b"\0", "<i2"), -32767)

    refusal = refusal_of(replace(changed(ecg, misread), uv_per_unit=2.5))
    assert refusal.reason is RefusalReason.IMPLAUSIBLE_AMPLITUDE
    assert "V4" in str(refusal)


def test_hum_of_an_open_lead_passes(ecg: EcgRecorded) -> None:
    hum = np.rint(12_000 * np.sin(2.0 * np.pi * 50.0 * np.arange(5000) / 500.0 + 0.3)).astype(np.int64)

    def open_lead(samples: Samples) -> None:
        samples[9] = hum  # 15 mV

    require_plausible_waveform(changed(ecg, open_lead))


def test_clipped_limb_leads_are_not_called_damaged(ecg: EcgRecorded) -> None:
    samples = ecg.samples.astype(np.int64)
    samples[1] = np.minimum(samples[1], np.sort(samples[1])[-20])
    require_plausible_waveform(with_samples(ecg, samples))


def test_a_sample_stands_alone_only_where_all_else_is_quiet() -> None:
    quiet = np.zeros((12, 9), dtype=np.int16)
    alone = quiet.copy()
    alone[7, 4] = 800
    assert lone_samples(alone, 800.0).sum() == 1
    assert not lone_samples(alone, 801.0).any()
    for also in [(7, 3), (7, 5), (8, 4)]:
        beside = alone.copy()
        beside[also] = 300
        assert not lone_samples(beside, 500.0).any()
    assert not lone_samples(alone[:, 3:6], 1.0).any()


def test_the_future_begins_ten_minutes_from_now() -> None:
    assert MAX_AHEAD == CLOCK_SKEW
    require_plausible_time(NOW + MAX_AHEAD, NOW)
    with pytest.raises(FeedRefusedError, match=r"3\.0 h from now") as refusal:
        require_plausible_time(NOW + timedelta(hours=3), NOW)
    assert refusal.value.reason is RefusalReason.TIME_IN_FUTURE
    with pytest.raises(FeedRefusedError, match="11 min from now"):
        require_plausible_time((NOW + timedelta(minutes=11)).astimezone(timezone(timedelta(hours=9))), NOW)


@pytest.mark.parametrize(
    ("acquired_at", "said"),
    [
        (ACQUIRED, None),
        (datetime(2020, 1, 1, tzinfo=UTC), None),
        (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), "1970-01-01"),
        (datetime(1999, 12, 31, 23, 5, tzinfo=UTC), "nobody set"),
        (datetime(2002, 11, 22, tzinfo=UTC), "more than 20 years"),
    ],
)
def test_a_date_that_nobody_set_is_remarked(
    ecg: EcgRecorded, acquired_at: datetime, said: str | None
) -> None:
    heard = remarks(replace(ecg, acquired_at=acquired_at), NOW)
    assert len(heard) == (said is not None)
    assert (said or "") in "".join(heard)


def test_an_unusual_rate_is_remarked_and_taken(ecg: EcgRecorded) -> None:
    odd = replace(ecg, sample_rate_hz=470.0, ecg_id=str(uuid4()))
    require_plausible(odd, NOW)
    assert "470 Hz" in "".join(remarks(odd, NOW))
