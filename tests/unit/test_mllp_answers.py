"""What senders are told: the acknowledgement says what is safe, and no more."""

from datetime import UTC, datetime

import pytest
from fake_admits import (
    QUARANTINE_ID,
    FakeAdmits,
    FakeMerges,
    NobodyThereError,
    accepted,
    is_away,
    quarantined,
    refuses_hl7,
)
from writers.hl7_v2 import encapsulated, fields, message, oru

from schemas.errors import PoisonError
from schemas.recorded import Urgency
from streams.feeds.admission import Admission, Delivery, Ending
from streams.feeds.mllp.answering import Answering, SiteRules
from streams.feeds.mllp.framing import Framed
from streams.feeds.mllp.identifiers import IdentifierChoice
from streams.feeds.refusal import RefusalReason

XML = b"<AnnotatedECG/>"
NOW = datetime(2026, 3, 1, 7, 15, 30, tzinfo=UTC)

MERGE = ("EVN|A40|20260301", "PID|1||NEW^^^HOSP^MR~9^^^STATE^NI", "MRG|8^^^STATE^NI~OLD^^^HOSP^MR")


class MergeImpossibleError(PoisonError):
    """Stands in for what identity refuses."""

    code = "MERGE_IMPOSSIBLE"


def answering(
    admits: FakeAdmits | None = None, merges: FakeMerges | None = None, rules: SiteRules | None = None
) -> Answering:
    return Answering(
        admits or FakeAdmits(), merges or FakeMerges(), rules or SiteRules(), lambda: NOW, lambda: "ANSWER1"
    )


async def answered(content: bytes, *parts: FakeAdmits | FakeMerges | SiteRules) -> bytes:
    admits = next((each for each in parts if isinstance(each, FakeAdmits)), None)
    merges = next((each for each in parts if isinstance(each, FakeMerges)), None)
    rules = next((each for each in parts if isinstance(each, SiteRules)), None)
    answer = await answering(admits, merges, rules).answer(Framed(content=content))
    assert answer is not None
    return answer


def verdict(answer: bytes) -> tuple[str, str]:
    [msa] = fields(answer, "MSA")
    return msa[1], msa[2]


async def test_an_accepted_ecg_is_answered_with_aa_to_whom_it_came_from() -> None:
    admits = FakeAdmits()
    answer = await answered(oru(encapsulated(XML)), admits)
    assert answer == (
        b"MSH|^~\\&|DIASTOLE|HOSP|CART|ICU|20260301071530+0000||ACK^R01^ACK|ANSWER1|P|2.5.1\rMSA|AA|MSG0001\r"
    )
    [delivery] = admits.deliveries
    assert delivery.document.content == XML
    assert (delivery.origin.feed, delivery.origin.source, delivery.origin.site_id) == ("mllp", "CART", "ICU")
    assert delivery.received_at == NOW
    assert delivery.options.expected_patient_id == "P1"
    assert delivery.options.urgency is Urgency.ROUTINE


async def test_a_repeated_ecg_is_answered_with_aa() -> None:
    admits = FakeAdmits(lambda _: Admission(ending=Ending.REPEATED, message="known", ecg_id="x"))
    assert verdict(await answered(oru(encapsulated(XML)), admits)) == ("AA", "MSG0001")


@pytest.mark.parametrize(
    ("version", "kind"),
    [("2.2", "ACK"), ("2.3", "ACK^R01"), ("2.4", "ACK^R01^ACK"), ("2.8", "ACK^R01^ACK"), ("", "ACK")],
)
async def test_the_answer_is_of_the_messages_version(version: str, kind: str) -> None:
    [msh] = fields(await answered(oru(encapsulated(XML), version=version)), "MSH")
    assert (msh[8], msh[11]) == (kind, version or "2.2")


async def test_a_refused_ecg_is_answered_with_ae_the_reason_and_where_it_is_kept() -> None:
    admits = FakeAdmits(lambda _: quarantined(RefusalReason.NO_PATIENT, "names no patient; correct | it"))
    answer = await answered(oru("OBX|1|NM|HR||72", encapsulated(XML, 2)), admits)
    assert verdict(answer) == ("AE", "MSG0001")
    assert fields(answer, "ERR") == [
        [
            "ERR", "", "OBX^2^5", "101^Required field missing^HL70357", "E", "NO_PATIENT^^99DIASTOLE", "",
            QUARANTINE_ID, "names no patient; correct \\F\\ it",
        ]
    ]  # fmt: skip


