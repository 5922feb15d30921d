"""Philips Sierra XML: real files against another reader, and what we write read back."""

import warnings
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest
import sierraecg
from writers.sierra import lzw, residuals, sierra_1_03, sierra_1_04, waveform, with_calibration, xli

from schemas.leads import LEADS_12
from schemas.recorded import CartStatement, Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.ecgdatakit_adapter import found_from, parse_with
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

Counts = npt.NDArray[np.int64]


def recording(n_samples: int = 5000) -> dict[str, Counts]:
    """Leads I, II and V1–V6 like walks, limb leads as a cart computes them, off by a count at times."""
    rng = np.random.default_rng(7)
    free = {
        name: np.cumsum(rng.integers(-9, 10, n_samples))
        for name in ("I", "II", *(f"V{i}" for i in range(1, 7)))
    }
    first, second = free["I"], free["II"]
    off = rng.integers(-1, 2, (4, n_samples))
    limb = {
        "III": second - first + off[0],
        "aVR": -(first + second) // 2 + off[1],
        "aVL": first - second // 2 + off[2],
        "aVF": second - first // 2 + off[3],
    }
    return {name: (free | limb)[name] for name in LEADS_12}


def read_text(text: str, encoding: str = "utf-8", options: ReadOptions | None = None) -> Reading:
    return read(Document(content=text.encode(encoding), name="ecg.xml"), options)


def reason_of(text: str, limits: ReadLimits | None = None) -> RefusalReason:
    with pytest.raises(FeedRefusedError) as refused:
        read(Document(content=text.encode()), None, limits or ReadLimits())
    return refused.value.reason


def require_equal(reading: Reading, leads: dict[str, Counts]) -> None:
    assert set(reading.ecg.lead_names) == set(leads)
    for name, row in zip(reading.ecg.lead_names, reading.ecg.samples, strict=True):
        np.testing.assert_array_equal(row, leads[name], err_msg=name)


@pytest.mark.parametrize("name", ["sierra_1_03.xml", "sierra_1_04.xml"])
def test_a_real_file_equals_another_reader_lead_by_lead_without_its_calibration(
    shared_ecg: Path, name: str
) -> None:
    path = shared_ecg / "philips" / name
    with warnings.catch_warnings(action="ignore"):  # that reader overflows on purpose
        theirs = sierraecg.read_file(str(path))

    ecg = read(Document(content=path.read_bytes(), name=name)).ecg

    assert ecg.samples.shape == (12, 5000)
    assert (ecg.sample_rate_hz, ecg.uv_per_unit) == (500.0, 5.0)
    assert ecg.lead_names == LEADS_12
    for lead, row in zip(theirs.leads, ecg.samples, strict=True):
        assert lead.sampling_freq == 500
        np.testing.assert_array_equal(row, lead.samples[:5000], err_msg=lead.label)


@pytest.mark.parametrize("name", ["sierra_1_03.xml", "sierra_1_04.xml"])
def test_a_real_file_equals_ecgdatakits_parser_up_to_the_calibration(shared_ecg: Path, name: str) -> None:
    content = (shared_ecg / "philips" / name).read_bytes()
    theirs = found_from(parse_with("sierra_xml.SierraXMLParser", content), "Sierra XML")
    ecg = read(Document(content=content)).ecg
    for channel, row in zip(theirs.channels, ecg.samples, strict=True):
        np.testing.assert_array_equal(row, channel.counts[:5000])


def test_what_the_real_files_say_of_cart_patient_and_measurements(shared_ecg: Path) -> None:
    old = read(Document(content=(shared_ecg / "philips" / "sierra_1_03.xml").read_bytes())).ecg
    new = read(Document(content=(shared_ecg / "philips" / "sierra_1_04.xml").read_bytes())).ecg

    # The global QRS duration is 135 ms; 96 ms is that of one group of beats.
    assert old.cart == CartStatement(
        heart_rate_bpm=41, pr_ms=151, qrs_ms=135, qt_ms=476, qtc_ms=393,
        p_axis_deg=66, qrs_axis_deg=-21, t_axis_deg=59,
    )  # fmt: skip
    assert new.cart == CartStatement(
        heart_rate_bpm=84, p_duration_ms=148, pr_ms=144, qrs_ms=84, qt_ms=352, qtc_ms=417,
        p_axis_deg=81, qrs_axis_deg=78, t_axis_deg=67,
    )  # fmt: skip
    assert (old.acquired_at, new.acquired_at) == (
        datetime(2011, 12, 1, 7, 27, 34, tzinfo=UTC),
        datetime(2010, 1, 19, 15, 19, 22, tzinfo=UTC),
    )
    assert (old.age_years, old.sex, old.has_pacemaker) == (50.0, Sex.MALE, None)
    assert (new.age_years, new.sex, new.device_id) == (60.0, Sex.MALE, "EKG1715")
    assert (old.source_system, new.ward_id) == ("Philips HeartstartMRx", "Heart Station #1")


