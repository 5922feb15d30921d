"""The quarantine over HTTP: who may, what is answered, what is noted."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException
from quarantine_in_memory import NOW, MemoryGateway, MemoryQuarantine, delivery_of, dicom_of

from schemas.errors import RetriableError
from schemas.quarantine import QuarantineVerb
from streams.feeds.quarantine.acts import By, QuarantineDesk
from streams.feeds.quarantine.http import QuarantineService, quarantine_router
from streams.feeds.sealing import QUARANTINE, Secret

NAMELESS = dicom_of("")
LIST = "/v1/quarantine"
PROBLEM = "application/problem+json"


async def operator(authorization: str = Header(default="")) -> By:
    """Stand in for the gateway's own check of tokens."""
    if authorization != "Bearer right":
        raise HTTPException(401)
    return By(actor="ward-desk", origin="http")


class Site:
    """A quarantine with one nameless ECG in it, and its routes."""

    def __init__(self, who: By | None = None) -> None:
        self.kept = MemoryQuarantine()
        self.gateway = MemoryGateway()
        desk = QuarantineDesk(self.kept, self.kept, Secret(bytes(32)).sealer(QUARANTINE), lambda: NOW)
        self.name = self.kept.keep(delivery_of(NAMELESS))
        self.app = FastAPI()
        service = QuarantineService(desk=desk, gateway=self.gateway, reads=self.gateway)
        self.app.include_router(quarantine_router(lambda: service, (lambda: who) if who else operator))


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=site.app)
    headers = {"Authorization": "Bearer right"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as opened:
        yield opened


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == PROBLEM
    said: dict[str, Any] = response.json()
    assert said["status"] == status
    assert said["detail"]
    return said


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/{id}"),
        ("GET", "/{id}/content"),
        ("POST", "/{id}/correct"),
        ("POST", "/{id}/replay"),
        ("POST", "/{id}/discard"),
    ],
)
async def test_no_route_answers_without_a_token(
    site: Site, client: httpx.AsyncClient, method: str, path: str
) -> None:
    response = await client.request(
        method,
        LIST + path.format(id=site.name),
        headers={"Authorization": "Bearer wrong"},
        json={"reason": "x"},
    )
    assert response.status_code == 401
    assert site.kept.acts == []


async def test_the_list_names_what_mends_each_and_no_patient(site: Site, client: httpx.AsyncClient) -> None:
    listed = (await client.get(LIST)).json()
    (item,) = listed["items"]
    assert listed["total"] == 1
    assert (item["quarantine_id"], item["state"], item["reason"]) == (site.name, "HELD", "NO_PATIENT")
    assert "correct the patient" in item["what_mends"]
    assert item["received_at"] == "2026-01-31T08:00:00Z"
    assert site.kept.acts == []


async def test_the_list_is_filtered_and_paged(site: Site, client: httpx.AsyncClient) -> None:
    for n in range(5):
        site.kept.keep(delivery_of(NAMELESS, source=f"s{n}"))
    page = (await client.get(LIST, params={"limit": 2, "offset": 4, "state": ["HELD", "CORRECTED"]})).json()
    assert (page["total"], len(page["items"])) == (6, 2)
    assert (await client.get(LIST, params={"source": "s3"})).json()["total"] == 1
    assert (await client.get(LIST, params={"reason": "DAMAGED"})).json()["total"] == 0
    assert (await client.get(LIST, params={"since": "2026-01-31T09:00:00Z"})).json()["total"] == 0
    said = problem_of(await client.get(LIST, params={"since": "2026-01-31T09:00:00"}), 422)
    assert "since" in said["detail"]
    problem_of(await client.get(LIST, params={"colour": "red"}), 422)
    problem_of(await client.get(LIST, params={"limit": 0}), 422)


async def test_showing_tells_what_can_be_read_and_is_noted(site: Site, client: httpx.AsyncClient) -> None:
    shown = (await client.get(f"{LIST}/{site.name}")).json()
    assert shown["readable"]["n_leads"] == 12
    assert shown["readable"]["code"] == "NO_PATIENT"
    (act,) = shown["acts"]
    assert (act["verb"], act["actor"], act["origin"]) == ("SHOWN", "ward-desk", "http")


async def test_the_document_comes_as_it_was_and_never_as_a_page(
    site: Site, client: httpx.AsyncClient
) -> None:
    response = await client.get(f"{LIST}/{site.name}/content")
    assert response.content == NAMELESS
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-disposition"] == f'attachment; filename="{site.name}.dcm"'
    assert [act.verb for act in site.kept.acts] == [QuarantineVerb.SHOWN]


