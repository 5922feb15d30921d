"""FHIR resources against a server that validates each, keeps them, and honours conditions."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from notices import PATIENT, alert_of, key_of, notice_of
from receivers import FhirStore, HttpReceiver, Reply, outcome, receiving

from streams.deliver.channels.channel import ChannelRefusedError, ChannelRetryError, RetractingChannel
from streams.deliver.channels.fhir import FhirChannel, issue_codes
from streams.deliver.channels.secret_file import SecretFile

BEARER = "bearer-of-the-ehr"
SYSTEM = "urn:oid:1.2.36.146.595.217.0.1"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as opened:
        yield opened


@pytest.fixture
def token(tmp_path: Path) -> SecretFile:
    path = tmp_path / "token"
    path.write_text(BEARER)
    return SecretFile(channel="ehr", path=path)


@pytest.fixture
def open_channel(client: httpx.AsyncClient, token: SecretFile) -> Callable[[HttpReceiver], FhirChannel]:
    def opened(receiver: HttpReceiver) -> FhirChannel:
        return FhirChannel(name="ehr", client=client, url=receiver.url, token=token, patient_system=SYSTEM)

    return opened


Open = Callable[[HttpReceiver], FhirChannel]


def only(store: FhirStore, kind: str) -> dict[str, Any]:
    (resource,) = store.resources[kind]
    return resource


async def test_alert_becomes_assessment_flag_and_communication(open_channel: Open) -> None:
    store = FhirStore(token=BEARER)
    notice = notice_of()
    async with receiving(store.answer) as receiver:
        channel = open_channel(receiver)
        assert isinstance(channel, RetractingChannel)
        await channel.send(notice, key_of(notice, "ehr"))
    risk, flag, told = (only(store, kind) for kind in ("RiskAssessment", "Flag", "Communication"))
    for resource in (risk, flag, told):
        assert resource["subject"]["identifier"] == {"system": SYSTEM, "value": PATIENT}
    assert risk["status"] == "final"
    assert risk["basis"][0]["identifier"]["value"] == f"urn:uuid:{notice.alert.ecg_id}"
    (prediction,) = risk["prediction"]
    assert prediction["probabilityDecimal"] == 61.23  # percent
    assert "90 % interval 0.52 to 0.70" in prediction["rationale"]
    assert risk["note"][0]["text"] == "Not for: Treatment decisions without an echocardiogram."
    assert (flag["status"], "end" in flag["period"]) == ("active", False)
    assert [about["reference"] for about in told["about"]] == ["RiskAssessment/0", "Flag/0"]
    assert told["priority"] == "stat"
    assert told["recipient"] == [{"type": "CareTeam", "display": "ward doctor"}]


async def test_sent_twice_is_there_once(open_channel: Open) -> None:
    store = FhirStore(token=BEARER)
    async with receiving(store.answer) as receiver:
        for _ in range(2):
            await open_channel(receiver).send(notice_of(), key_of(notice_of(), "ehr"))
    assert {kind: len(kept) for kind, kept in store.resources.items()} == {
        "RiskAssessment": 1,
        "Flag": 1,
        "Communication": 1,
    }


async def test_escalation_adds_a_communication_and_another_alert_all(open_channel: Open) -> None:
    store = FhirStore(token=BEARER)
    async with receiving(store.answer) as receiver:
        for notice in (notice_of(), notice_of(level=1), notice_of(alert_of(2))):
            await open_channel(receiver).send(notice, key_of(notice, "ehr"))
    counts = [len(store.resources[kind]) for kind in ("RiskAssessment", "Flag", "Communication")]
    assert counts == [2, 2, 3]
    assert [each["about"][0]["reference"] for each in store.resources["Communication"]] == [
        "RiskAssessment/0",
        "RiskAssessment/0",
        "RiskAssessment/1",
    ]


async def test_retracted_flag_is_inactive_and_a_late_repeat_leaves_it_so(open_channel: Open) -> None:
    store = FhirStore(token=BEARER)
    async with receiving(store.answer) as receiver:
        channel = open_channel(receiver)
        await channel.send(notice_of(), "k")
        await channel.retract(notice_of(is_over=True), "end")
        await channel.retract(notice_of(is_over=True), "end")
        await channel.send(notice_of(), "k")
    flag = only(store, "Flag")
    assert flag["status"] == "inactive"
    assert flag["period"]["end"] > flag["period"]["start"]


@pytest.mark.parametrize(
    "reply",
    [
        outcome(503, "transient"),
        outcome(429, "throttled"),
        outcome(409, "conflict"),
        outcome(422, "lock-error"),
        outcome(500, "exception"),
        outcome(502, "invalid"),
        Reply(status=500, body=b"<html>"),
    ],
)
async def test_passing_trouble_is_for_later(open_channel: Open, reply: Reply) -> None:
    async with receiving(lambda _: reply) as receiver:
        with pytest.raises(ChannelRetryError):
            await open_channel(receiver).send(notice_of(), "k")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 422])
async def test_refusal_names_codes_and_quotes_no_text(open_channel: Open, status: int) -> None:
    reply = outcome(status, "business-rule", f"patient {PATIENT} is unknown")
    async with receiving(lambda _: reply) as receiver:
        with pytest.raises(ChannelRefusedError, match=f"{status} \\(business-rule\\)") as caught:
            await open_channel(receiver).send(notice_of(), "k")
    assert PATIENT not in str(caught.value)


async def test_a_wrong_token_is_a_refusal(open_channel: Open, token: SecretFile) -> None:
    token.path.write_text("withdrawn")
    async with receiving(FhirStore(token=BEARER).answer) as receiver:
        with pytest.raises(ChannelRefusedError, match="401") as caught:
            await open_channel(receiver).send(notice_of(), "k")
    assert "withdrawn" not in str(caught.value)


@pytest.mark.parametrize("odd", ["töken", "to\x00ken", "to\tken"])
async def test_a_token_that_no_header_holds_is_told_as_an_error_of_the_channel(
    open_channel: Open, token: SecretFile, odd: str
) -> None:
    token.path.write_text(odd)
    async with receiving(FhirStore(token=BEARER).answer) as receiver:
        with pytest.raises((ChannelRetryError, ChannelRefusedError)) as caught:
            await open_channel(receiver).send(notice_of(), "k")
    assert odd not in str(caught.value)


async def test_an_entry_that_failed_is_a_refusal_even_in_a_200(open_channel: Open) -> None:
    response = {"resourceType": "Bundle", "entry": [{"response": {"status": "422 Unprocessable"}}]}
    reply = Reply(body=json.dumps(response).encode())
    async with receiving(lambda _: reply) as receiver:
        with pytest.raises(ChannelRefusedError, match="422"):
            await open_channel(receiver).send(notice_of(), "k")


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"entry": [3, {"response": 4}]}', b"[" * 100_000])
async def test_a_success_without_details_is_one(open_channel: Open, body: bytes) -> None:
    async with receiving(lambda _: Reply(body=body)) as receiver:
        await open_channel(receiver).send(notice_of(), "k")


def test_codes_are_taken_from_outcomes_alone_and_only_when_they_are_codes() -> None:
    issues = [{"code": "invalid"}, {"code": f"patient {PATIENT}"}, {"code": 3}, 4]
    assert issue_codes({"resourceType": "OperationOutcome", "issue": issues}) == {"invalid"}
    assert issue_codes({"resourceType": "Patient", "issue": issues}) == frozenset()
    assert issue_codes([issues]) == frozenset()
