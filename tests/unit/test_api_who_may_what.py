"""Every endpoint of the application: asked by nobody, by too little a role, from another ward, rightly."""

from pathlib import Path
from typing import Any

import pytest
from care_api import ALERT, ECG_ID, PATIENT, Hospital, hospital
from starlette.routing import BaseRoute, Mount

from streams.api.rules import RULES, Rule, Subject
from streams.api.tokens import Role

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
    "mute": {"until": UNTIL},
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
    last = rule.path.rsplit("/", 1)[-1]
    async with place.client(token) as client:
        parameters = {"scope": "WARD", "subject": "W1"} if rule.method == "DELETE" else None
        body: dict[str, Any] = {}
        if rule.method == "POST":
            body = {"data": FORMS[last]} if rule.is_page else {"json": BODIES.get(last, {})}
        got = await client.request(rule.method, path_of(rule), params=parameters, **body)
        return got.status_code


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