@pytest.mark.parametrize("packing", ["xli", "base64", "plain"])
@pytest.mark.parametrize("version", ["1.04", "1.04.01", "1.04.02"])
def test_what_is_written_reads_back_equal_in_every_packing(packing: str, version: str) -> None:
    leads = recording()
    reading = read_text(sierra_1_04(leads, packing=packing, version=version))
    require_equal(reading, leads)
    assert reading.notes == ("time carries no zone, read as UTC",)


def test_a_1_03_document_reads_back_equal_without_its_calibration() -> None:
    leads = recording()
    reading = read_text(sierra_1_03(with_calibration(leads)))
    require_equal(reading, leads)
    assert "the last 500 samples" in reading.notes[0]
    assert reading.ecg.has_pacemaker is False


def test_a_1_03_document_may_leave_out_the_name_of_its_compression() -> None:
    leads = recording()
    require_equal(read_text(sierra_1_03(leads).replace('compressmethod="XLI"', "")), leads)


def test_leads_are_told_by_their_labels_in_any_order() -> None:
    leads = recording()
    mixed = {
        name: leads[name]
        for name in ("V6", "aVF", "II", "V1", "III", "aVR", "I", "aVL", "V2", "V3", "V4", "V5")
    }
    require_equal(read_text(sierra_1_04(with_calibration(mixed))), mixed)


def test_more_than_twelve_channels_cost_nothing_but_themselves() -> None:
    leads = recording()
    more = {"V3R": leads["V3"] * 2, **leads, "V7": leads["V6"] + 5, "PACE": leads["I"] * 0}
    reading = read_text(sierra_1_04(with_calibration(more)))
    require_equal(reading, leads)
    assert any("V3R, V7, PACE" in note for note in reading.notes)


@pytest.mark.parametrize("n_samples", [5000, 5500, 4321])
def test_a_recording_without_calibration_loses_nothing(n_samples: int) -> None:
    leads = recording(n_samples)
    text = sierra_1_04(leads, packing="base64").replace(
        f'durationperchannel="{n_samples * 2}"', f'durationperchannel="{n_samples * 2.0}"'
    )
    require_equal(read_text(text), leads)


@pytest.mark.parametrize(
    ("tail", "n_kept"),
    [
        (np.repeat([0, 200, 0], [100, 300, 100]), 5000),
        (np.repeat([200], [500]), 5000),
        (np.repeat([0, 205, 0], [50, 100, 50]), 5000),
        (np.repeat([0, 195, 0, 200, 0], [100, 100, 100, 100, 350]), 5000),
        (np.repeat([0], [500]), 5500),  # flat: no pulse
        (np.repeat([0, 100, 0], [100, 300, 100]), 5500),  # half a millivolt is no calibration
        (np.repeat([0, 200, 0], [230, 40, 230]), 5500),  # too short to be one
    ],
)
def test_a_tail_is_cut_only_when_it_is_a_pulse_of_one_millivolt(tail: Counts, n_kept: int) -> None:
    leads = {name: np.concatenate([counts, tail]) for name, counts in recording().items()}
    require_equal(
        read_text(sierra_1_04(leads, packing="base64")),
        {name: counts[:n_kept] for name, counts in leads.items()},
    )


def test_calibration_is_recognised_at_any_rate_and_resolution() -> None:
    leads = recording(10000)
    whole = with_calibration(leads, counts_of_1_mv=400, rate_hz=1000)
    reading = read_text(sierra_1_04(whole, uv_per_count="2.5", rate_hz=1000))
    require_equal(reading, leads)
    assert (reading.ecg.uv_per_unit, reading.ecg.sample_rate_hz) == (2.5, 1000.0)