@pytest.mark.parametrize(("version", "has_text", "has_err"), [("2.3", True, False), ("2.7", False, True)])
async def test_the_reason_stands_where_the_version_has_it(
    version: str, has_text: bool, has_err: bool
) -> None:
    admits = FakeAdmits(lambda _: quarantined(RefusalReason.DAMAGED, "damaged; export it again"))
    answer = await answered(oru(encapsulated(XML), version=version), admits)
    [msa] = fields(answer, "MSA")
    assert (len(msa) > 3, bool(fields(answer, "ERR"))) == (has_text, has_err)
    assert (
        not has_text or msa[3] == f"OBX-1-5: damaged; export it again; kept in quarantine as {QUARANTINE_ID}"
    )


async def test_one_refused_ecg_of_several_makes_ae_with_one_err_and_all_are_delivered() -> None:
    def second_is_bad(delivery: Delivery) -> Admission:
        return quarantined(RefusalReason.DAMAGED) if delivery.document.content == b"<B/>" else accepted()

    admits = FakeAdmits(second_is_bad)
    answer = await answered(
        oru(encapsulated(b"<A/>", 1), encapsulated(b"<B/>", 2), encapsulated(b"<C/>", 3)), admits
    )
    assert verdict(answer)[0] == "AE"
    assert [err[2] for err in fields(answer, "ERR")] == ["OBX^2^5"]
    assert admits.contents == [b"<A/>", b"<B/>", b"<C/>"]


async def test_when_nothing_can_be_promised_the_sender_is_to_send_again() -> None:
    answer = await answered(oru(encapsulated(XML)), FakeAdmits(is_away))
    assert verdict(answer) == ("AR", "MSG0001")
    [err] = fields(answer, "ERR")
    assert (err[3], err[8]) == (
        "207^Application internal error^HL70357",
        "nothing could be promised; send the same message again later",
    )


async def test_an_ecg_that_cannot_be_taken_out_is_kept_with_its_whole_message() -> None:
    admits = FakeAdmits(refuses_hl7)
    content = oru(encapsulated(XML), "OBX|2|RP|ECG||\\\\share\\ecg.xml^MUSE^TEXT^XML")
    answer = await answered(content, admits)
    assert admits.contents == [XML, content]
    [err] = fields(answer, "ERR")
    assert (err[2], err[5], err[7]) == ("OBX^2^5", "UNSUPPORTED^^99DIASTOLE", QUARANTINE_ID)
    assert "pointers are not followed" in err[8]


@pytest.mark.parametrize("content", [oru("OBX|1|NM|HR||72"), b"garbage", b"MSH|^~\\&|A\rMSH|^~\\&|B", b""])
async def test_a_message_out_of_which_nothing_can_be_taken_is_kept_whole(content: bytes) -> None:
    admits = FakeAdmits(refuses_hl7)
    answer = await answered(content, admits)
    assert verdict(answer)[0] == "AE"
    assert admits.contents == [content]
    assert QUARANTINE_ID.encode() in answer


async def test_an_unreadable_message_is_to_be_sent_again_when_it_could_not_be_kept() -> None:
    assert verdict(await answered(b"garbage", FakeAdmits(is_away)))[0] == "AR"


async def test_a_bare_ecg_file_in_a_frame_is_taken() -> None:
    assert verdict(await answered(b"<AnnotatedECG/>", FakeAdmits(refuses_hl7)))[0] == "AA"


async def test_a_message_that_is_too_large_is_refused_and_not_admitted() -> None:
    admits = FakeAdmits()
    for head in (oru(encapsulated(XML)), b"garbage"):
        answer = await answering(admits).answer(Framed(content=head, is_cut=True))
        assert answer is not None
        assert verdict(answer)[0] == "AE"
        assert b"was not kept" in answer
    assert admits.deliveries == []


@pytest.mark.parametrize(
    ("asked", "said_if_taken", "said_if_not"),
    [
        ("||||AL|NE", "CA", "CR"),
        ("||||AL|", "CA", "CR"),
        ("||||NE|AL", "AA", "AR"),
        ("||||AL|AL", "AA", "AR"),
        ("||||NE|ER", None, "AR"),
        ("||||NE|SU", "AA", None),
        ("||||NE|NE", None, None),
    ],
)
async def test_the_enhanced_mode_is_heeded(
    asked: str, said_if_taken: str | None, said_if_not: str | None
) -> None:
    content = oru(encapsulated(XML), rest=asked.removeprefix("|"))
    for admits, said in ((FakeAdmits(), said_if_taken), (FakeAdmits(is_away), said_if_not)):
        answer = await answering(admits).answer(Framed(content=content))
        assert (verdict(answer)[0] if answer else None) == said


