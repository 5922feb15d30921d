"""Every question of the boards, asked of the real read API, its rows read as the boards' columns say."""

import re
from pathlib import Path
from typing import Any

import pytest
from care_api import NOW, PATIENT, Hospital, hospital

from ops.boards.catalogue import boards
from ops.boards.places import API_UID, Places
from streams.policy import load_policy

BOARDS = {board.uid: board.model() for board in boards(Places(), load_policy())}

#: What Grafana writes in place of its variables.
VARIABLES = {
    "patient:percentencode": PATIENT,
    "ward:percentencode": "W1",
    "ward": "W1",
    "order": "change",
    "beds": "40",
    "__from:date:iso": "2026-01-01T00:00:00.000Z",
    "__to:date:iso": NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
}


def filled_in(text: str) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda found: VARIABLES[found[1]], text)


def questions() -> list[Any]:
    asked = []
    for uid, model in BOARDS.items():
        targets = [target for panel in model["panels"] for target in panel["targets"]]
        targets += [each["target"] for each in model["annotations"]["list"]]
        asked += [(uid, target) for target in targets if target["datasource"]["uid"] == API_UID]
    return [pytest.param(target, id=f"{uid}-{number}") for number, (uid, target) in enumerate(asked)]


@pytest.fixture
def place(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


async def rows_of(place: Hospital, target: dict[str, Any]) -> list[dict[str, Any]]:
    params = [(each["key"], filled_in(each["value"])) for each in target["url_options"]["params"]]
    async with place.client("viewer") as client:
        answer = await client.get(filled_in(target["url"]), params=params)
    assert answer.status_code == 200, answer.text
    found, root = answer.json(), target["root_selector"]
    if kind := re.fullmatch(r'#\(kind=="(\w+)"\)#', root):
        return [row for row in found if row["kind"] == kind[1]]
    found = found[root] if root else found
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("target", questions())
async def test_a_board_s_question_is_answered_with_its_columns(
    place: Hospital, target: dict[str, Any]
) -> None:
    for row in await rows_of(place, target):
        for column in target["columns"]:
            cell = row[column["selector"]]
            if column["type"] == "number":
                assert cell is None or type(cell) in (int, float), column


async def test_an_ecg_without_a_score_comes_to_the_trend_as_nothing(place: Hospital) -> None:
    (trend,) = [p for p in BOARDS["diastole-patient"]["panels"] if p["title"].startswith("Risk, with")]
    rows = await rows_of(place, trend["targets"][0])
    assert [row["probability"] for row in rows] == [0.2, None, 0.4, 0.9]
    assert rows[1]["probability_low"] is rows[1]["probability_high"] is None
    assert [row["acquired_at"] for row in rows] == sorted(row["acquired_at"] for row in rows)
