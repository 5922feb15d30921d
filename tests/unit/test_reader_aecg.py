import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest
from writers.aecg import (
    aecg_xml,
    annotated_xml,
    beat_xml,
    lead_xml,
    measured_xml,
    series_xml,
    set_xml,
    time_xml,
)

from schemas.leads import LEADS_12
from schemas.recorded import CartStatement, Sex
from streams.feeds.document import Document
from streams.feeds.files import read_file
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.ecgdatakit_adapter import found_from, parse_with
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason


def document(
    leads: tuple[str, ...] = LEADS_12,
    *,
    scale: str = "2.5",
    unit: str = "uV",
    head: str = "20021122091000",
    patient: str = '<id root="1.2.3" extension="S1"/>',
    document_id: str = '<id root="abc" extension="e1"/>',
) -> str:
    sequences = "".join(
        f"""<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}"/><value>
        <origin value="0" unit="{unit}"/><scale value="{scale}" unit="{unit}"/>
        <digits>{" ".join(str(row * 10 + k) for k in range(20))}</digits></value></sequence></component>"""
        for row, lead in enumerate(leads)
    )
    return f"""<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3">{document_id}
    <componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>{patient}
    <subjectDemographicPerson><administrativeGenderCode code="F"/><birthTime value="19530508"/>
    </subjectDemographicPerson></trialSubject></subject></subjectAssignment></componentOf></timepointEvent>
    </componentOf><component><series><code code="RHYTHM"/><component><sequenceSet><component><sequence>
    <code code="TIME_ABSOLUTE"/><value><head value="{head}"/><increment value="2" unit="ms"/></value>
    </sequence></component>{sequences}</sequenceSet></component></series></component></AnnotatedECG>"""


def written(folder: Path, text: str) -> Path:
    path = folder / "ecg.xml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_fda_sample_is_read_whole(shared_ecg: Path) -> None:
    ecg = read_file(shared_ecg / "aecg" / "hl7_example.xml").ecg

    assert ecg.samples.shape == (12, 5000)
    assert set(ecg.lead_names) == set(LEADS_12)
    assert (ecg.uv_per_unit, ecg.sample_rate_hz) == (2.5, 500.0)
    assert ecg.acquired_at == datetime(2002, 11, 22, 9, 10, tzinfo=UTC)
    assert (ecg.patient_id, ecg.age_years, ecg.sex) == ("subject1", 46.0, Sex.MALE)
    by_lead = dict(zip(ecg.lead_names, ecg.samples.astype(int), strict=True))
    np.testing.assert_array_equal(by_lead["III"], by_lead["II"] - by_lead["I"])


def test_the_fda_samples_microvolts_are_what_its_text_says(shared_ecg: Path) -> None:
    path = shared_ecg / "aecg" / "hl7_example.xml"
    ecg = read_file(path).ecg
    # Read without any XML parser, as a second opinion.
    text = path.read_text(encoding="utf-8")
    found = re.findall(
        r'code="MDC_ECG_LEAD_(\w+)".*?<origin value="([\d.-]+)".*?<scale value="([\d.]+)" unit="uV".*?'
        r"<digits>([^<]*)</digits>",
        text,
        re.DOTALL,
    )
    by_lead = {
        name.upper(): row * ecg.uv_per_unit for name, row in zip(ecg.lead_names, ecg.samples, strict=True)
    }
    for name, origin, scale, digits in found[:12]:
        expected_uv = np.array(digits.split(), dtype=float) * float(scale) + float(origin)
        np.testing.assert_array_equal(by_lead[name.upper()], expected_uv)


def test_a_document_without_a_twelve_lead_waveform_is_refused(shared_ecg: Path) -> None:
    with pytest.raises(FeedRefusedError, match=r"found II .*missing I, III, aVR, aVL, aVF, V1") as refused:
        read_file(shared_ecg / "aecg" / "minimum_no_waveform.xml")
    assert refused.value.reason is RefusalReason.NO_WAVEFORM


def test_the_fda_samples_cart_measured_what_its_beats_say(shared_ecg: Path) -> None:
    assert read_file(shared_ecg / "aecg" / "hl7_example.xml").ecg.cart == CartStatement(
        p_duration_ms=102, pr_ms=148, qrs_ms=120, qt_ms=420, qtc_ms=443,
        p_axis_deg=44, qrs_axis_deg=-61, t_axis_deg=86,
    )  # fmt: skip


