"""GE MUSE XML: what is written reads back equal, the rhythm and never the median, or is refused."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest
from writers.muse import lead_xml, median_xml, muse_xml, rhythm_xml, waveform_xml

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

STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def recording(names: tuple[str, ...] = STORED, n_samples: int = 5000) -> dict[str, Counts]:
    rng = np.random.default_rng(11)
    return {name: rng.integers(-900, 900, n_samples) for name in names}


def content_of(text: str, encoding: str = "iso-8859-1") -> bytes:
    return text.encode(encoding)


def read_text(text: str, options: ReadOptions | None = None, limits: ReadLimits | None = None) -> Reading:
    return read(Document(content=content_of(text)), options, limits or ReadLimits())


def reason_of(text: str, limits: ReadLimits | None = None) -> RefusalReason:
    with pytest.raises(FeedRefusedError) as refused:
        read_text(text, limits=limits)
    return refused.value.reason


def require_equal(reading: Reading, leads: Mapping[str, Counts]) -> None:
    assert reading.ecg.lead_names == tuple(leads)
    np.testing.assert_array_equal(reading.ecg.samples, np.array(list(leads.values())))


@pytest.mark.parametrize("names", [STORED, LEADS_12])
def test_eight_stored_leads_and_twelve_read_back_equal(names: tuple[str, ...]) -> None:
    leads = recording(names)
    reading = read_text(muse_xml(median_xml(leads) + rhythm_xml(leads)))
    require_equal(reading, leads)
    assert (reading.ecg.sample_rate_hz, reading.ecg.uv_per_unit) == (500.0, 4.88)
    assert reading.notes == ("time carries no zone, read as UTC",)


def test_it_equals_ecgdatakits_own_parser() -> None:
    content = content_of(muse_xml(median_xml(recording()) + rhythm_xml(recording())))
    theirs = found_from(parse_with("ge_muse_xml.GEMuseXMLParser", content), "MUSE XML")
    ecg = read(Document(content=content)).ecg
    for channel, name, row in zip(theirs.channels, ecg.lead_names, ecg.samples, strict=True):
        assert (channel.name, channel.uv_per_count) == (name, ecg.uv_per_unit)
        np.testing.assert_array_equal(row, channel.counts)
    assert (theirs.patient_id, theirs.sex, theirs.age_years) == (ecg.patient_id, ecg.sex, ecg.age_years)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_rhythm_is_taken_wherever_it_stands_and_of_several_the_longest_complete(
    order: tuple[int, ...],
) -> None:
    leads = recording()
    parts = (
        median_xml(leads),
        rhythm_xml(leads),
        waveform_xml("Rhythm", lead_xml("II", recording(("II",), 9000)["II"])),
    )
    require_equal(read_text(muse_xml("".join(parts[place] for place in order))), leads)


def test_a_waveform_that_does_not_say_its_kind_is_a_rhythm() -> None:
    leads = recording()
    text = muse_xml(rhythm_xml(leads) + median_xml(leads)).replace("<WaveformType>Rhythm</WaveformType>", "")
    require_equal(read_text(text), leads)


@pytest.mark.parametrize("fold", [str.lower, str.upper])
def test_elements_are_found_in_whatever_case(fold: Callable[[str], str]) -> None:
    leads = recording()
    text = muse_xml(rhythm_xml(leads), extra="").replace('<!DOCTYPE RestingECG SYSTEM "restecg.dtd">', "")
    folded = "".join(
        part if part.startswith("<?") else fold(part) if part.startswith("<") else part
        for part in text.replace("<", "\0<").replace(">", ">\0").split("\0")
    )
    require_equal(read_text(folded), leads)


def test_a_document_within_another_or_of_a_namespace_is_found() -> None:
    leads = recording()
    text = muse_xml(rhythm_xml(leads)).replace('<!DOCTYPE RestingECG SYSTEM "restecg.dtd">', "")
    wrapped = text.replace("<RestingECG>", '<Export xmlns="urn:ge:muse"><RestingECG>') + "</Export>"
    require_equal(read_text(wrapped), leads)


def test_rate_units_and_scale_are_what_the_document_says() -> None:
    leads = recording()
    millivolts = "".join(
        lead_xml(name, counts, uv_per_count="0.0025", unit="MILLIVOLTS") for name, counts in leads.items()
    )
    ecg = read_text(muse_xml(waveform_xml("Rhythm", millivolts, base="25", exponent="1"))).ecg
    assert (ecg.uv_per_unit, ecg.sample_rate_hz) == (2.5, 250.0)
    thousand = read_text(muse_xml(waveform_xml("Rhythm", millivolts, base="1000"))).ecg
    assert thousand.sample_rate_hz == 1000.0


def test_who_when_where_and_what_the_cart_measured_before_anyone_edited_it() -> None:
    text = muse_xml(rhythm_xml(recording()))
    ecg = read_text(text, ReadOptions(timezone=ZoneInfo("America/New_York"))).ecg

    assert ecg.acquired_at == datetime(2020, 2, 3, 9, 5, 6, tzinfo=UTC)
    assert (ecg.acquired_zone, ecg.is_zone_assumed) == ("America/New_York", True)
    assert (ecg.patient_id, ecg.age_years, ecg.sex) == ("P-1", 63.0, Sex.FEMALE)
    assert (ecg.site_id, ecg.ward_id, ecg.device_id) == ("General", "Emergency", "4")
    assert (ecg.source_system, ecg.source_format) == ("GE MAC55", "MUSE XML")
    assert ecg.cart == CartStatement(
        heart_rate_bpm=72, pr_ms=160, qrs_ms=88, qt_ms=390, qtc_ms=424,
        p_axis_deg=45, qrs_axis_deg=-12, t_axis_deg=-90,
    )  # fmt: skip
    edited = read_text(muse_xml(rhythm_xml(recording()), original=False)).ecg.cart
    assert edited is not None
    assert edited.heart_rate_bpm == 99


@pytest.mark.parametrize(
    ("patient", "age"),
    [
        ("<PatientAge>18</PatientAge><AgeUnits>MONTHS</AgeUnits>", 1.5),
        ("<DateofBirth>03-01-1950</DateofBirth>", 69.0),
        ("<PatientAge>63</PatientAge>", None),  # of no stated unit: years, months or days
        ("<PatientAge>999</PatientAge><AgeUnits>YEARS</AgeUnits>", None),
    ],
)
def test_the_age_comes_in_years(patient: str, age: float | None) -> None:
    text = muse_xml(rhythm_xml(recording()), patient=f"<PatientID>P-1</PatientID>{patient}")
    assert read_text(text).ecg.age_years == age


def diagnosis(statement: str) -> str:
    return f"<Diagnosis><DiagnosisStatement><StmtText>{statement}</StmtText></DiagnosisStatement></Diagnosis>"


def answer(to_pacemaker: str) -> str:
    question = f"<Question>Pacemaker?</Question><Answer>{to_pacemaker}</Answer>"
    return f"<ExtraQuestions><ExtraQuestion>{question}</ExtraQuestion></ExtraQuestions>"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("", None),
        (answer("No"), False),
        (answer("Yes"), True),
        (answer("?"), None),
        (diagnosis("Electronic ventricular pacemaker"), True),
        (diagnosis("Atrial-paced rhythm"), True),
        (diagnosis("Wandering atrial pacemaker"), None),
    ],
)
def test_pacing_is_what_somebody_says_of_it(extra: str, expected: bool | None) -> None:
    text = muse_xml(rhythm_xml(recording()), extra=extra)
    assert read_text(text).ecg.has_pacemaker is expected


def test_an_undocumented_baseline_is_said_and_not_added() -> None:
    leads = recording()
    shifted = "".join(lead_xml(name, counts, baseline=250) for name, counts in leads.items())
    reading = read_text(muse_xml(waveform_xml("Rhythm", shifted)))
    require_equal(reading, leads)
    assert any("8 leads was not added" in note for note in reading.notes)


def test_checksums_of_another_kind_are_said_and_zeros_are_none() -> None:
    leads = recording()

    def with_checksum(checksum: int) -> str:
        parts = (lead_xml(name, counts, checksum=checksum) for name, counts in leads.items())
        return muse_xml(waveform_xml("Rhythm", "".join(parts)))

    other = read_text(with_checksum(1391929279))
    require_equal(other, leads)
    assert any("checksums" in note for note in other.notes)
    assert not any("checksums" in note for note in read_text(with_checksum(0)).notes)


LEADS = recording(n_samples=1000)
TEXT = muse_xml(median_xml(LEADS) + rhythm_xml(LEADS))


def with_lead(name: str, lead: str) -> str:
    """The document with another lead in the place of one."""
    own = lead_xml(name, LEADS[name])
    assert own in TEXT
    return TEXT.replace(own, lead)


SPOILT: dict[str, tuple[Callable[[], str], RefusalReason]] = {
    "median alone": (lambda: muse_xml(median_xml(LEADS)), RefusalReason.NO_WAVEFORM),
    "no waveform": (lambda: muse_xml(""), RefusalReason.NO_WAVEFORM),
    "no samples": (lambda: TEXT.replace(lead_data(), "", 8), RefusalReason.NO_WAVEFORM),
    "no unit": (lambda: TEXT.replace("MICROVOLTS", ""), RefusalReason.UNIT_UNKNOWN),
    "another unit": (lambda: TEXT.replace("MICROVOLTS", "BITS"), RefusalReason.UNIT_UNKNOWN),
    "no scale": (lambda: TEXT.replace(">4.88<", "><"), RefusalReason.UNIT_UNKNOWN),
    "no rate": (lambda: TEXT.replace("<SampleBase>500", "<SampleBase>"), RefusalReason.IMPLAUSIBLE_RATE),
    "an absurd rate": (
        lambda: TEXT.replace("<SampleExponent>0", "<SampleExponent>999"),
        RefusalReason.IMPLAUSIBLE_RATE,
    ),
    "a checksum of one lead": (
        lambda: with_lead("V2", lead_xml("V2", LEADS["V2"], checksum=12345)),
        RefusalReason.DAMAGED,
    ),
    "a lead shorter than the others": (
        lambda: with_lead("V2", lead_xml("V2", LEADS["V2"][:-1])),
        RefusalReason.DAMAGED,
    ),
    "cut Base64": (lambda: TEXT.replace("</WaveFormData>", "A</WaveFormData>"), RefusalReason.DAMAGED),
    "another number of samples": (
        lambda: TEXT.replace("<LeadSampleCountTotal>1000", "<LeadSampleCountTotal>1001"),
        RefusalReason.DAMAGED,
    ),
    "another number of bytes": (
        lambda: TEXT.replace("<LeadByteCountTotal>2000", "<LeadByteCountTotal>2002"),
        RefusalReason.DAMAGED,
    ),
    "words of three bytes": (
        lambda: TEXT.replace("<LeadSampleSize>2", "<LeadSampleSize>3"),
        RefusalReason.DAMAGED,
    ),
    "leads one after the other": (
        lambda: TEXT.replace("<LeadTimeOffset>0", "<LeadTimeOffset>2500", 9),
        RefusalReason.UNSUPPORTED,
    ),
    "limb leads alone": (
        lambda: muse_xml(rhythm_xml({name: LEADS[name] for name in ("I", "II")})),
        RefusalReason.LEADS_MISSING,
    ),
    "no patient": (lambda: muse_xml(rhythm_xml(LEADS), patient=""), RefusalReason.NO_PATIENT),
    "no day": (lambda: muse_xml(rhythm_xml(LEADS), day=""), RefusalReason.NO_TIME),
    "a day of no month": (lambda: muse_xml(rhythm_xml(LEADS), day="25-01-2020"), RefusalReason.NO_TIME),
    "no time of day": (lambda: muse_xml(rhythm_xml(LEADS), time=""), RefusalReason.NO_TIME),
    "no RestingECG": (
        lambda: TEXT.replace("RestingECG>", "OtherECG>").replace("<MuseInfo>", "<MuseInfo >"),
        RefusalReason.DAMAGED,
    ),
    "an external entity": (
        lambda: TEXT.replace(
            'SYSTEM "restecg.dtd"', 'SYSTEM "restecg.dtd" [<!ENTITY x SYSTEM "file:///etc/passwd">]'
        ),
        RefusalReason.UNSAFE,
    ),
    "a document cut": (lambda: TEXT[:-30], RefusalReason.DAMAGED),
}


def lead_data() -> str:
    start = TEXT.index("<Waveform><WaveformType>Rhythm")
    return TEXT[TEXT.index("<WaveFormData>", start) + 14 : TEXT.index("</WaveFormData>", start)]


@pytest.mark.parametrize("how", SPOILT)
def test_what_cannot_become_an_ecg_is_refused_with_its_reason(how: str) -> None:
    spoil, reason = SPOILT[how]
    assert reason_of(spoil()) is reason


def test_more_samples_than_allowed_are_refused_before_they_are_decoded() -> None:
    assert reason_of(TEXT, ReadLimits(max_samples=1000)) is RefusalReason.TOO_LARGE
