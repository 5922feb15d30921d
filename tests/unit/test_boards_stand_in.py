"""The stand-in of Grafana refuses what Grafana's API does not describe; else tests with it prove little."""

from collections.abc import Callable
from typing import Any

import pytest

from ops.boards.catalogue import catalogue
from ops.boards.places import API_UID, FOLDER_UID, Places
from streams.policy import load_policy
from tests.grafana_stand_in import ADMIN_TOKEN, VIEWER_TOKEN, GrafanaStandIn, Refusal

WANTED = catalogue(Places(), load_policy(), "a-token-of-the-read-api-0123456789")


def filled(major: int = 13) -> GrafanaStandIn:
    there = GrafanaStandIn(major=major)
    there.answer("POST", "/api/folders", ADMIN_TOKEN, {"uid": FOLDER_UID, "title": "Diastole"})
    for source in WANTED.sources:
        there.answer("POST", "/api/datasources", ADMIN_TOKEN, source.body(None))
    for board in WANTED.boards:
        there.answer("POST", "/api/dashboards/db", ADMIN_TOKEN, saved(board.model()))
    return there


def saved(model: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"dashboard": {"id": None, **model}, "folderUid": FOLDER_UID, "overwrite": False, **changes}


def board(**changes: Any) -> dict[str, Any]:
    return {**WANTED.boards[1].model(), **changes}


def _with_a_dangling_source() -> dict[str, Any]:
    model = board()
    model["panels"][0]["datasource"] = {"type": "prometheus", "uid": "nowhere"}
    return saved(model, overwrite=True)


def _with_an_untyped_column() -> dict[str, Any]:
    model = board()
    model["panels"][0]["targets"][0]["columns"][2]["type"] = ""
    return saved(model, overwrite=True)


def _with_a_guessing_parser() -> dict[str, Any]:
    model = board()
    model["panels"][0]["targets"][0]["parser"] = "simple"
    return saved(model, overwrite=True)


@pytest.mark.parametrize(
    ("make", "status", "said"),
    [
        (lambda: saved(board(), folderUid="nowhere", overwrite=True), 400, "folder"),
        (lambda: saved(board(), folderId=3), 400, "unknown fields"),
        (lambda: saved(board(uid="")), 400, "uid"),
        (lambda: saved(board(uid="x" * 41)), 400, "uid"),
        (lambda: saved(board(id=7)), 400, "addressed by uid"),
        (lambda: saved(board(rows=[])), 400, "unknown fields"),
        (lambda: saved(board(version=99)), 412, "changed by someone else"),
        (lambda: saved(board(uid="another")), 412, "same name"),
        (_with_a_dangling_source, 400, "no data source"),
        (_with_an_untyped_column, 400, "typed"),
        (_with_a_guessing_parser, 400, "missing"),
    ],
)
def test_a_board_that_is_wrong_is_refused(make: Callable[[], Any], status: int, said: str) -> None:
    with pytest.raises(Refusal, match=said) as refusal:
        filled().answer("POST", "/api/dashboards/db", ADMIN_TOKEN, make())
    assert refusal.value.status == status


@pytest.mark.parametrize(
    "change",
    [
        {"access": "direct"},
        {"orgName": "x"},
        {"uid": ""},
        {"type": "redis-datasource"},
        {"jsonData": {"nulls": 0}},
    ],
)
def test_a_data_source_that_is_wrong_is_refused(change: dict[str, Any]) -> None:
    body = {**WANTED.sources[0].body(None), **change}
    with pytest.raises(Refusal):
        GrafanaStandIn().answer("POST", "/api/datasources", ADMIN_TOKEN, body)


RULE = WANTED.rules["rules"][0]
RULES_PATH = f"/api/v1/provisioning/folder/{FOLDER_UID}/rule-groups/diastole"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"folderUID": "x"}, "wrong folder"),
        ({"ruleGroup": "x"}, "wrong folder or group"),
        ({"orgID": 2}, "organisation"),
        ({"for": "soon"}, "duration"),
        ({"uid": ""}, "uid"),
        ({"noDataState": "Fine"}, "noDataState"),
        ({"colour": "red"}, "unknown fields"),
        ({"condition": "Z"}, "names no query"),
        ({"data": [{**RULE["data"][0], "datasourceUid": "nowhere"}, RULE["data"][1]]}, "no data source"),
        ({"annotations": {"__dashboardUid__": "nowhere"}}, "no board"),
    ],
)
def test_a_rule_that_is_wrong_is_refused(change: dict[str, Any], said: str) -> None:
    group = {**WANTED.rules, "rules": [{**RULE, **change}]}
    with pytest.raises(Refusal, match=said):
        filled().answer("PUT", RULES_PATH, ADMIN_TOKEN, group)


@pytest.mark.parametrize("missing", ["orgID", "folderUID", "title", "condition", "data", "for", "uid"])
def test_a_rule_that_lacks_what_the_api_requires_is_refused(missing: str) -> None:
    rule = {key: part for key, part in RULE.items() if key != missing}
    with pytest.raises(Refusal, match=missing):
        filled().answer("PUT", RULES_PATH, ADMIN_TOKEN, {**WANTED.rules, "rules": [rule]})


def test_rules_of_a_folder_that_is_not_there_and_of_one_uid_are_refused() -> None:
    with pytest.raises(Refusal, match="folder does not exist"):
        filled().answer(
            "PUT",
            RULES_PATH.replace(f"/{FOLDER_UID}/", "/nowhere/"),
            ADMIN_TOKEN,
            {**WANTED.rules, "folderUid": "nowhere"},
        )
    twice = {**WANTED.rules, "rules": [RULE, {**RULE, "title": "another"}]}
    with pytest.raises(Refusal, match="uid exists"):
        filled().answer("PUT", RULES_PATH, ADMIN_TOKEN, twice)


@pytest.mark.parametrize("missing", ["dashboard", "folderUid"])
def test_a_board_saved_without_its_folder_or_itself_is_refused(missing: str) -> None:
    body = {key: part for key, part in saved(board(), overwrite=True).items() if key != missing}
    with pytest.raises(Refusal, match=missing):
        filled().answer("POST", "/api/dashboards/db", ADMIN_TOKEN, body)


@pytest.mark.parametrize("missing", ["uid", "name", "type", "access", "url"])
def test_a_data_source_that_lacks_something_is_refused(missing: str) -> None:
    body = {key: part for key, part in WANTED.sources[0].body(None).items() if key != missing}
    with pytest.raises(Refusal, match=missing):
        GrafanaStandIn().answer("POST", "/api/datasources", ADMIN_TOKEN, body)


def test_nobody_without_a_token_and_nobody_without_the_right_gets_in() -> None:
    for token, status in (("", 401), ("wrong", 401), (VIEWER_TOKEN, 403)):
        with pytest.raises(Refusal) as refusal:
            GrafanaStandIn().answer("POST", "/api/folders", token, {"uid": "x", "title": "X"})
        assert refusal.value.status == status


@pytest.mark.parametrize(("major", "is_there"), [(11, True), (12, True), (13, False)])
def test_thirteen_knows_data_sources_by_uid_alone(major: int, is_there: bool) -> None:
    there = filled(major)
    assert there.answer("GET", f"/api/datasources/uid/{API_UID}", ADMIN_TOKEN, None)[0] == 200
    if is_there:
        assert there.answer("GET", "/api/datasources/1", ADMIN_TOKEN, None)[1]["uid"] == API_UID
        return
    with pytest.raises(Refusal):
        there.answer("GET", "/api/datasources/1", ADMIN_TOKEN, None)