def test_a_short_recording_is_cut_where_its_calibration_begins() -> None:
    leads = recording(4800)
    whole = {name: np.append(counts, np.repeat([0, 200, 0], [50, 100, 50])) for name, counts in leads.items()}
    n_kept = read_text(sierra_1_04(whole)).ecg.samples.shape[1]
    assert 4795 <= n_kept <= 4800  # leads may by chance be alike just before it


def test_leads_whose_electrode_came_off_do_not_hide_the_calibration() -> None:
    leads = recording()
    whole = with_calibration(leads)
    off = {name: counts * 0 if name in ("V2", "V5") else counts for name, counts in whole.items()}
    kept = {name: counts[:5000] for name, counts in off.items()}
    require_equal(read_text(sierra_1_04(off, packing="base64")), kept)


@pytest.mark.parametrize("spoilt", ["I", "II", "V3"])
def test_a_lead_that_does_not_end_in_the_calibration_of_the_others_is_spoilt(spoilt: str) -> None:
    whole = with_calibration(recording())
    chunks = [bytearray(xli(counts)) for counts in residuals(whole).values()]
    chunks[list(whole).index(spoilt)][400] ^= 8
    assert reason_of(sierra_1_04(whole, text=b64encode(b"".join(chunks)).decode())) is RefusalReason.DAMAGED


def test_residuals_of_a_lead_that_is_not_there_are_no_limb_leads() -> None:
    text = sierra_1_04(recording()).replace('leadlabels="I II ', 'leadlabels="I X ')
    assert reason_of(text) is RefusalReason.LEADS_MISSING


def test_limb_leads_stored_whole_in_spite_of_xli_are_told_by_einthoven() -> None:
    leads = recording()
    text = b64encode(b"".join(xli(counts) for counts in leads.values())).decode()
    reading = read_text(sierra_1_04(leads, text=text))
    require_equal(reading, leads)
    assert any("Einthoven" in note for note in reading.notes)


