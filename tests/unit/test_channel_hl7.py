"""PCD-04 over MLLP against a real listener, read by another reader of HL7 than the one that writes it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import hl7
import pytest
from notices import PATIENT, alert_of, key_of, notice_of

from streams.deliver.channels.channel import ChannelRefusedError, ChannelRetryError
from streams.deliver.channels.hl7_pcd04 import Hl7Channel, require_acknowledged
from streams.deliver.channels.mllp_exchange import MllpAddress
from streams.deliver.channels.pcd04_message import Parties, control_id, pcd04
from streams.feeds.mllp.answers import Answer, Condition, Problem, Verdict, acknowledgement
from streams.feeds.mllp.framing import Framed
from streams.feeds.mllp.message import parse_message
from streams.feeds.mllp.server import Bounds, listen

PARTIES = Parties(receiving_application="ALERTS", receiving_facility="HOSPITAL", patient_authority="HOSPITAL")

Answers = Callable[[Framed], Awaitable[bytes | None]]


def answering(
    verdict: Verdict = Verdict.ACCEPTED, *conditions: Condition, kept: list[bytes] | None = None
) -> Answers:
    async def answer(framed: Framed) -> bytes | None:
        if kept is not None:
            kept.append(framed.content)
        problems = [Problem(text=f"patient {PATIENT} is odd", condition=each) for each in conditions]
        header = parse_message(framed.content).header
        at = datetime(2026, 3, 1, tzinfo=UTC)
        # The profile asks for an accept acknowledgement of every message (MSH-15 AL).
        return acknowledgement(Answer(verdict=verdict, problems=problems), header, at, "1", "utf-8")

    return answer


def channel_to(address: tuple[str, int]) -> Hl7Channel:
    return Hl7Channel(name="pager", address=MllpAddress(host=address[0], port=address[1]), parties=PARTIES)


async def test_alert_arrives_and_is_acknowledged() -> None:
    kept: list[bytes] = []
    notice = notice_of()
    async with listen(answering(kept=kept), Bounds(), "127.0.0.1", 0) as address:
        await channel_to(address).send(notice, key_of(notice, "pager"))
        await channel_to(address).send(notice, key_of(notice, "pager"))
    assert kept[0] == kept[1]
    message = hl7.parse(kept[0].decode())
    assert str(message.segment("MSH")[9]) == "ORU^R40^ORU_R40"
    assert str(message.segment("MSH")[10]) == control_id(key_of(notice, "pager"))
    assert str(message.segment("MSH")[12]) == "2.6"
    assert str(message.segment("PID")[3]) == f"{PATIENT}^^^HOSPITAL^MR"
    assert str(message.segment("PV1")[3]) == "Kardiologie Süd^^^north"
    assert facets(message) == {
        "68481": "start",
        "68482": "active",
        "68483": "enabled",
        "68484": "PH",
        "68485": "SA",
        "196616": "DIASTOLE_HIGH_RISK^High-risk diastolic-dysfunction phenotype^99DIASTOLE",
        "68480": "DIASTOLE_ECG_RISK^ward Kardiologie Süd, site north^99DIASTOLE",
        "68546": "Urgent: risk of the high-risk diastolic phenotype 0.12 → 0.61 in ward Kardiologie Süd.",
        "DIASTOLE_RISK": "61.23",
    }
    notes = [str(note[3]) for note in message.segments("NTE")]
    assert "Not for: Treatment decisions without an echocardiogram." in notes
    assert not any(PATIENT in note for note in notes)


def facets(message: hl7.Message) -> dict[str, str]:
    return {str(obx[3]).split("^")[0]: str(obx[5]) for obx in message.segments("OBX")}


async def test_escalation_continues_and_the_end_is_told() -> None:
    kept: list[bytes] = []
    async with listen(answering(kept=kept), Bounds(), "127.0.0.1", 0) as address:
        await channel_to(address).send(notice_of(level=1), "k1")
        await channel_to(address).retract(notice_of(is_over=True), "k1")
    later, end = (hl7.parse(content.decode()) for content in kept)
    assert (facets(later)["68481"], facets(later)["68482"]) == ("continue", "active")
    assert (facets(end)["68481"], facets(end)["68482"]) == ("end", "inactive")
    assert str(later.segment("MSH")[10]) != str(end.segment("MSH")[10])
    assert str(later.segment("OBR")[29]) == f"^{notice_of().alert.alert_id}&DIASTOLE"


async def test_separators_and_line_ends_of_records_stay_within_their_field() -> None:
    odd = "A|B^C~D\\E&F\rOBX|99|G"
    content = pcd04(notice_of(alert_of(ward_id=odd, change_text=odd)), "k", PARTIES)
    message = parse_message(content)
    assert sum(1 for _ in message.named("OBX")) == 9
    (visit,) = message.named("PV1")
    assert visit.field(3) == r"A\F\B\S\C\R\D\E\E\T\F OBX\F\99\F\G^^^north"


@pytest.mark.parametrize(
    ("verdict", "conditions", "error"),
    [
        (Verdict.ERROR, [Condition.DATA_TYPE_ERROR], ChannelRefusedError),
        (Verdict.ERROR, [], ChannelRefusedError),
        (Verdict.ERROR, [Condition.APPLICATION_ERROR], ChannelRetryError),
        (Verdict.REJECTED, [], ChannelRetryError),
        (Verdict.REJECTED, [Condition.APPLICATION_ERROR], ChannelRetryError),
        (Verdict.REJECTED, [Condition.UNSUPPORTED_EVENT], ChannelRefusedError),
    ],
)
async def test_what_is_not_accepted_is_refused_or_for_later(
    verdict: Verdict, conditions: list[Condition], error: type[Exception]
) -> None:
    async with listen(answering(verdict, *conditions), Bounds(), "127.0.0.1", 0) as address:
        with pytest.raises(error) as caught:
            await channel_to(address).send(notice_of(), "k")
    assert PATIENT not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [b"", b"no HL7", b"MSH|^~\\&|A\r", b"MSH|^~\\&|A\rMSA|AA|another\r"],
)
def test_an_answer_to_something_else_acknowledges_nothing(answer: bytes) -> None:
    with pytest.raises(ChannelRetryError):
        require_acknowledged(answer, "pager", control_id("k"))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x0bhalf"])
async def test_a_peer_that_speaks_something_else_is_for_later(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        with pytest.raises(ChannelRetryError):
            await channel_to(server.sockets[0].getsockname()).send(notice_of(), "k")
    with pytest.raises(ChannelRetryError, match="ConnectionRefusedError"):
        await channel_to(("127.0.0.1", 1)).send(notice_of(), "k")


async def test_cancelling_lets_the_connection_go() -> None:
    arrived, lost = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")
        arrived.set()
        await reader.read()
        lost.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        sending = asyncio.create_task(channel_to(server.sockets[0].getsockname()).send(notice_of(), "k"))
        await arrived.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        async with asyncio.timeout(5):
            await lost.wait()
