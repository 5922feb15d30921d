"""The boards themselves: what they ask exists, what is missing stays missing, files are what code says."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from ops.boards.alert_rules import mark_of_rule, own_rule, rule_group
from ops.boards.board import digest, mark_of, own_content
from ops.boards.catalogue import boards, catalogue
from ops.boards.data_sources import fingerprint, sources
from ops.boards.files import provisioning_files
from ops.boards.places import API_UID, PROMETHEUS_UID, Places
from ops.boards.rules import RULES
from streams.api.alert_views import AlertRow, AlertsView, MuteView
from streams.api.patients import MAX_POINTS
from streams.api.rules import Table
from streams.api.tokens import Role
from streams.api.views import (
    HistoryView,
    MarkView,
    PatientView,
    PointView,
    WardsView,
    WardView,
    WorklistView,
)
from streams.policy import load_policy

FOLDER = Path(__file__).resolve().parents[2] / "ops/grafana"
BOARDS = {board.uid: board.model() for board in boards(Places(), load_policy())}
TOKEN = "token-of-the-read-api"  # noqa: S105

#: What each question of a board is answered with, by its path and where its rows are.
ROWS: dict[tuple[str, str], type] = {
    ("/history", "points"): PointView,
    ("/marks", ""): MarkView,
    ("/latest", ""): PatientView,
    ("/alerts", ""): AlertRow,
    ("/worklist", "patients"): PatientView,
    ("/worklist", ""): WorklistView,
    ("/v1/wards", "wards"): WardView,
    ("/v1/alerts", "alerts"): AlertRow,
    ("/v1/alerts", ""): AlertsView,
    ("/v1/mutes", "mutes"): MuteView,
}


def questions(model: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All that a board asks the read API."""
    targets = [target for panel in model["panels"] for target in panel["targets"]]
    targets += [each["target"] for each in model["annotations"]["list"]]
    targets += [
        each["query"]["infinityQuery"] for each in model["templating"]["list"] if each["type"] == "query"
    ]
    yield from (target for target in targets if target["datasource"]["uid"] == API_UID)


ASKED = [(uid, each) for uid, model in BOARDS.items() for each in questions(model)]
every_question = pytest.mark.parametrize(
    ("uid", "asked"), ASKED, ids=[f"{uid}-{number}" for number, (uid, _) in enumerate(ASKED)]
)