def test_who_when_where_and_what_the_cart_measured() -> None:
    options = ReadOptions(timezone=ZoneInfo("Europe/Rome"))
    ecg = read_text(sierra_1_04(recording(), pace="Paced"), options=options).ecg

    assert ecg.acquired_at == datetime(2020, 2, 3, 3, 5, 6, tzinfo=UTC)
    assert (ecg.acquired_zone, ecg.is_zone_assumed) == ("Europe/Rome", True)
    assert (ecg.patient_id, ecg.age_years, ecg.sex, ecg.has_pacemaker) == ("P-1", 69.0, Sex.FEMALE, True)
    assert (ecg.site_id, ecg.ward_id, ecg.device_id) == ("General", "Cardiology", "CART7")
    assert ecg.source_system == "Philips Medical Products PageWriter TC70"
    # An edited PR and a failed QRS come from what the cart first measured.
    assert ecg.cart == CartStatement(
        heart_rate_bpm=72, pr_ms=150, qrs_ms=90, qt_ms=401, qtc_ms=433, p_axis_deg=55, qrs_axis_deg=-30
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_same_document_has_one_id_whatever_its_encoding(encoding: str) -> None:
    text = sierra_1_04(recording())
    again = text.replace('"1.0"?', f'"1.0" encoding="{encoding}"?')
    assert read_text(again, encoding).ecg.ecg_id == read_text(text).ecg.ecg_id


def test_a_document_without_namespace_reads_the_same() -> None:
    text = sierra_1_04(recording())
    bare = text.replace(' xmlns="http://www3.medical.philips.com"', "")
    assert read_text(bare).ecg.ecg_id == read_text(text).ecg.ecg_id


@pytest.mark.parametrize("dashes", ["---", "", " "])
def test_a_patient_who_is_not_named_is_not_guessed(dashes: str) -> None:
    text = sierra_1_04(recording(), patient=f"<patientid>{dashes}</patientid>")
    assert reason_of(text) is RefusalReason.NO_PATIENT
    numbered = sierra_1_04(recording(), patient=f"<patientid>{dashes}</patientid><MRN>M-2</MRN>")
    assert read_text(numbered).ecg.patient_id == "M-2"


def without(text: str, *parts: str) -> str:
    for part in parts:
        assert part in text
        text = text.replace(part, "")
    return text


LEADS = recording(500)
TEXT = sierra_1_04(LEADS)
SPOILT: dict[str, tuple[Callable[[], str], RefusalReason]] = {
    "no resolution": (
        lambda: without(TEXT, "<resolution>5</resolution>", '\nresolution="5"'),
        RefusalReason.UNIT_UNKNOWN,
    ),
    "resolution 0": (lambda: sierra_1_04(LEADS, uv_per_count="0"), RefusalReason.UNIT_UNKNOWN),
    "resolution a word": (lambda: sierra_1_04(LEADS, uv_per_count="fine"), RefusalReason.UNIT_UNKNOWN),
    "no rate": (
        lambda: without(TEXT, "<samplingrate>500</samplingrate>", ' samplespersecond="500"'),
        RefusalReason.IMPLAUSIBLE_RATE,
    ),
    "no waveform": (lambda: TEXT.replace("parsedwaveforms", "otherwaveforms"), RefusalReason.NO_WAVEFORM),
    "empty waveform": (lambda: sierra_1_04(LEADS, text=" "), RefusalReason.NO_WAVEFORM),
    "cut Base64": (lambda: sierra_1_04(LEADS, text=waveform(LEADS)[:-3]), RefusalReason.DAMAGED),
    "a lead less": (
        lambda: sierra_1_04(LEADS, text=b64encode(xli(LEADS["I"]) * 11).decode()),
        RefusalReason.DAMAGED,
    ),
    "shorter than stated": (lambda: TEXT.replace('"1000"', '"1100"'), RefusalReason.DAMAGED),
    "another rate than the samples have": (
        lambda: TEXT.replace('samplespersecond="500"', 'samplespersecond="250"'),
        RefusalReason.TOO_LARGE,
    ),
    "more samples than stated": (
        lambda: sierra_1_04(LEADS, packing="base64").replace('"1000"', '"800"'),
        RefusalReason.DAMAGED,
    ),
    "longer than allowed": (lambda: TEXT.replace('"1000"', '"99999999999"'), RefusalReason.TOO_LARGE),
    "another version": (lambda: sierra_1_04(LEADS, version="2.00"), RefusalReason.UNSUPPORTED),
    "no version": (lambda: without(TEXT, "<documentversion>1.04</documentversion>"), RefusalReason.DAMAGED),
    "another compression": (lambda: TEXT.replace('"XLI"', '"ZIP"'), RefusalReason.UNSUPPORTED),
    "another sample size": (
        lambda: TEXT.replace('bitspersample="16"', 'bitspersample="24"'),
        RefusalReason.UNSUPPORTED,
    ),
    "limb leads alone": (
        lambda: sierra_1_04({name: LEADS[name] for name in LEADS_12[:6]}),
        RefusalReason.LEADS_MISSING,
    ),
    "channels of no known lead": (
        lambda: sierra_1_03(LEADS, leadset="MIDA"),
        RefusalReason.LEADS_MISSING,
    ),
    "no time": (lambda: TEXT.replace('time="04:05:06"', 'time=""'), RefusalReason.NO_TIME),
    "an impossible day": (lambda: TEXT.replace("2020-02-03", "2020-02-33"), RefusalReason.NO_TIME),
    "an entity": (
        lambda: TEXT.replace("<restingecgdata", '<!DOCTYPE x [<!ENTITY a "b">]><restingecgdata', 1),
        RefusalReason.UNSAFE,
    ),
    "plain words": (
        lambda: sierra_1_04(LEADS, packing="plain", text="one two"),
        RefusalReason.DAMAGED,
    ),
    "calibration alone": (
        lambda: sierra_1_04(dict.fromkeys(LEADS_12, np.repeat([0, 200, 0], 500)), packing="base64"),
        RefusalReason.NO_WAVEFORM,
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_cannot_become_an_ecg_is_refused_with_its_reason(how: str) -> None:
    spoil, reason = SPOILT[how]
    assert reason_of(spoil()) is reason


def test_a_lead_that_swells_is_refused_at_its_bound() -> None:
    # Codes of 10 bits, each some 700 zeros long: less than 10 kB a lead that would become 3 MB.
    packed = lzw(bytes(3_000_000))
    bomb = len(packed).to_bytes(4, "little") + bytes(4) + packed
    text = sierra_1_04(LEADS, text=b64encode(bomb * 12).decode())
    assert len(text) < 2**18
    assert reason_of(text) is RefusalReason.TOO_LARGE