def test_the_fda_sample_equals_ecgdatakits_own_parser(shared_ecg: Path) -> None:
    path = shared_ecg / "aecg" / "hl7_example.xml"
    theirs = found_from(parse_with("hl7_aecg.HL7aECGParser", path.read_bytes()), "aECG")
    ecg = read_file(path).ecg
    for channel, name, row in zip(theirs.channels, ecg.lead_names, ecg.samples, strict=True):
        assert channel.name == name
        np.testing.assert_array_equal(row, channel.counts)


def test_a_document_is_read_with_scale_rate_time_and_age(tmp_path: Path) -> None:
    ecg = read_file(written(tmp_path, document()), ReadOptions(timezone=ZoneInfo("America/New_York"))).ecg

    assert ecg.lead_names == LEADS_12
    assert (ecg.sample_rate_hz, ecg.uv_per_unit) == (500.0, 2.5)
    assert ecg.acquired_at == datetime(2002, 11, 22, 14, 10, tzinfo=UTC)
    assert (ecg.age_years, ecg.sex, ecg.source_uid) == (49.0, Sex.FEMALE, "abc^e1")
    assert ecg.samples[3, 4] == 34


def test_millivolts_and_microvolts_mean_the_same(tmp_path: Path) -> None:
    in_uv = read_file(written(tmp_path, document())).ecg
    in_mv = read_file(written(tmp_path, document(scale="0.0025", unit="mV"))).ecg
    np.testing.assert_allclose(in_mv.samples * in_mv.uv_per_unit, in_uv.samples * in_uv.uv_per_unit)


def test_two_limb_leads_are_enough_since_the_others_derive_from_them(tmp_path: Path) -> None:
    leads = ("II", "aVL", *LEADS_12[6:])
    assert read_file(written(tmp_path, document(leads))).ecg.lead_names == leads


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (document(LEADS_12[:6]), "missing V1, V2"),
        (document(unit="kg"), "'kg'"),
        (document(scale="wide"), "not numbers"),
        (document(scale="-1"), "above 0"),
        (document().replace("<digits>0 1 ", f"<digits>0 {10**30} "), "not numbers"),
        (document(head="20021122"), "--acquired-at"),
        (document(head="20021122091000+9900"), "--acquired-at"),
        (document(head="20021122091000+0160"), "--acquired-at"),
        (document(head="00010101000000+1400"), "beyond the calendar"),
        (document(unit="1e999"), r"'\(unknown\)'"),
        (document(scale="1e999"), "not numbers"),
        (document(scale="1e300"), "uv_per_unit must lie"),
        (document().replace('"2" unit="ms"', '"1e-400" unit="ms"'), "no time step"),
        (document(patient=""), "--patient-id"),
        (document().replace("AnnotatedECG", "OtherECG"), "format not recognised"),
        (document()[:-40], "not well-formed"),
        (document().replace("<series>", "<other>").replace("</series>", "</other>"), "without a waveform"),
        (document().replace("TIME_ABSOLUTE", "TEMPERATURE"), "no time step"),
    ],
)
def test_what_cannot_become_an_ecg_is_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(FeedRefusedError, match=reason):
        read_file(written(tmp_path, text))


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    text = document().replace("<AnnotatedECG", bomb + "<AnnotatedECG")
    with pytest.raises(FeedRefusedError, match="unsafe XML"):
        read_file(written(tmp_path, text))


def test_a_lead_with_fewer_samples_is_refused(tmp_path: Path) -> None:
    text = document().replace("<digits>0 1 2 ", "<digits>", 1)
    with pytest.raises(FeedRefusedError, match="different lengths"):
        read_file(written(tmp_path, text))


