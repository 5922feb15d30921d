"""Every endpoint of the application: asked by nobody, by too little a role, from another ward, rightly."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from alert_cases import alert, mute
from care_api import ALERT, ECG_ID, NOW, OLD_NAME, PATIENT, Hospital, alarm_of, hospital
from starlette.routing import BaseRoute, Mount

from schemas.alert import Priority
from schemas.audit import CareScope
from streams.api.doors import Caller
from streams.api.event_log import ChangeKind
from streams.api.events import stream
from streams.api.rules import RULES, Rule, Subject
from streams.api.tokens import Role
from streams.deliver.asked import Level
from streams.deliver.undelivered import undelivered_alarm

#: What stands for the parameters of a path.
NAMES = {
    "patient_id:path": PATIENT,
    "ward_id:path": "W1",
    "alert_id": ALERT.alert_id,
    "ecg_id": ECG_ID,
    "path:path": "app.css",
}

UNTIL = "2026-03-02T12:00:00Z"
BODIES = {
    "reject": {"code": "poor-recording"},
    "mute": {"until": UNTIL, "text": "echo at noon"},
    "outcome": {"outcome": "CONFIRMED"},
    "mutes": {"scope": "WARD", "subject": "W1", "until": UNTIL, "text": "moving house"},
}

#: What must have happened before; the rest starts with an open alert.
BEFORE = {"unmute": ("mute",), "outcome": ("acknowledge",)}

#: What the forms of pages send; answered by going on to a page.
FORMS = {
    "answer": {"verb": "ACKNOWLEDGED", "occasion": "this form"},
    "theme": {"theme": "dark"},
    "login": {"token": "made up"},
    "logout": {},
    "mutes": {"about": "WARD W1", "hours": "4", "reason": "moving house", "occasion": "this form"},
    "end": {"about": "WARD W1", "occasion": "this form"},
}

GUARDED = [rule for rule in RULES if rule.role is not None]
OPEN_TO_ALL = [rule for rule in RULES if rule.role is None]


def path_of(rule: Rule) -> str:
    path = rule.path
    for name, stands in NAMES.items():
        path = path.replace("{" + name + "}", stands)
    assert "{" not in path
    return path


async def ask(place: Hospital, rule: Rule, token: str | None) -> int:
    return (await answer_to(place, rule, token)).status_code


async def answer_to(place: Hospital, rule: Rule, token: str | None) -> httpx.Response:
    last = rule.path.rsplit("/", 1)[-1]
    async with place.client(token) as client:
        parameters = {"scope": "WARD", "subject": "W1"} if rule.method == "DELETE" else None
        body: dict[str, Any] = {}
        if rule.method == "POST":
            body = {"data": FORMS[last]} if rule.is_page else {"json": BODIES.get(last, {})}
        return await client.request(rule.method, path_of(rule), params=parameters, **body)


async def prepare(place: Hospital, rule: Rule) -> None:
    async with place.client("admin") as client:
        for verb in BEFORE.get(rule.path.rsplit("/", 1)[-1], ()):
            path = f"/v1/alerts/{ALERT.alert_id}/{verb}"
            got = await client.post(path, json=BODIES.get(verb, {}))
            assert got.status_code == 200, got.text
        if rule.method == "DELETE" or rule.path == "/mutes/end":
            assert (await client.post("/v1/mutes", json=BODIES["mutes"])).status_code == 200


def too_little(role: Role) -> str | None:
    return {Role.VIEWER: None, Role.CLINICIAN: "w1-viewer", Role.ADMIN: "w1-clinician"}[role]


def rows(rules: list[Rule]) -> list[object]:
    return [pytest.param(rule, id=f"{rule.method} {rule.path}") for rule in rules]


# The stream of events has no end: its own tests ask for it.
@pytest.mark.parametrize("rule", rows([rule for rule in GUARDED if not rule.path.endswith("/events")]))
async def test_each_endpoint_is_for_whom_the_table_says(rule: Rule, tmp_path: Path) -> None:
    place = hospital(tmp_path)
    assert rule.role is not None
    assert await ask(place, rule, None) == 401
    lesser = too_little(rule.role)
    if lesser is not None:
        assert await ask(place, rule, lesser) == 403
    if rule.subject not in (Subject.NOTHING, Subject.LISTING):
        assert await ask(place, rule, "w2-admin") == 404
        # Two sites may name a ward alike: who sees the other one finds it empty.
        south = 200 if rule.subject is Subject.WARD else 404
        assert await ask(place, rule, "south-admin") == south
    before = len(place.book.appended)
    await prepare(place, rule)
    assert await ask(place, rule, "w1-clinician") in (200, 303 if rule.is_page else 200)
    if rule.method == "GET":
        assert len(place.book.appended) == before


@pytest.mark.parametrize("rule", rows([rule for rule in GUARDED if rule.path.endswith("/events")]))
async def test_streams_are_refused_likewise(rule: Rule, tmp_path: Path) -> None:
    assert await ask(hospital(tmp_path), rule, None) == 401


@pytest.mark.parametrize("rule", rows(OPEN_TO_ALL))
async def test_few_things_are_for_everybody_and_none_of_them_is_of_a_patient(
    rule: Rule, tmp_path: Path
) -> None:
    expected = {("POST", "/login"): 401, ("POST", "/theme"): 303}
    assert await ask(hospital(tmp_path), rule, None) == expected.get((rule.method, rule.path), 200)
    assert rule.subject is Subject.NOTHING


async def test_refusals_write_nothing_and_note_no_look(tmp_path: Path) -> None:
    place = hospital(tmp_path)
    for rule in GUARDED:
        if rule.subject not in (Subject.NOTHING, Subject.LISTING):
            await ask(place, rule, "w2-admin")
    assert (place.book.appended, place.looks.patients, place.looks.alerts) == ([], [], [])


#: Whose alert was raised in ward W3, and who lies in W1 now: of neither W2 nor the site south.
MOVED = alert(8, patient_id="P-3", ward_id="W3")

#: All that W2, and the site south, must find nowhere.
SECRETS = (PATIENT, OLD_NAME, "P-3", ALERT.alert_id, MOVED.alert_id, ECG_ID, MOVED.ecg_id, "W1", "W3")

OTHERS = ("w2-admin", "south-admin")

LISTS = [
    rule
    for rule in GUARDED
    if rule.subject in (Subject.LISTING, Subject.NOTHING)
    and rule.method == "GET"
    and not rule.path.endswith("/events")
]
OF_MUTES = [rule for rule in GUARDED if rule.subject is Subject.LISTING and rule.method != "GET"]


def busy(folder: Path) -> Hospital:
    """W1 is muted, so is its patient; two of its alerts reached nobody; one patient was moved into it."""
    place = hospital(folder)
    place.store.rows.append(
        replace(place.store.rows[0], patient_id="P-3", identifiers=("P-3",), ward_id="W1")
    )
    place.book.take(MOVED)
    until = NOW + timedelta(hours=1)
    wards = [(CareScope.WARD, ward, "north") for ward in ("W1", "W3")]
    for scope, subject, site_id in (*wards, (CareScope.PATIENT, PATIENT, "")):
        act = mute(scope, subject, NOW - timedelta(minutes=1), until, site_id=site_id)
        place.book.book.take_act(act)
    for each in (ALERT, MOVED):
        case = place.book.book.cases[each.alert_id]
        level = Level(number=0, start=case.raised_at)
        place.book.open_alarms.append(undelivered_alarm(case, Priority.HIGH, level))
    return place


def secrets_in(text: str) -> list[str]:
    return [each for each in SECRETS if re.search(rf"(?<![\w-]){re.escape(each)}(?![\w-])", text)]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("rule", rows(LISTS))
async def test_no_list_names_anything_of_another_ward(rule: Rule, other: str, tmp_path: Path) -> None:
    place = busy(tmp_path)
    got = await answer_to(place, rule, other)
    assert got.status_code == 200
    assert secrets_in(got.text) == []


@pytest.mark.parametrize("path", ["/", "/v1/alerts", "/v1/alarms", "/v1/mutes", "/v1/wards", "/mutes"])
async def test_whose_they_are_finds_in_the_lists_what_others_do_not(path: str, tmp_path: Path) -> None:
    (rule,) = [rule for rule in LISTS if rule.path == path]
    assert secrets_in((await answer_to(busy(tmp_path), rule, "w1-clinician")).text)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("rule", rows(OF_MUTES))
async def test_nobody_mutes_or_unmutes_another_ward(rule: Rule, other: str, tmp_path: Path) -> None:
    place = busy(tmp_path)
    got = await answer_to(place, rule, other)
    assert got.status_code in (403, 404)
    assert (place.book.appended, len(place.book.book.mutes)) == ([], 3)
    assert secrets_in(got.text) == []


@pytest.mark.parametrize("other", OTHERS)
async def test_no_stream_tells_anything_of_another_ward(other: str, tmp_path: Path) -> None:
    place = busy(tmp_path)
    told = await streamed(place, other)
    assert secrets_in(told) == []
    assert place.book.open_alarms[1].alarm_id not in told
    assert set(SECRETS) - set(secrets_in(await streamed(place, "w1-clinician"))) == {OLD_NAME}


async def streamed(place: Hospital, holder: str) -> str:
    """All that a stream tells of alerts and alarms, up to an alarm that is for everybody."""
    assert place.doors.tokens is not None
    token = place.doors.tokens.bearer(place.tokens[holder])
    assert token is not None
    start = place.changes.number
    for each in (ALERT, MOVED):
        place.changes.note(ChangeKind.ALERT, each.alert_id)
        for kind in (ChangeKind.ALARM, ChangeKind.ALARM_ENDED):
            case = place.book.book.cases[each.alert_id]
            alarm = undelivered_alarm(case, Priority.HIGH, Level(number=0, start=case.raised_at))
            place.changes.note(kind, alarm.alarm_id, each.alert_id)
    place.changes.note(ChangeKind.ALARM, alarm_of().alarm_id)
    said = ""
    async with asyncio.timeout(10):
        told = stream(place.services, place.changes, place.doors, Caller(token=token), start, 60.0)
        async for text in told:
            said += text
            if alarm_of().alarm_id in text:
                return said
    raise AssertionError("the stream ended")


def test_every_guarded_row_is_walked_from_another_ward() -> None:
    of_a_subject = [rule for rule in GUARDED if rule.subject not in (Subject.NOTHING, Subject.LISTING)]
    told_apart = {(rule.method, rule.path) for rule in (*of_a_subject, *LISTS, *OF_MUTES)}
    left = {(rule.method, rule.path) for rule in GUARDED} - told_apart
    assert left == {("GET", "/v1/alerts/events"), ("POST", "/logout")}


def test_every_route_of_the_application_has_its_row(tmp_path: Path) -> None:
    served = routes_of(hospital(tmp_path).api.app.routes)
    listed = {(rule.method, rule.path) for rule in RULES}
    assert served == listed


def routes_of(routes: list[BaseRoute]) -> set[tuple[str, str]]:
    """All methods and paths, whatever they are included by."""
    found: set[tuple[str, str]] = set()
    for route in routes:
        nested = getattr(route, "routes", None) or getattr(
            getattr(route, "original_router", None), "routes", None
        )
        if nested is not None and not isinstance(route, Mount):
            found |= routes_of(list(nested))
        elif isinstance(route, Mount):
            found.add(("GET", f"{route.path}/{{path:path}}"))
        else:
            methods = getattr(route, "methods", None) or set()
            found |= {(method, route.path) for method in methods - {"HEAD"}}  # type: ignore[attr-defined]
    return found


async def test_what_has_no_row_is_not_served(tmp_path: Path) -> None:
    place = hospital(tmp_path)

    @place.api.app.get("/v1/forgotten")
    async def forgotten() -> str:
        return "secret"

    async with place.client("admin") as client:
        assert (await client.get("/v1/forgotten")).status_code == 404
        assert (await client.get("/docs")).status_code == 404
        wrong = await client.put("/v1/alerts")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
