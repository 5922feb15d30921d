"""The board of one ward: whom to look at first."""

from typing import Any, Final

from ops.boards import patient_trend
from ops.boards.board import COLUMNS, Board, Row
from ops.boards.fields import BETWEEN_COLOUR, HIGH_COLOUR, PHENOTYPE_COLOURS, Field, steps, word_colours
from ops.boards.infinity import Columns, query
from ops.boards.panels import Panel, number, table
from ops.boards.places import API, Places

UID: Final = "diastole-ward"

_WARD: Final = "/v1/wards/${ward:percentencode}/worklist"
_ROWS: Final[Columns] = {
    "patient_id": "string",
    "phenotype": "string",
    "probability": "number",
    "probability_low": "number",
    "probability_high": "number",
    "probability_before": "number",
    "change": "number",
    "is_change_across_bundles": "boolean",
    "score_age_s": "number",
    "age_s": "number",
    "not_scored_reasons": "string",
    "quality_score": "number",
    "n_open_alerts": "number",
}


def ward_board(places: Places) -> Board:
    """Describe the board."""
    return Board(
        uid=UID,
        title="Diastole: ward",
        description="Patients of one ward, greatest rise of risk first.",
        since="now-24h",
        refresh="30s",
        variables=[ward_variable(), _order_variable()],
        links=[],
        rows=[
            Row(height=16, panels=[(_worklist(places), COLUMNS)]),
            Row(height=4, panels=[(_patients(), 12), (_open_alerts(), 12)]),
        ],
    )


def ward_variable() -> dict[str, Any]:
    """Make the choice of a ward, out of those the token of the data source may see."""
    ask = query("/v1/wards", {"ward_id": "string"}, root="wards", ref="variable")
    return {
        "name": "ward",
        "label": "Ward",
        "type": "query",
        "datasource": API,
        "query": {"refId": "variable", "queryType": "infinity", "query": "", "infinityQuery": ask},
        "definition": "wards of the read API",
        "refresh": 1,  # when the board is opened
        "sort": 1,
        "multi": False,
        "includeAll": False,
        "regex": "",
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def _order_variable() -> dict[str, Any]:
    choices = {"greatest rise": "change", "highest risk": "risk", "newest ECG": "age"}
    return {
        "name": "order",
        "label": "First",
        "type": "custom",
        "query": ",".join(f"{text} : {key}" for text, key in choices.items()),
        "current": {"text": "greatest rise", "value": "change"},
        "options": [
            {"text": text, "value": key, "selected": key == "change"} for text, key in choices.items()
        ],
        "multi": False,
        "includeAll": False,
        "hide": 0,
        "skipUrlSync": False,
    }


def _worklist(places: Places) -> Panel:
    share = {"unit": "percentunit"}
    trend = f"/d/{patient_trend.UID}?var-patient=${{__value.text:percentencode}}"
    page = f"{places.inbox_url}/patients/${{__value.text:percentencode}}"
    links = [
        {"title": "Trend", "url": trend, "targetBlank": False},
        {"title": "Patient in the inbox", "url": page, "targetBlank": True},
    ]
    old = steps("text", (24 * 3600, BETWEEN_COLOUR), (7 * 24 * 3600, HIGH_COLOUR))
    coloured = {"custom.cellOptions": {"type": "color-text"}}
    return table(
        "Worklist of $ward",
        query(_WARD, _ROWS, root="patients", params={"order": "${order}", "limit": "500"}),
        [
            Field(name="patient_id", title="patient", options={"links": links}),
            Field(
                name="phenotype",
                title="last scored as",
                options={"mappings": word_colours(PHENOTYPE_COLOURS), **coloured},
            ),
            Field(name="change", title="change", options={**share, "decimals": 0}),
            Field(name="probability", title="last risk", options=share),
            Field(name="probability_low", title="from", options=share),
            Field(name="probability_high", title="to", options=share),
            Field(name="probability_before", title="risk at the scored ECG before", options=share),
            Field(name="is_change_across_bundles", title="of two bundles"),
            Field(
                name="score_age_s",
                title="age of last risk",
                options={"unit": "s", "thresholds": old, **coloured},
            ),
            Field(name="age_s", title="age of ECG", options={"unit": "s"}),
            Field(name="not_scored_reasons", title="why newest not scored"),
            Field(name="quality_score", title="quality", options={"decimals": 2}),
            Field(name="n_open_alerts", title="open alerts"),
        ],
        "Risk, phenotype and change are of the last ECG that could be scored, however old; why the newest "
        "has none is beside them. In the order of the read API: patients without two scored ECGs have no "
        "change, and come last. An empty cell is a missing value.",
    )


def _patients() -> Panel:
    ask = query(_WARD, {"total": "number"}, params={"limit": "1"})
    return number("Patients", ask, "none", "That had an ECG lately.", field="total")


def _open_alerts() -> Panel:
    params = {"state": "OPEN", "ward": "${ward}", "limit": "1"}
    ask = query("/v1/alerts", {"total": "number"}, params=params)
    return number("Open alerts", ask, "none", "That nobody has answered.", field="total")