@pytest.mark.parametrize("uid", BOARDS)
def test_a_board_is_the_same_every_time_and_marked(uid: str) -> None:
    again = {board.uid: board.model() for board in boards(Places(), load_policy())}
    assert json.dumps(again[uid]) == json.dumps(BOARDS[uid])
    assert mark_of(BOARDS[uid]) == digest(own_content(BOARDS[uid]))


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_lie_beside_each_other_within_the_board(uid: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[uid]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


@every_question
def test_a_question_is_one_the_read_api_answers(uid: str, asked: dict[str, Any]) -> None:
    path = re.sub(r"\$\{[^}]+\}", "some", asked["url"])
    found = Table().find("GET", path)
    assert found is not None, path
    assert found.rule.role is Role.VIEWER  # the token of boards is a viewer's


@every_question
def test_a_question_asks_for_fields_that_are_there_with_their_type(uid: str, asked: dict[str, Any]) -> None:
    last = asked["url"] if asked["url"].count("/") == 2 else "/" + asked["url"].rpartition("/")[2]
    root = "" if asked["root_selector"].startswith("#(") else asked["root_selector"]
    view = ROWS[last, root]
    for column in asked["columns"]:
        assert column["selector"] in view.model_fields, column
        assert column["text"] == column["selector"]
        kinds = set(get_args(view.model_fields[column["selector"]].annotation)) or {
            view.model_fields[column["selector"]].annotation
        }
        wanted = {"timestamp": {"datetime"}, "number": {"int", "float"}, "boolean": {"bool"}}
        names = {getattr(kind, "__name__", str(kind)) for kind in kinds} - {"NoneType"}
        if column["type"] in wanted:
            assert names <= wanted[column["type"]], column


@every_question
def test_what_is_missing_stays_missing(uid: str, asked: dict[str, Any]) -> None:
    assert asked["parser"] == "backend"
    assert asked["columns"]
    nullable = {"probability", "probability_low", "change", "score_age_s", "quality_score"}
    for computed in asked["computed_columns"]:
        assert not nullable & set(re.findall(r"[a-z_]+", computed["selector"]))


def test_no_panel_joins_a_line_over_what_is_missing() -> None:
    for model in BOARDS.values():
        for panel in model["panels"]:
            if panel["type"] in ("timeseries", "state-timeline"):
                assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
            assert "nullPointMode" not in json.dumps(panel)
            assert '"match": "null", "result": {"index": 0, "text": "0"}' not in json.dumps(panel)


def test_the_trend_has_a_mark_an_ecg_an_interval_and_the_bands_of_the_policy() -> None:
    policy = replace(load_policy(), enter_threshold=0.8, exit_threshold=0.6)
    model = boards(Places(), policy)[0].model()
    (trend,) = [panel for panel in model["panels"] if panel["title"].startswith("Risk, with")]
    defaults = trend["fieldConfig"]["defaults"]
    assert defaults["custom"]["showPoints"] == "always"
    assert defaults["custom"]["thresholdsStyle"] == {"mode": "area"}
    assert [step["value"] for step in defaults["thresholds"]["steps"]] == [None, 0.6, 0.8]
    titles = {each["properties"][0]["value"]: each for each in trend["fieldConfig"]["overrides"]}
    (fill,) = [p["value"] for p in titles["upper end"]["properties"] if p["id"] == "custom.fillBelowTo"]
    assert fill in titles
    drawn = [panel for panel in model["panels"] if panel["type"] in ("timeseries", "state-timeline")]
    month_ms = 30 * 24 * 3600 * 1000
    assert [panel["fieldConfig"]["defaults"]["custom"]["insertNulls"] for panel in drawn] == [month_ms] * 2
    kinds = {each["target"]["refId"] for each in model["annotations"]["list"]}
    assert kinds == {"ALERT", "ACT", "CLOSED", "BUNDLE"}


def test_histories_are_asked_for_whole_and_the_panels_say_what_they_do_not_show() -> None:
    model = BOARDS["diastole-patient"]
    asking = [
        (panel, target)
        for panel in model["panels"]
        for target in panel["targets"]
        if target.get("url", "").endswith("/history")
    ]
    assert len(asking) == 3
    for panel, target in asking:
        params = {each["key"]: each["value"] for each in target["url_options"]["params"]}
        assert params["limit"] == str(MAX_POINTS)
        assert f"newest {MAX_POINTS} ECGs" in panel["description"]
    assert "goes on where another bundle took over" in asking[0][0]["description"]


def test_rows_of_answers_that_are_objects_are_found_where_the_board_looks() -> None:
    assert HistoryView.model_fields["points"].annotation == list[PointView]
    assert WorklistView.model_fields["patients"].annotation == list[PatientView]
    assert WardsView.model_fields["wards"].annotation == list[WardView]
    assert AlertsView.model_fields["alerts"].annotation == list[AlertRow]


def test_files_are_what_the_code_says() -> None:
    written = provisioning_files(catalogue(Places(), load_policy()))
    kept = {
        str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8")
        for path in FOLDER.rglob("*")
        if path.is_file()
    }
    assert kept == written, "run: python -m ops.boards.files ops/grafana"


def test_files_hold_no_secret_and_no_variable_but_the_token_s_file() -> None:
    for name, text in provisioning_files(catalogue(Places(), load_policy(), TOKEN)).items():
        assert TOKEN not in text
        if name.startswith("provisioning"):
            content = yaml.safe_load(text)
            assert content["apiVersion"] == 1
            # Grafana replaces what follows a dollar in these files.
            assert re.findall(r"\$[^\s\"']*", text) in ([], ["$__env{GRAFANA_API_TOKEN}"]), name


def test_a_token_is_in_nothing_but_the_body_that_is_sent() -> None:
    api, prometheus = sources(Places(), TOKEN)
    assert TOKEN not in repr(api)
    assert api.body(None)["secureJsonData"] == {"bearerToken": TOKEN}
    assert api.body(None)["jsonData"]["diastoleToken"] == fingerprint(TOKEN)
    assert api.body(None)["jsonData"]["allowedHosts"] == [Places().api_url]
    assert "secureJsonData" not in prometheus.body(None)


def test_rules_name_their_parts_and_say_what_to_do() -> None:
    group = rule_group()
    assert {rule["uid"] for rule in group["rules"]} == {rule.uid for rule in RULES}
    for rule in group["rules"]:
        assert mark_of_rule(rule) == digest(own_rule(rule))
        assert rule["data"][0]["datasourceUid"] == PROMETHEUS_UID
        assert rule["annotations"]["description"]
        assert "$" not in json.dumps(rule)


def test_nothing_asks_prometheus_for_patients() -> None:
    for model in BOARDS.values():
        for panel in model["panels"]:
            for target in panel["targets"]:
                assert "patient" not in target.get("expr", "")