async def test_a_named_patient_and_a_replay_bring_the_ecg_in(site: Site, client: httpx.AsyncClient) -> None:
    corrected = await client.post(
        f"{LIST}/{site.name}/correct", json={"patient_id": "4711", "reason": "asked"}
    )
    assert corrected.json()["state"] == "CORRECTED"
    assert "4711" not in corrected.text
    replayed = await client.post(f"{LIST}/{site.name}/replay")
    assert replayed.status_code == 200
    assert replayed.json()["state"] == "REPLAYED"
    assert [ecg.patient_id for ecg in site.gateway.published.values()] == ["4711"]
    assert [replayed.json()["ecg_id"]] == list(site.gateway.published)
    again = await client.post(f"{LIST}/{site.name}/replay")
    assert (again.status_code, again.json()["ecg_id"]) == (200, replayed.json()["ecg_id"])
    problem_of(await client.get(f"{LIST}/{site.name}/content"), 409)


async def test_a_replay_that_is_refused_again_says_why(site: Site, client: httpx.AsyncClient) -> None:
    said = problem_of(await client.post(f"{LIST}/{site.name}/replay"), 422)
    assert (said["reason"], said["quarantine_id"], said["state"]) == ("NO_PATIENT", site.name, "HELD")


async def test_discarding_needs_a_reason_and_ends_it(site: Site, client: httpx.AsyncClient) -> None:
    assert "reason" in problem_of(await client.post(f"{LIST}/{site.name}/discard", json={}), 422)["detail"]
    assert problem_of(await client.post(f"{LIST}/{site.name}/discard", json={"reason": " "}), 422)[
        "code"
    ] == ("REASON_MISSING")
    discarded = await client.post(f"{LIST}/{site.name}/discard", json={"reason": "a test recording"})
    assert discarded.json()["state"] == "DISCARDED"
    assert "discarded" in problem_of(await client.post(f"{LIST}/{site.name}/replay"), 409)["detail"]
    problem_of(await client.post(f"{LIST}/{site.name}/correct", json={"patient_id": "1"}), 409)


async def test_an_unknown_id_is_answered_so(client: httpx.AsyncClient) -> None:
    for response in (await client.get(f"{LIST}/ffffffff"), await client.post(f"{LIST}/ffffffff/replay")):
        assert problem_of(response, 404)["code"] == "NOT_IN_QUARANTINE"


@pytest.mark.parametrize(
    "body", [{}, {"timezone": "Atlantis/X"}, {"patient": "4711"}, {"patient_id": ["4711"]}, ["4711"]]
)
async def test_a_correction_that_says_nothing_lawful_is_refused_without_repeating_it(
    site: Site, client: httpx.AsyncClient, body: object
) -> None:
    said = problem_of(await client.post(f"{LIST}/{site.name}/correct", json=body), 422)
    assert "4711" not in str(said)
    assert "Atlantis" not in str(said)
    assert site.kept.acts == []


async def test_no_answer_from_kafka_is_told_as_later(site: Site, client: httpx.AsyncClient) -> None:
    site.gateway.fails.append(RetriableError("no broker answers; try again"))
    response = await client.post(f"{LIST}/{site.name}/replay")
    problem_of(response, 503)
    assert int(response.headers["retry-after"]) > 0


async def test_a_body_is_read_no_further_than_a_correction_is_long(
    site: Site, client: httpx.AsyncClient
) -> None:
    """Before the token is looked at, too: whoever sends without one is not read on either."""
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * 2**14

    for headers in ({}, {"Authorization": "Bearer wrong"}):
        sent = 0
        url = f"{LIST}/{site.name}/correct"
        problem_of(await client.post(url, content=pieces(), headers=headers), 413)
        assert sent <= 5
    assert site.kept.acts == []


async def test_a_replay_says_what_the_ecg_may_lack(site: Site, client: httpx.AsyncClient) -> None:
    await site.gateway.try_admit(delivery_of(dicom_of("4711")))
    await client.post(f"{LIST}/{site.name}/correct", json={"patient_id": "4712"})
    replayed = (await client.post(f"{LIST}/{site.name}/replay")).json()
    assert (replayed["was_there"], replayed["left_out"]) == (True, ["patient_id"])


async def test_an_operator_of_another_site_finds_nothing() -> None:
    site = Site(By(actor="south-desk", origin="http", sites=("south",)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=site.app), base_url="http://gateway"
    ) as client:
        assert (await client.get(LIST)).json() == {"total": 0, "items": []}
        for path in ("", "/content"):
            problem_of(await client.get(f"{LIST}/{site.name}{path}"), 404)
        problem_of(await client.post(f"{LIST}/{site.name}/replay"), 404)
    assert site.kept.acts == []
