"""What an ORU says of its ECGs, and the ECGs in it, as different senders write them."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st
from writers.hl7_v2 import encapsulated, message, oru

from schemas.recorded import Urgency
from streams.feeds.mllp.character_sets import decode
from streams.feeds.mllp.escapes import escape, unescape
from streams.feeds.mllp.identifiers import IdentifierChoice
from streams.feeds.mllp.message import Delimiters, Hl7Error, parse_message
from streams.feeds.mllp.orders import options_of
from streams.feeds.mllp.recordings import Recording, recordings_in
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

XML = b'<?xml version="1.0"?>\n<AnnotatedECG>a &amp; b | c ^ d</AnnotatedECG>'
ROME = ZoneInfo("Europe/Rome")


def documents(content: bytes) -> list[bytes]:
    return [each.document.content for each in recordings_in(parse_message(content)) if each.document]


def options(content: bytes, choice: IdentifierChoice | None = None) -> ReadOptions:
    parsed = parse_message(content)
    first: Recording = recordings_in(parsed)[0]
    return options_of(first.order, first.observation, parsed, ROME, choice or IdentifierChoice())


def wrapped(encoded: str, end: str) -> str:
    return end.join(encoded[at : at + 20] for at in range(0, len(encoded), 20))


ENCODED = base64.b64encode(XML).decode()


@pytest.mark.parametrize("version", ["2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"])
@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"], ids=["CR", "LF", "CRLF"])
def test_an_encapsulated_ecg_is_found_in_every_version_and_line_end(version: str, end: str) -> None:
    content = oru(encapsulated(XML), version=version).replace(b"\r", end.encode())
    assert documents(content) == [XML]


@pytest.mark.parametrize(
    "obx",
    [
        f"OBX|1|ED|ECG||^TEXT^XML^Base64^{ENCODED}",
        f"OBX|1|ED|ECG||^TEXT^XML^base64^{ENCODED.rstrip('=')}",
        f"OBX|1|ED|ECG||Base64^{ENCODED}",
        f"OBX|1|ST|ECG||^TEXT^XML^Base64^{ENCODED}",
        f"OBX|1||ECG||^TEXT^XML^Base64^{ENCODED}",
        "OBX|1|ED|ECG||^TEXT^XML^Base64^" + wrapped(ENCODED, "\r\n"),
        "OBX|1|ED|ECG||^TEXT^XML^Base64^" + wrapped(ENCODED, "\\.br\\"),
        "OBX|1|ED|ECG||^TEXT^XML^Base64^" + wrapped(ENCODED, "\\X0D0A\\"),
        f"OBX|1|ED|ECG||^TEXT^XML^Hex^{XML.hex()}",
        f"OBX|1|ED|ECG||^TEXT^XML^A^{escape(XML.decode().replace(chr(10), ' '), Delimiters())}",
    ],
    ids=["usual", "no padding", "bare", "as ST", "no type", "wrapped", "br", "X", "hex", "ascii"],
)
def test_an_encapsulated_ecg_is_found_however_it_is_written(obx: str) -> None:
    assert [each.replace(b"\n", b" ") for each in documents(oru(obx))] == [XML.replace(b"\n", b" ")]


def as_text(lines: str) -> str:
    return escape(lines, Delimiters())


@pytest.mark.parametrize(
    "observations",
    [
        [f"OBX|1|FT|ECG||{as_text('<E>a &amp; b | c</E>')}"],
        ["OBX|1|TX|ECG||<E>a &amp; b \\F\\ c</E>"],
        ["OBX|1|TX|ECG|1|<E>a~&amp; b~\\F\\ c</E>"],
        ["OBX|1|TX|ECG|1|<E>a", "OBX|2|TX|ECG|2|&amp; b", "OBX|3|TX|ECG|3|\\F\\ c</E>"],
        ["OBX|1|ST|ECG||<E>a\\.br\\&amp; b\\X0A\\\\F\\ c</E>"],
        ["OBX|1|TX|ECG||<E>a\r\n&amp; b\n\\F\\ c</E>"],
    ],
    ids=["escaped", "half escaped", "repetitions", "several OBX", "line ends", "raw line ends"],
)
def test_xml_as_text_is_found_however_it_is_written(observations: list[str]) -> None:
    [found] = documents(oru(*observations))
    assert found.decode().split() == ["<E>a", "&amp;", "b", "|", "c</E>"]


def test_two_xml_documents_as_text_stay_two() -> None:
    assert documents(oru("OBX|1|TX|ECG||<E>1</E>", "OBX|2|TX|ECG||<E>2</E>")) == [b"<E>1</E>", b"<E>2</E>"]


def test_text_in_the_messages_own_character_set_becomes_utf_8() -> None:
    xml = '<?xml version="1.0" encoding="ISO-8859-1"?><E>é</E>'
    content = oru(f"OBX|1|TX|ECG||{xml}", rest="||||||8859/1").decode().encode("latin-1")
    assert documents(content) == ['<?xml version="1.0"?><E>é</E>'.encode()]


def test_measurements_and_remarks_beside_an_ecg_are_no_recordings() -> None:
    beside = ["OBX|1|NM|8867-4^HR^LN||72|/min", "OBX|2|TX|REMARK||sinus rhythm, all well"]
    assert documents(oru(*beside, encapsulated(XML, 3))) == [XML]


def test_several_ecgs_of_one_message_are_found_each_with_its_place() -> None:
    found = recordings_in(parse_message(oru(encapsulated(XML), "OBX|2|NM|HR||72", encapsulated(b"<B/>", 3))))
    assert [(each.observation.number, each.document and each.document.content) for each in found] == [
        (1, XML),
        (3, b"<B/>"),
    ]


def test_a_printed_report_beside_an_ecg_is_left_out_and_alone_is_there() -> None:
    pdf, pointer = encapsulated(b"%PDF-1.7", 2, "PDF"), "OBX|3|RP|ECG||\\\\share\\r.pdf^A^AP^PDF"
    assert documents(oru(encapsulated(XML), pdf, pointer)) == [XML]
    assert documents(oru(pdf)) == [b"%PDF-1.7"]


@pytest.mark.parametrize(
    ("obx", "reason"),
    [
        ("OBX|1|RP|ECG||\\\\share\\ecg.xml^MUSE^TEXT^XML", RefusalReason.UNSUPPORTED),
        ("OBX|1|ED|ECG||^TEXT^XML^Base64^%%%%", RefusalReason.DAMAGED),
        ("OBX|1|ED|ECG||^TEXT^XML^Hex^0G", RefusalReason.DAMAGED),
        ("OBX|1|ED|ECG||^TEXT^XML^Base64^", RefusalReason.DAMAGED),
        ("OBX|1|ED|ECG", RefusalReason.DAMAGED),
    ],
)
def test_an_ecg_that_cannot_be_taken_out_is_refused_with_the_reason(obx: str, reason: RefusalReason) -> None:
    [found] = recordings_in(parse_message(oru(obx)))
    assert found.document is None
    assert found.refusal is not None
    assert found.refusal.reason is reason


@pytest.mark.parametrize("observations", [(), ("OBX|1|NM|HR||72",), ("OBX|1|TX|R||fine",)])
def test_a_message_without_an_ecg_is_refused(observations: tuple[str, ...]) -> None:
    with pytest.raises(FeedRefusedError) as refused:
        recordings_in(parse_message(oru(*observations)))
    assert refused.value.reason is RefusalReason.NO_WAVEFORM


def test_a_message_with_absurdly_many_ecgs_is_refused() -> None:
    with pytest.raises(FeedRefusedError) as refused:
        recordings_in(parse_message(oru(*(encapsulated(XML, n) for n in range(65)))))
    assert refused.value.reason is RefusalReason.TOO_LARGE


def test_the_message_says_whose_where_and_when() -> None:
    said = options(oru(encapsulated(XML)))
    assert (said.expected_patient_id, said.ward_id, said.site_id) == ("P1", "W3", "ICU")
    assert said.acquired_at == datetime(2026, 3, 1, 7, tzinfo=UTC)  # by the offset of MSH-7
    assert said.urgency is Urgency.ROUTINE
    assert said.timezone is ROME


def test_the_time_of_the_order_carries_its_offset_or_the_sites_zone() -> None:
    own = options(oru(encapsulated(XML), obr="OBR|1|||E|||20260701080000.250-0500"))
    assert own.acquired_at == datetime(2026, 7, 1, 8, 0, 0, 250_000, timezone(timedelta(hours=-5)))
    silent = oru(encapsulated(XML), obr="OBR|1|||E|||202607010800").replace(b"20260301081500+0100", b"")
    assert options(silent).acquired_at == datetime(2026, 7, 1, 6, tzinfo=UTC)
    assert options(oru(encapsulated(XML), obr="OBR|1|||E|||20260701")).acquired_at is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (IdentifierChoice(), "P1"),
        (IdentifierChoice(type_code="NI"), "77"),
        (IdentifierChoice(authority="STATE"), "77"),
        (IdentifierChoice(type_code="MR", authority="HOSP"), "P1"),
        (IdentifierChoice(type_code="VN"), ""),
    ],
)
def test_the_identifier_the_site_goes_by_is_taken(choice: IdentifierChoice, expected: str) -> None:
    assert options(oru(encapsulated(XML)), choice).expected_patient_id == expected


@pytest.mark.parametrize(
    ("obr", "timing"),
    [
        ("OBR|1|||E|S", ()),
        ("OBR|1|||E" + "|" * 23 + "^^^^^S", ()),
        ("OBR|1|||E", ("TQ1|1||||||||S^Stat^HL70485",)),
    ],
    ids=["OBR-5", "OBR-27", "TQ1-9"],
)
def test_urgent_orders_are_stat(obr: str, timing: tuple[str, ...]) -> None:
    assert options(oru(encapsulated(XML), obr=obr, timing=timing)).urgency is Urgency.STAT


def test_each_order_and_patient_of_a_message_speaks_for_its_own_ecgs() -> None:
    content = message(
        "PID|1||A", "PV1|1|I|W1", "ORC|RE", "OBR|1|||E|S", encapsulated(XML, 1),
        "OBR|2|||E", encapsulated(XML, 2), "PID|2||B", "OBR|3|||E", encapsulated(XML, 3),
    )  # fmt: skip
    parsed = parse_message(content)
    said = [
        options_of(each.order, each.observation, parsed, UTC, IdentifierChoice())
        for each in recordings_in(parsed)
    ]
    assert [each.expected_patient_id for each in said] == ["A", "A", "B"]
    assert [each.ward_id for each in said] == ["W1", "W1", ""]
    assert [each.urgency for each in said] == [Urgency.STAT, Urgency.ROUTINE, Urgency.ROUTINE]


def test_other_separators_are_taken_from_the_header() -> None:
    content = oru(encapsulated(XML)).translate(bytes.maketrans(b"|^~\\&", b"#!@$%"))
    content = content.replace(base64.b64encode(XML).translate(bytes.maketrans(b"|", b"#")), ENCODED.encode())
    assert documents(content) == [XML]
    assert options(content).expected_patient_id == "P1"


@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n", b"<xml/>", b"MSH", b"MSH|", b"MSHAAAAAAAA", b"MSH||||||", b"MSH|^^^^|x", b"FHS|^~\\&|x"],
)
def test_what_is_no_message_is_refused_or_holds_no_ecg(content: bytes) -> None:
    with pytest.raises((Hl7Error, FeedRefusedError)):
        recordings_in(parse_message(content))


def test_two_messages_in_one_frame_are_refused_together() -> None:
    with pytest.raises(Hl7Error, match="several MSH"):
        parse_message(oru(encapsulated(XML)) + oru(encapsulated(XML)))


@given(st.binary(max_size=400))
def test_no_bytes_break_the_parser(tail: bytes) -> None:
    try:
        found = recordings_in(parse_message(b"MSH|^~\\&|A|B|||||ORU^R01|1|P|2.5\rPID|||X\rOBX|1|" + tail))
    except (Hl7Error, FeedRefusedError):
        return
    assert all((each.document is None) != (each.refusal is None) for each in found)


plain = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="|^~\\&"), max_size=8
)


@given(st.lists(st.lists(plain, min_size=1, max_size=4).map("^".join), min_size=1, max_size=8))
def test_fields_are_those_an_independent_parser_finds(found: list[str]) -> None:
    content = message("ZZZ|" + "|".join(found))
    theirs = hl7.parse(content.decode())
    ours = next(iter(parse_message(content).named("ZZZ")))
    for number in range(1, len(found) + 1):
        assert ours.field(number).strip() == str(theirs["ZZZ"][0][number]).strip()
    assert parse_message(content).header.field(10) == str(theirs["MSH"][0][10])


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40))
def test_what_is_escaped_comes_back(text: str) -> None:
    assert unescape(escape(text, Delimiters()), Delimiters()) == text


@given(
    st.binary(max_size=60), st.sampled_from(["", "8859/1", "UNICODE UTF-8", "ASCII", "GB 18030-2000", "?"])
)
def test_no_byte_is_lost_in_decoding(content: bytes, declared: str) -> None:
    text, codec = decode(content, declared)
    assert text.encode(codec) == content