@pytest.mark.parametrize("content", [b"", b"\x00" * 200])
def test_unknown_formats_are_refused_by_name_of_the_known_ones(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.bin"
    path.write_bytes(content)
    with pytest.raises(FeedRefusedError, match=r"known are DICOM, .*aECG"):
        read_file(path)


def test_a_missing_file_is_refused_not_raised(tmp_path: Path) -> None:
    with pytest.raises(FeedRefusedError, match="cannot be opened"):
        read_file(tmp_path / "absent.dcm")


@pytest.mark.parametrize("encoding", ["Shift_JIS", "GB18030", "klingon"])
def test_an_encoding_that_cannot_be_read_is_refused_with_the_one_that_can(
    tmp_path: Path, encoding: str
) -> None:
    text = document().replace('<?xml version="1.0"?>', f'<?xml version="1.0" encoding="{encoding}"?>')
    with pytest.raises(FeedRefusedError, match="UTF-8"):
        read_file(written(tmp_path, text))


def test_a_local_time_is_noted_with_the_zone_it_was_read_in(tmp_path: Path) -> None:
    reading = read_file(written(tmp_path, document()), ReadOptions(timezone=ZoneInfo("Asia/Tokyo")))
    assert reading.notes == ("time carries no zone, read as Asia/Tokyo",)
    assert reading.ecg.acquired_at == datetime(2002, 11, 22, 0, 10, tzinfo=UTC)

    stated = read_file(written(tmp_path, document(head="20021122091000+0900")))
    assert stated.notes == ()
    assert stated.ecg.acquired_at == reading.ecg.acquired_at


def test_an_auxiliary_channel_costs_itself_and_is_noted(tmp_path: Path) -> None:
    alone = read_file(written(tmp_path, document())).ecg
    names = (*LEADS_12, "RESPIRATION_IMPEDANCE_OF_THE_CHEST", "X", "V7", "PACE", "A", "B", "C")
    text = document(names)
    respiration = text.index("MDC_ECG_LEAD_RESPIRATION")
    text = text[:respiration] + text[respiration:].replace('"uV"', '"Ohm"', 2).replace(
        "<digits>", "<digits>99", 1
    )

    reading = read_file(written(tmp_path, text))

    assert reading.ecg.lead_names == LEADS_12
    assert reading.ecg.uv_per_unit == alone.uv_per_unit == 2.5
    np.testing.assert_array_equal(reading.ecg.samples, alone.samples)
    assert "MDC_ECG_LEAD_PACE" in reading.notes[-1]


@pytest.mark.parametrize(
    ("document_id", "source_uid"),
    [
        ('<id root="2.16.840.1" extension="7"/>', "2.16.840.1^7"),
        ('<id root="61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"/>', "61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"),
        ('<id root="2.16.840.1"/>', ""),
        ('<id root="00000000-0000-0000-0000-000000000000"/>', ""),
        ('<id extension="7"/>', ""),
        ("", ""),
    ],
)
def test_only_an_id_of_this_one_document_is_its_uid(
    tmp_path: Path, document_id: str, source_uid: str
) -> None:
    assert read_file(written(tmp_path, document(document_id=document_id))).ecg.source_uid == source_uid


def test_an_exporters_constant_root_does_not_make_two_ecgs_one(tmp_path: Path) -> None:
    constant = '<id root="2.16.840.1.113883.3.1"/>'
    first = read_file(written(tmp_path, document(document_id=constant))).ecg
    later = read_file(written(tmp_path, document(document_id=constant, head="20021122091500"))).ecg
    assert first.ecg_id != later.ecg_id


@pytest.mark.parametrize(
    ("age", "unit", "expected"), [("18", "mo", 1.5), ("46", "a", 46.0), ("nan", "a", 49.0), ("-4", "a", None)]
)
def test_a_reported_age_comes_in_years_whatever_its_unit(
    tmp_path: Path, age: str, unit: str, expected: float | None
) -> None:
    reported = (
        f'<relatedObservation><code code="21612-7"/><value value="{age}" unit="{unit}"/></relatedObservation>'
    )
    text = document().replace("<component><series>", reported + "<component><series>")
    reading = read_file(written(tmp_path, text))
    assert reading.ecg.age_years == expected
    assert any("age" in note for note in reading.notes) == (expected is None)


def test_the_age_at_a_given_moment_of_acquisition_comes_from_the_birth_date(tmp_path: Path) -> None:
    given = ReadOptions(acquired_at=datetime(2003, 6, 1, tzinfo=UTC))
    assert read_file(written(tmp_path, document(head="")), given).ecg.age_years == 50.0


def recording(n_samples: int = 2000) -> dict[str, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(5)
    return {lead: rng.integers(-900, 900, n_samples) for lead in LEADS_12}


def read_text(text: str, encoding: str = "utf-8", options: ReadOptions | None = None) -> Reading:
    return read(Document(content=text.encode(encoding)), options)


def reason_of(text: str) -> RefusalReason:
    with pytest.raises(FeedRefusedError) as refused:
        read_text(text)
    return refused.value.reason


def require_equal(reading: Reading, leads: dict[str, npt.NDArray[np.int64]]) -> None:
    assert reading.ecg.lead_names == tuple(leads)
    np.testing.assert_array_equal(reading.ecg.samples, np.array(list(leads.values())))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_what_is_written_reads_back_equal_in_every_encoding(encoding: str) -> None:
    leads = recording()
    subject = '<id root="1.2.3" extension="Müller-1"/>'
    text = aecg_xml(series_xml(set_xml(leads)), subject=subject)
    reading = read_text(text.replace('"1.0"?', f'"1.0" encoding="{encoding}"?'), encoding)
    require_equal(reading, leads)
    assert (reading.ecg.patient_id, reading.ecg.device_id) == ("Müller-1", "SN-9")


def test_a_document_whose_bytes_are_not_of_its_encoding_is_read_as_what_they_are() -> None:
    subject = '<id root="1.2.3" extension="Müller-1"/>'
    text = aecg_xml(series_xml(set_xml(recording())), subject=subject)
    said = text.replace('"1.0"?', '"1.0" encoding="UTF-8"?')
    assert read_text(said, "windows-1252").ecg.patient_id == "Müller-1"


def test_a_document_without_namespace_or_with_a_prefix_reads_the_same() -> None:
    text = aecg_xml(series_xml(set_xml(recording())))
    bare = text.replace(' xmlns="urn:hl7-org:v3"', "")
    prefixed = re.sub(r"<(/?)(?=[A-Za-z])", r"<\1h:", text).replace('xmlns="urn', 'xmlns:h="urn')
    assert read_text(bare).ecg.ecg_id == read_text(prefixed).ecg.ecg_id == read_text(text).ecg.ecg_id


def test_of_several_series_the_longest_complete_is_taken_and_no_beat() -> None:
    leads = recording()
    two = {lead: counts[:1000] for lead, counts in leads.items()}
    one = {"II": recording(9000)["II"]}
    beat = series_xml(set_xml(recording(9000)), code="REPRESENTATIVE_BEAT")
    series = beat + series_xml(set_xml(one) + set_xml(two)) + series_xml(set_xml(leads))
    require_equal(read_text(aecg_xml(series)), leads)


def test_a_relative_time_is_one_from_the_start_of_its_series() -> None:
    time = time_xml("0", step="0.004", unit="s", code="TIME_RELATIVE").replace("GLIST_TS", "GLIST_PQ")
    ecg = read_text(aecg_xml(series_xml(set_xml(recording(), time=time)))).ecg
    assert ecg.sample_rate_hz == 250.0
    assert ecg.acquired_at == datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_an_absolute_time_is_taken_whichever_time_comes_first() -> None:
    time = time_xml("0", code="TIME_RELATIVE") + time_xml("20200203050607.25+0100")
    reading = read_text(aecg_xml(series_xml(set_xml(recording(), time=time))))
    assert reading.ecg.acquired_at == datetime(2020, 2, 3, 4, 6, 7, 250_000, tzinfo=UTC)
    assert (reading.ecg.acquired_zone, reading.ecg.is_zone_assumed) == ("+01:00", False)


def test_counts_beyond_sixteen_bits_are_brought_to_a_scale_that_holds_them() -> None:
    leads = {lead: counts * 1000 for lead, counts in recording().items()}
    ecg = read_text(aecg_xml(series_xml(set_xml(leads, scale="0.01")))).ecg
    whole = np.array(list(leads.values())) * 0.01
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, whole, atol=ecg.uv_per_unit / 2 * 1.001)


def test_an_origin_is_in_the_unit_of_its_scale_where_it_states_none() -> None:
    sequences = "".join(
        lead_xml(lead, counts, scale="0.0025", unit="mV", origin="0.5").replace(
            '<origin value="0.5" unit="mV"/>', '<origin value="0.5"/>'
        )
        for lead, counts in recording().items()
    )
    text = series_xml(
        f"<component><sequenceSet>{time_xml('20200203040506')}{sequences}</sequenceSet></component>"
    )
    ecg = read_text(aecg_xml(text)).ecg
    np.testing.assert_array_equal(ecg.samples, np.array(list(recording().values())) + 200)


NUMBERS = (
    ("MDC_ECG_HEART_RATE", "72", "bpm"),
    ("MDC_ECG_TIME_PD_PR_GL", "0.16", "s"),
    ("MDC_ECG_TIME_PD_QRS", "88", "ms"),
    ("MDC_ECG_TIME_PD_QT", "390000", "us"),
    ("MDC_ECG_TIME_PD_QTc", "424", "ms"),
    ("MDC_ECG_ANGLE_QRS_FRONT", "-30", "deg"),
)


def measured(numbers: tuple[tuple[str, str, str], ...] = NUMBERS, **of: str) -> str:
    return "".join(measured_xml(*number, **of) for number in numbers)


def cart_of(annotations: str) -> CartStatement | None:
    return read_text(aecg_xml(series_xml(set_xml(recording()) + annotations))).ecg.cart


def test_what_a_device_measured_is_kept_in_our_units() -> None:
    assert cart_of(annotated_xml(measured())) == CartStatement(
        heart_rate_bpm=72, pr_ms=160, qrs_ms=88, qt_ms=390, qtc_ms=424, qrs_axis_deg=-30
    )


def test_what_a_person_or_a_single_lead_measured_is_not_the_carts() -> None:
    by_hand = annotated_xml(measured((("MDC_ECG_TIME_PD_QT", "500", "ms"),)), by="assignedPerson")
    of_lead = annotated_xml(measured((("MDC_ECG_TIME_PD_QT", "300", "ms"),), lead="V2"))
    without_unit = annotated_xml(measured((("MDC_ECG_TIME_PD_QT", "0.4", ""),)))
    assert cart_of(by_hand + of_lead + without_unit) is None


def test_beats_alone_give_their_median_and_the_whole_comes_before_them() -> None:
    beats = "".join(
        beat_xml(measured((("MDC_ECG_TIME_PD_QT", qt, "ms"), ("MDC_ECG_TIME_PD_RR", "800", "ms"))))
        for qt in ("380", "400", "520")
    )
    alone = cart_of(annotated_xml(beats))
    assert alone == CartStatement(qt_ms=400, heart_rate_bpm=75)
    both = cart_of(annotated_xml(beats + measured()))
    assert both is not None
    assert (both.qt_ms, both.heart_rate_bpm) == (390, 72)


def test_what_was_measured_on_the_representative_beat_is_kept() -> None:
    derived = f"<derivation><derivedSeries>{annotated_xml(measured())}</derivedSeries></derivation>"
    found = cart_of(annotated_xml(beat_xml(measured((("MDC_ECG_TIME_PD_QT", "300", "ms"),)))) + derived)
    assert found is not None
    assert found.qt_ms == 390


@pytest.mark.parametrize(
    ("subject", "patient"),
    [
        ('<id root="1.2"/><id root="1.2" extension="P-2"/>', "P-2"),
        ('<id root="61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"/>', "61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"),
        ('<id root="1.2" extension="?"/>', None),
        ('<id root="2.16.840.1.113883.3.1"/>', None),  # who numbers subjects, not one of them
        ('<id nullFlavor="UNK"/>', None),
    ],
)
def test_a_subject_is_known_by_an_id_of_its_own_or_not_at_all(subject: str, patient: str | None) -> None:
    text = aecg_xml(series_xml(set_xml(recording())), subject=subject)
    if patient is None:
        assert reason_of(text) is RefusalReason.NO_PATIENT
    else:
        assert read_text(text).ecg.patient_id == patient


FEW = {lead: counts for lead, counts in recording(500).items() if not lead.startswith("V")}
WHOLE = aecg_xml(series_xml(set_xml(recording(500))))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (aecg_xml(""), RefusalReason.NO_WAVEFORM),
        (aecg_xml(series_xml("")), RefusalReason.NO_WAVEFORM),
        (aecg_xml(series_xml(set_xml({}))), RefusalReason.NO_WAVEFORM),
        (aecg_xml(series_xml(set_xml(FEW))), RefusalReason.LEADS_MISSING),
        (aecg_xml(series_xml(set_xml(recording()), code="REPRESENTATIVE_BEAT")), RefusalReason.NO_WAVEFORM),
        (WHOLE.replace('unit="uV"', ""), RefusalReason.UNIT_UNKNOWN),
        (WHOLE.replace('unit="uV"', 'unit="mmHg"'), RefusalReason.UNIT_UNKNOWN),
        (WHOLE.replace('unit="ms"', ""), RefusalReason.IMPLAUSIBLE_RATE),
        (WHOLE.replace("<digits>", "<digits>1.5 "), RefusalReason.DAMAGED),
        (WHOLE.replace("20200203", "20209903"), RefusalReason.NO_TIME),
        (WHOLE.replace("</AnnotatedECG>", ""), RefusalReason.DAMAGED),
        (
            WHOLE.replace("<AnnotatedECG", "<!DOCTYPE a [<!ATTLIST b c CDATA 'd'>]><AnnotatedECG"),
            RefusalReason.UNSAFE,
        ),
    ],
)
def test_each_refusal_bears_its_reason(text: str, reason: RefusalReason) -> None:
    assert reason_of(text) is reason
