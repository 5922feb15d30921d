"""Tokens, sessions, forged requests, proxies: who gets through the read API's doors, and what it costs."""

import asyncio
import hmac
from pathlib import Path

import httpx
import pytest
from care_api import ALERT, PATIENT, Hospital, hospital
from structlog.testing import capture_logs

from schemas.errors import ConfigurationError
from streams.api.app import build_api
from streams.api.auth import MAX_BODY_BYTES
from streams.api.doors import Doors
from streams.api.running import require_tokens
from streams.api.sessions import COOKIE, Sessions
from streams.api.tokens import CareTokens, Role, load_tokens, new_token

ACK = f"/v1/alerts/{ALERT.alert_id}/acknowledge"
ORIGIN = {"Origin": "http://127.0.0.1"}


@pytest.fixture
def place(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


def without_tokens(place: Hospital) -> Hospital:
    place.doors = Doors(tokens=None)
    place.api = build_api(place.services, place.doors, place.changes, place.metrics)
    return place


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_wrong_token_costs_as_many_comparisons_as_a_right_one(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    secrets = [new_token(file, f"t{n}", [Role.VIEWER]) for n in range(5)]
    compared: list[int] = []

    def counting(left: str, right: str) -> bool:
        compared.append(len(left) + len(right))
        return hmac.compare_digest(left, right)

    tokens, costs = CareTokens(file, same=counting), []
    for presented in (secrets[0], secrets[4], "", "wrong", "x" * 10_000):
        tokens.bearer(presented)
        costs.append(tuple(compared))
        compared.clear()
    assert set(costs) == {(128,) * 5}


async def test_tokens_and_identifiers_are_in_no_log_and_no_answer(place: Hospital) -> None:
    with capture_logs() as logs:
        for holder in ("viewer", "w2-clinician", None):
            async with place.client(holder) as client:
                answers = [await client.post(ACK), await client.get(f"/v1/patients/{PATIENT}/nothing")]
        async with place.client(None, cookies={COOKIE: "made-up-cookie"}) as client:
            answers.append(await client.get("/v1/me", headers={"Authorization": "Bearer made-up-token"}))
    said = str(logs) + "".join(answer.text for answer in answers)
    for secret in (*place.tokens.values(), "made-up", PATIENT, ALERT.alert_id):
        assert secret not in said


async def test_a_token_that_is_taken_out_of_the_file_is_known_no_more(
    place: Hospital, tmp_path: Path
) -> None:
    async with place.client("viewer") as client:
        assert (await client.get("/v1/me")).status_code == 200
        (tmp_path / "tokens.toml").write_text("")
        assert (await client.get("/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "entry",
    [
        'name = "a b"\nroles = ["viewer"]',
        'name = "a"\nroles = []',
        'name = "a"\nroles = ["feed"]',
        'name = "a"\nroles = ["viewer"]\nwards = "W1"',
        'name = "a"\nroles = ["viewer"]\nextra = 1',
    ],
)
def test_entries_that_could_mean_anything_are_refused(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(f'[[token]]\nsha256 = "{"0" * 64}"\n{entry}\n')
    with pytest.raises(ConfigurationError, match="token 1 of the read API"):
        load_tokens(file)


async def test_without_tokens_this_machine_may_all(place: Hospital) -> None:
    async with without_tokens(place).client(None) as client:
        told = (await client.get("/v1/me")).json()
        assert (told["name"], told["roles"], told["may_act"]) == ("loopback", ["admin"], True)
        assert (await client.post(ACK)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "10.0.0.1"},
        {"Forwarded": "for=10.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "evil.example"},
    ],
)
async def test_without_tokens_nothing_passed_on_is_answered(headers: dict[str, str], place: Hospital) -> None:
    async with without_tokens(place).client(None, headers=headers) as client:
        assert (await client.get("/v1/alerts")).status_code == 403


async def test_without_tokens_no_other_machine_is_answered(place: Hospital) -> None:
    transport = httpx.ASGITransport(without_tokens(place).api.guarded, client=("10.0.0.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.get("/v1/alerts")).status_code == 403
    with pytest.raises(ConfigurationError, match="loopback alone"):
        require_tokens("0.0.0.0", None)  # noqa: S104 - it is refused


async def test_a_page_of_another_site_changes_nothing_here(place: Hospital) -> None:
    foreign = ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"})
    for headers in foreign:
        async with without_tokens(place).client(None, headers=headers) as client:
            assert (await client.post(ACK)).status_code == 403
    assert place.book.appended == []


async def test_without_tokens_a_page_must_show_what_ours_were_made_with(place: Hospital) -> None:
    async with without_tokens(place).client(None, headers=ORIGIN) as client:
        assert (await client.post(ACK)).status_code == 403
        csrf = (await client.get("/v1/me")).json()["csrf"]
        assert (await client.post(ACK, headers={"X-Diastole-Csrf": csrf})).status_code == 200


def session_of(place: Hospital, name: str) -> dict[str, str]:
    assert place.doors.tokens is not None
    token = place.doors.tokens.bearer(place.tokens[name])
    assert token is not None
    return {COOKIE: place.doors.sessions.begin(token)}


async def test_a_session_acts_with_its_own_secret_from_its_own_page_alone(place: Hospital) -> None:
    async with place.client(None, cookies=session_of(place, "w1-clinician")) as client:
        csrf = (await client.get("/v1/me")).json()["csrf"]
        right = {**ORIGIN, "X-Diastole-Csrf": csrf}
        for wrong in ({}, ORIGIN, {"X-Diastole-Csrf": csrf}, {**right, "X-Diastole-Csrf": csrf + "x"}):
            assert (await client.post(ACK, headers=wrong)).status_code == 403
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        foreign = await client.post(ACK, headers={**ORIGIN, **form}, content="csrf=x")
        assert foreign.status_code == 403
        assert (await client.post(ACK, headers=right)).status_code == 200
    assert place.book.appended[0].actor == "w1-clinician"


async def test_a_form_may_carry_the_secret_as_a_field(place: Hospital) -> None:
    cookies = session_of(place, "w1-clinician")
    session = place.doors.sessions.find(cookies[COOKIE])
    assert session is not None
    form = {**ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
    async with place.client(None, cookies=cookies, headers=form) as client:
        # Through the guard, and then no JSON: what the endpoint says of it.
        assert (await client.post(ACK, content=f"csrf={session.csrf}")).status_code == 400


async def test_sessions_end_with_their_time_with_their_token_and_when_told(tmp_path: Path) -> None:
    place, clock = hospital(tmp_path), Clock()
    place.doors = Doors(tokens=place.doors.tokens, sessions=Sessions(session_s=60, monotonic=clock))
    place.api = build_api(place.services, place.doors, place.changes)
    cookies = [session_of(place, "viewer") for _ in range(3)]

    async def status(number: int) -> int:
        async with place.client(None, cookies=cookies[number]) as client:
            return (await client.get("/v1/me")).status_code

    assert [await status(n) for n in range(3)] == [200] * 3
    place.doors.sessions.end(cookies[0][COOKIE])
    assert [await status(n) for n in range(3)] == [401, 200, 200]
    clock.now_s = 59.0
    assert await status(1) == 200
    clock.now_s = 60.0
    assert await status(1) == 401
    clock.now_s = 0.0
    (tmp_path / "tokens.toml").write_text("")
    assert await status(2) == 401


def test_no_more_sessions_than_there_is_room_for() -> None:
    from streams.api.tokens import LOOPBACK

    sessions = Sessions(max_sessions=2)
    first, second, third = (sessions.begin(LOOPBACK) for _ in range(3))
    assert sessions.find(first) is None
    assert None not in (sessions.find(second), sessions.find(third))


async def test_bodies_have_a_bound_and_are_read_for_callers_only(place: Hospital) -> None:
    async with place.client("clinician") as client:
        assert (await client.post(ACK, content=b" " * (MAX_BODY_BYTES + 1))).status_code == 413

        async def endless():  # type: ignore[no-untyped-def]
            while True:
                yield b" " * 1024
                await asyncio.sleep(0)

        assert (await client.post(ACK, content=endless())).status_code == 413
    assert place.book.appended == []


async def test_every_answer_is_kept_nowhere_and_in_no_frame(place: Hospital) -> None:
    async with place.client("viewer") as client:
        for path in ("/v1/alerts", "/v1/nothing", "/healthz", f"/v1/alerts/{ALERT.alert_id}/motion.svg"):
            headers = (await client.get(path)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]


async def test_whoever_reads_pages_is_led_to_sign_in(place: Hospital) -> None:
    async with place.client(None, headers={"Accept": "text/html"}) as client:
        led = await client.get("/alerts/x")
        assert (led.status_code, led.headers["location"]) == (303, "/login?next=/alerts/x")
        # A strict cookie is kept back on the way from a mail: the page asks once more by itself.
        again = await client.get("/", headers={"Sec-Fetch-Site": "cross-site"})
        assert (again.status_code, 'http-equiv="refresh"' in again.text) == (200, True)
