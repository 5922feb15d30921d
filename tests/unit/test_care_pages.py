"""The pages behind the guard: what they offer, refuse, escape, and where they lead."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from alert_cases import RAISED_AT, act, alert, closed
from care_api import ALERT, OLD_NAME, PATIENT
from care_api import Hospital as SmallHospital
from care_api import hospital as small_hospital
from care_server import Hospital, build

from schemas.audit import CareVerb
from streams.api.pages.offers import offers
from streams.api.pages.paths import local_path
from streams.api.pages.timeline import timeline
from streams.api.sessions import COOKIE, Sessions
from streams.api.tokens import LOOPBACK
from streams.deliver.case import AlertCase
from streams.deliver.life import LifeState
from streams.stage import utc_now

HTML = {"Accept": "text/html"}

#: What a page would need an open content policy or somebody else's server for; names of XML are no address.
OF_ITS_OWN = re.compile(r"<style|style=|<script(?! src=)|\son\w+=|https?://(?!www\.w3\.org)")
V = CareVerb

#: Of an ECG of the same patient, under the name before a merge.
EARLIER = ALERT.acquired_at - timedelta(hours=3)


def case(*verbs: CareVerb, is_closed: bool = False) -> AlertCase:
    raised = alert()
    lived = AlertCase(alert=raised, raised_at=RAISED_AT)
    for i, verb in enumerate(verbs):
        lived = lived.with_act(act(raised, verb, RAISED_AT + timedelta(minutes=i + 1)))
    return lived.with_end(closed(raised), RAISED_AT + timedelta(hours=1)) if is_closed else lived


@pytest.mark.parametrize(
    ("lived", "offered"),
    [
        (case(), (V.ACKNOWLEDGED, V.ACCEPTED, V.REJECTED, V.MUTED)),
        (case(V.DELIVERED, V.ESCALATED), (V.ACKNOWLEDGED, V.ACCEPTED, V.REJECTED, V.MUTED)),
        (case(V.MUTED), (V.ACKNOWLEDGED, V.ACCEPTED, V.REJECTED, V.UNMUTED)),
        (case(V.ACKNOWLEDGED), (V.ACCEPTED, V.REJECTED, V.OUTCOME)),
        (case(V.ACCEPTED), (V.REJECTED, V.OUTCOME)),
        (case(V.REJECTED), (V.ACCEPTED, V.OUTCOME)),
        (case(V.EXPIRED), (V.ACKNOWLEDGED, V.ACCEPTED, V.REJECTED, V.OUTCOME)),
        (case(is_closed=True), (V.ACKNOWLEDGED, V.ACCEPTED, V.REJECTED, V.OUTCOME)),
        (case(V.ACCEPTED, is_closed=True), (V.REJECTED, V.OUTCOME)),
    ],
)
def test_only_answers_that_say_something_are_offered(lived: AlertCase, offered: tuple[CareVerb, ...]) -> None:
    assert offers(lived) == offered


def test_the_timeline_tells_who_looked_once_and_the_end() -> None:
    lived = case(V.DELIVERED, V.VIEWED, V.VIEWED, V.ACKNOWLEDGED, is_closed=True)
    titles = [each.title for each in timeline(lived, RAISED_AT.tzinfo)]  # type: ignore[arg-type]
    assert titles == [
        "ECG recorded",
        "Alert raised",
        "Delivered",
        "Viewed",
        "Acknowledged",
        "Risk fell again",
    ]
    assert lived.state is LifeState.CLOSED


@pytest.mark.parametrize("asked", ["https://e.example/", "//e.example", "/\\e.example", "x", "/\n//e"])
def test_no_redirect_leads_elsewhere(asked: str) -> None:
    assert local_path(asked) == "/"


@pytest.fixture
def empty(tmp_path: Path) -> Hospital:
    return build(tmp_path, is_empty=True)


@pytest.fixture
async def client(empty: Hospital) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(empty.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://care.example", headers=HTML) as asking:
        yield asking


async def sign_in(client: httpx.AsyncClient, empty: Hospital, holder: str = "dr-ccu") -> None:
    answer = await client.post("/login", data={"token": empty.tokens[holder], "then": "/feeds"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/feeds")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert empty.tokens[holder] not in cookie


def secret_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


async def test_whoever_is_not_signed_in_is_led_to_the_login(client: httpx.AsyncClient) -> None:
    answer = await client.get("/feeds")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/feeds"
    assert (await client.get("/login")).status_code == 200


@pytest.mark.parametrize(
    ("asked", "next_"),
    [
        ("/patients/SIM-007001", "/login"),  # addresses are kept by browsers and proxies
        ("/patients/SIM%2F7?span=all", "/login"),
        ("/alerts/7", "/login?next=/alerts/7"),
        ("/wards/CCU", "/login?next=/wards/CCU"),
    ],
)
async def test_no_address_of_the_login_holds_a_patients_name(
    client: httpx.AsyncClient, asked: str, next_: str
) -> None:
    assert (await client.get(asked)).headers["location"] == next_


async def test_an_answer_sent_without_a_session_leads_back_to_its_alert(client: httpx.AsyncClient) -> None:
    answer = await client.post("/alerts/7/answer", data={}, headers={"Origin": "http://care.example"})
    assert answer.headers["location"] == "/login?next=/alerts/7"


async def test_a_trend_marks_the_alerts_of_merged_identifiers(tmp_path: Path) -> None:
    place = small_hospital(tmp_path)
    place.book.take(
        replace(ALERT, alert_id=ALERT.alert_id[:-1] + "0", patient_id=OLD_NAME, acquired_at=EARLIER)
    )
    for path in (f"/alerts/{ALERT.alert_id}", f"/patients/{PATIENT}"):
        async with place.client("viewer", headers=HTML) as asking:
            (trend, *_) = re.findall(
                r"<svg.*?</svg>", (await asking.get(path)).text.split("trend-wide", 1)[1], re.DOTALL
            )
        assert trend.count('class="alert-mark"') == 2, path


async def test_a_wrong_token_opens_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/login", data={"token": "guess"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "guess" not in answer.text


async def test_who_must_sign_in_again_is_told_why(client: httpx.AsyncClient, empty: Hospital) -> None:
    assert 'class="note"' not in (await client.get("/login")).text
    await sign_in(client, empty)
    assert 'class="note"' not in (await client.get("/login")).text
    empty.doors.sessions.end(client.cookies[COOKIE])
    assert (await client.get("/")).headers["location"] == "/login?next=/"
    assert "Your session has ended" in (await client.get("/login")).text
    assert "started anew" not in (await client.get("/login")).text
    client.cookies[COOKIE] = Sessions().begin(LOOPBACK)  # as another run of the server gave it
    assert "because the server was started anew" in (await client.get("/login")).text


async def test_a_form_without_the_sessions_secret_changes_nothing(
    client: httpx.AsyncClient, empty: Hospital
) -> None:
    await sign_in(client, empty)
    raised = alert(1)
    empty.book.take(raised, utc_now())
    form = {"verb": "ACKNOWLEDGED", "occasion": "o", "csrf": "forged"}
    answer = await client.post(
        f"/alerts/{raised.alert_id}/answer", data=form, headers={"Origin": "http://care.example"}
    )
    assert answer.status_code == 403
    assert not empty.book.appended


async def test_a_form_sent_twice_is_one_act_and_a_viewers_is_none(
    client: httpx.AsyncClient, empty: Hospital
) -> None:
    await sign_in(client, empty)
    raised = alert(1)
    empty.book.take(raised, utc_now())
    page = await client.get(f"/alerts/{raised.alert_id}")
    form = {"verb": "ACKNOWLEDGED", "occasion": "o-1", "csrf": secret_of(page.text)}
    own = {"Origin": "http://care.example"}
    for _ in range(2):
        answer = await client.post(f"/alerts/{raised.alert_id}/answer", data=form, headers=own)
        assert answer.status_code == 303
    assert len({each.action_id for each in empty.book.appended}) == 1
    assert len(empty.book.book.cases[raised.alert_id].acts) == 1


async def test_a_rejection_without_a_reason_is_sent_back_with_words(
    client: httpx.AsyncClient, empty: Hospital
) -> None:
    await sign_in(client, empty)
    raised = alert(1)
    empty.book.take(raised, utc_now())
    page = await client.get(f"/alerts/{raised.alert_id}")
    for form in ({"verb": "REJECTED"}, {"verb": "MUTED"}, {"verb": "OUTCOME"}):
        data = {**form, "occasion": "o", "csrf": secret_of(page.text)}
        answer = await client.post(
            f"/alerts/{raised.alert_id}/answer", data=data, headers={"Origin": "http://care.example"}
        )
        assert answer.status_code in (409, 422), form
        assert "problem-text" in answer.text
    assert not empty.book.appended


async def test_names_are_shown_as_they_are_and_never_run(client: httpx.AsyncClient, empty: Hospital) -> None:
    await sign_in(client, empty)
    hostile = '"><script>alert(1)</script>/../x'
    empty.book.take(alert(1, patient_id=hostile, ward_id=hostile), utc_now())
    page = (await client.get("/")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


async def test_no_page_carries_a_style_or_script_of_its_own(
    client: httpx.AsyncClient, empty: Hospital
) -> None:
    await sign_in(client, empty)
    raised = alert(1)
    empty.book.take(raised, utc_now())
    for path in (
        "/",
        f"/alerts/{raised.alert_id}",
        "/wards",
        "/mutes",
        "/feeds",
        "/model",
        "/help",
        "/nothing",
    ):
        answer = await client.get(path)
        assert not OF_ITS_OWN.search(answer.text), path
        assert "'unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


async def test_what_does_not_exist_is_said_on_a_page(client: httpx.AsyncClient, empty: Hospital) -> None:
    await sign_in(client, empty)
    answer = await client.get("/patients/nobody")
    assert answer.status_code == 404
    assert "<h1>Nothing here</h1>" in answer.text
    assert "nobody" not in answer.text.split("<main")[1]


async def test_static_files_are_there_without_a_token(client: httpx.AsyncClient) -> None:
    for name in ("app.css", "app.js", "early.js", "icon.svg"):
        assert (await client.get(f"/static/{name}")).status_code == 200


def forms_of(page: str) -> list[tuple[str, str]]:
    return re.findall(
        r'name="about" value="([^"]+)"><input type="hidden" name="site_id" value="([^"]*)"', page
    )


async def ask(place: SmallHospital, holder: str, path: str, **form: str) -> httpx.Response:
    async with place.client(holder, headers=HTML) as asking:
        place.clock.tick()
        return await (asking.post(path, data={"occasion": "o", **form}) if form else asking.get(path))


async def test_mutes_are_asked_for_shown_and_ended_on_their_page(tmp_path: Path) -> None:
    place = small_hospital(tmp_path)
    assert "Nothing is muted" in (await ask(place, "viewer", "/mutes")).text
    ward = {"about": "WARD W1", "hours": "4", "reason": "moving <beds>"}
    answer = await ask(place, "w1-clinician", "/mutes", **ward)
    assert (answer.status_code, answer.headers["location"]) == (303, "/mutes?done=MUTED")
    until = (place.clock.now + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    site = {"about": "SITE north", "until": until, "reason": "migration"}
    assert (await ask(place, "admin", "/mutes", **site)).status_code == 303
    assert [(act.scope, act.subject, act.origin) for act in place.book.appended] == [
        ("WARD", "W1", "inbox"),
        ("SITE", "north", "inbox"),
    ]
    assert place.book.appended[1].expires_at == datetime.fromisoformat(until).replace(tzinfo=UTC)
    seen = (await ask(place, "w1-clinician", "/mutes")).text
    assert "moving &lt;beds&gt;" in seen
    assert "by w1-clinician since" in seen
    assert forms_of(seen) == [("WARD W1", "")]  # the site is the admin's to end
    assert "north" in seen
    assert forms_of((await ask(place, "viewer", "/mutes")).text) == []
    assert "moving" not in (await ask(place, "w2-clinician", "/mutes")).text
    ended = await ask(place, "w1-clinician", "/mutes/end", about="WARD W1")
    assert (ended.status_code, ended.headers["location"]) == (303, "/mutes?done=UNMUTED")
    assert "moving" not in (await ask(place, "w1-clinician", "/mutes")).text
    assert (
        await ask(place, "w1-clinician", "/mutes/end", about="WARD W1", occasion="again")
    ).status_code == 409


@pytest.mark.parametrize(
    ("holder", "form", "status"),
    [
        ("viewer", {}, 403),
        ("w2-clinician", {}, 404),
        ("clinician", {"about": "SITE north"}, 403),
        ("clinician", {"about": "ALERT x"}, 422),
        ("clinician", {"about": ""}, 400),
        ("clinician", {"reason": " "}, 422),
        ("clinician", {"hours": "0"}, 422),
        ("clinician", {"hours": "0", "until": "tomorrow"}, 422),
        ("clinician", {"hours": "0", "until": "2020-01-01T00:00"}, 422),
        ("clinician", {"hours": "169"}, 400),
    ],
)
async def test_a_mute_that_is_not_theirs_or_lacks_something_is_none(
    holder: str, form: dict[str, str], status: int, tmp_path: Path
) -> None:
    place = small_hospital(tmp_path)
    answer = await ask(
        place, holder, "/mutes", **{"about": "WARD W1", "hours": "4", "reason": "moving", **form}
    )
    assert answer.status_code == status
    assert "problem-text" in answer.text
    assert place.book.appended == []


async def test_who_looks_at_mutes_of_patients_is_noted_and_sites_are_for_admins(tmp_path: Path) -> None:
    place = small_hospital(tmp_path)
    until = (place.clock.now + timedelta(hours=1)).isoformat()
    body = {"scope": "PATIENT", "subject": PATIENT, "until": until, "text": "echo"}
    async with place.client("clinician") as asking:
        assert (await asking.post("/v1/mutes", json=body)).status_code == 200
    place.looks.patients.clear()
    page = (await ask(place, "w1-clinician", "/mutes")).text
    assert place.looks.patients == [("w1-clinician", PATIENT)]
    assert re.findall(r'<option value="(\w+ \w+)"', page) == ["WARD W1", "WARD W1"]
    assert "SITE north" in (await ask(place, "admin", "/mutes")).text
    place.store.is_away = True
    assert "cannot be listed" in (await ask(place, "clinician", "/mutes")).text