@pytest.mark.parametrize("unit", [b"<", b"\\X41", b"\\T\\", b"~", b"^", b"&amp;"])
async def test_a_large_message_is_taken_however_odd_it_is(unit: bytes) -> None:
    content = oru("OBX|1|TX|ECG||<E>" + unit.decode() * (2**20 // len(unit)))
    admits = FakeAdmits()
    assert verdict(await answered(content, admits))[0] == "AA"
    assert len(admits.contents[0]) <= len(content)


async def test_answers_quote_nothing_of_the_patient() -> None:
    admits = FakeAdmits(refuses_hl7)
    for observation in (
        "OBX|1|ED|ECG||^A^XML^Base64^%P1-SECRET%",
        "OBX|1|TX|R||P1-SECRET",
        encapsulated(b"P1"),
    ):
        answer = await answered(oru(observation, pid="PID|1||P1-SECRET||Storm^Test"), admits)
        assert verdict(answer)[0] == "AE"
        assert b"SECRET" not in answer
        assert b"Storm" not in answer


@pytest.mark.parametrize("event", ["A18", "A34", "A36", "A39", "A40", "A47"])
async def test_a_merge_is_told_and_answered_with_aa(event: str) -> None:
    merges = FakeMerges()
    answer = await answered(message(*MERGE, kind=f"ADT^{event}"), merges)
    assert verdict(answer) == ("AA", "MSG0001")
    assert merges.merged == [("OLD", "NEW", f"adt-{event.lower()}", "CART")]


async def test_every_pair_of_a_merge_is_told_and_equal_ones_are_not() -> None:
    merges = FakeMerges()
    segments = ("PID|1||A", "MRG|B", "PID|2||C", "MRG|C", "PID|3||D", "PV1|1|I", "MRG|E")
    assert verdict(await answered(message(*segments, kind="ADT^A40^ADT_A39"), merges))[0] == "AA"
    assert [each[:2] for each in merges.merged] == [("B", "A"), ("E", "D")]


async def test_a_merge_goes_by_the_identifier_of_the_site() -> None:
    merges, rules = FakeMerges(), SiteRules(patient=IdentifierChoice(type_code="NI"))
    assert verdict(await answered(message(*MERGE, kind="ADT^A40"), merges, rules))[0] == "AA"
    assert merges.merged[0][:2] == ("8", "9")


@pytest.mark.parametrize(
    "segments",
    [
        ("PID|1||A",),
        ("MRG|B",),
        ("PID|1||", "MRG|B"),
        ("PID|1||A", "MRG|"),
        ("PID|1||A^^^HOSP^MR", "MRG|B^^^STATE^NI"),
    ],
    ids=["no MRG", "no PID", "no survivor", "no prior", "of two numberings"],
)
async def test_a_merge_that_names_no_pair_is_refused(segments: tuple[str, ...]) -> None:
    merges = FakeMerges()
    assert verdict(await answered(message(*segments, kind="ADT^A40"), merges))[0] == "AE"
    assert merges.merged == []


async def test_a_merge_that_kafka_did_not_take_is_to_be_sent_again() -> None:
    content = message(*MERGE, kind="ADT^A40")
    assert verdict(await answered(content, FakeMerges(NobodyThereError("away"))))[0] == "AR"
    answer = await answered(content, FakeMerges(MergeImpossibleError("the two form a ring; undo one first")))
    assert verdict(answer)[0] == "AE"
    assert b"the two form a ring" in answer


@pytest.mark.parametrize(
    ("kind", "said"), [("ADT^A01", "AA"), ("ADT^A08", "AA"), ("ORM^O01", "AR"), ("", "AR"), ("ACK", "AR")]
)
async def test_other_messages_are_passed_over_or_rejected(kind: str, said: str) -> None:
    admits, merges = FakeAdmits(), FakeMerges()
    answer = await answered(message(*MERGE, kind=kind), admits, merges)
    assert verdict(answer)[0] == said
    assert said == "AA" or "200^Unsupported message type^HL70357" in answer.decode()
    assert (admits.deliveries, merges.merged) == ([], [])
