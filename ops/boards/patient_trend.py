"""The board of one patient: risk over time with all that belongs to it, and gaps where there is nothing."""

from datetime import timedelta
from typing import Any, Final

from ops.boards.board import COLUMNS, Board, Row
from ops.boards.fields import (
    BETWEEN_COLOUR,
    HIGH_COLOUR,
    LINE_COLOUR,
    LOW_COLOUR,
    PHENOTYPE_COLOURS,
    Field,
    nothing_text,
    steps,
    word_colours,
)
from ops.boards.infinity import IN_RANGE, Columns, query
from ops.boards.panels import Panel, lines, number, table, words, words_over_time
from ops.boards.places import API, Places
from streams.api.patients import MAX_POINTS
from streams.policy import Policy

UID: Final = "diastole-patient"

_PATIENT: Final = "/v1/patients/${patient:percentencode}"

#: Two ECGs further apart are no line, as on the inbox's own trend (:mod:`streams.api.trend_svg`). That breaks
#: the line where another bundle takes over too; here it goes on, under a mark and with that said.
_GAP: Final = timedelta(days=30)
_GAP_MS: Final = _GAP // timedelta(milliseconds=1)

#: All that the API gives at once; without it the newest 2000 came.
_HISTORY: Final = {**IN_RANGE, "limit": str(MAX_POINTS)}
_AT_MOST: Final = f"At most the newest {MAX_POINTS} ECGs of the time shown."

_RISK: Final[Columns] = {
    "acquired_at": "timestamp",
    "probability": "number",
    "probability_low": "number",
    "probability_high": "number",
}
_ECGS: Final[Columns] = {
    "acquired_at": "timestamp",
    "phenotype": "string",
    "probability": "number",
    "probability_low": "number",
    "probability_high": "number",
    "not_scored_reasons": "string",
    "quality_score": "number",
    "heart_rate_bpm": "number",
    "pr_ms": "number",
    "qrs_ms": "number",
    "qtc_ms": "number",
    "e_prime_cm_s": "number",
    "e_over_a": "number",
    "bundle_version": "string",
    "ecg_id": "string",
}
_MARKS: Final[Columns] = {
    "at": "timestamp",
    "kind": "string",
    "text": "string",
    "alert_id": "string",
    "state": "string",
}


def patient_board(places: Places, policy: Policy) -> Board:
    """Describe the board; thresholds are drawn where the policy has them."""
    page = f"{places.inbox_url}/patients/${{patient:percentencode}}"
    return Board(
        uid=UID,
        title="Diastole: patient",
        description="Risk of one patient over time. ECGs that were not scored are gaps, never zeros.",
        since="now-90d",
        refresh="1m",
        variables=[_patient_variable()],
        annotations=[
            _annotation("Alerts", "ALERT", "red"),
            _annotation("Acts (acknowledged, escalated …)", "ACT", "blue"),
            _annotation("Low again", "CLOSED", "green"),
            _annotation("Another bundle took over", "BUNDLE", "purple"),
        ],
        links=[_link("Patient in the inbox", page)],
        rows=[
            Row(height=4, panels=_state_of_today()),
            Row(height=11, panels=[(_trend(policy), COLUMNS)]),
            Row(height=4, panels=[(_phenotypes(), COLUMNS)]),
            Row(height=9, panels=[(_ecgs(places), COLUMNS)]),
            Row(height=7, panels=[(_alerts(places), COLUMNS)]),
            Row(height=3, panels=[(_reading(), COLUMNS)]),
        ],
    )


def _patient_variable() -> dict[str, Any]:
    # Typed in, so that no list of patients is ever on a board.
    return {
        "name": "patient",
        "label": "Patient id",
        "type": "textbox",
        "query": "",
        "current": {"text": "", "value": ""},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def _annotation(name: str, kind: str, colour: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": API,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "target": query(f"{_PATIENT}/marks", _MARKS, root=f'#(kind=="{kind}")#', params=IN_RANGE, ref=kind),
        "mappings": {
            "time": {"source": "field", "value": "at"},
            "title": {"source": "field", "value": "kind"},
            "text": {"source": "field", "value": "text"},
        },
    }


def _link(title: str, url: str) -> dict[str, Any]:
    return {
        "type": "link",
        "title": title,
        "url": url,
        "icon": "external link",
        "targetBlank": True,
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "tags": [],
        "tooltip": "",
    }


def _state_of_today() -> list[tuple[Panel, int]]:
    latest: Columns = {
        "probability": "number",
        "change": "number",
        "score_age_s": "number",
        "age_s": "number",
        "phenotype": "string",
        "n_open_alerts": "number",
    }
    ask = query(f"{_PATIENT}/latest", latest)
    old = steps("green", (24 * 3600, BETWEEN_COLOUR), (7 * 24 * 3600, HIGH_COLOUR))
    never = {"no_value": "never scored", "defaults": {"mappings": nothing_text("never scored")}}
    return [
        (number("Risk", ask, "percentunit", "Of the last scored ECG.", field="probability", **never), 5),
        (number("Change", ask, "percentunit", "Against the scored ECG before.", field="change"), 5),
        (
            number(
                "Age of the last score",
                ask,
                "s",
                "Since the ECG of the last score was acquired. The risk above is as old as this.",
                field="score_age_s",
                thresholds=old,
                **never,
            ),
            5,
        ),
        (number("Age of the newest ECG", ask, "s", "Scored or not.", field="age_s", thresholds=old), 5),
        (number("Open alerts", ask, "none", "That nobody has answered.", field="n_open_alerts"), 4),
    ]


def _trend(policy: Policy) -> Panel:
    bands = steps(LOW_COLOUR, (policy.exit_threshold, BETWEEN_COLOUR), (policy.enter_threshold, HIGH_COLOUR))
    whole_scale = {"max": 1, "thresholds": bands, "color": {"mode": "fixed", "fixedColor": LINE_COLOUR}}
    edge = {"custom.lineWidth": 0, "custom.showPoints": "never"}
    return lines(
        "Risk, with its 90 % interval",
        [query(f"{_PATIENT}/history", _RISK, root="points", params=_HISTORY)],
        "percentunit",
        "One mark an ECG. The line is left open at an ECG that was not scored, and over more than "
        f"{_GAP.days} days without any. It goes on where another bundle took over (purple mark): part of a "
        f"change there may be the model's; the inbox leaves it open there. {_AT_MOST} "
        f"Bands: exit and enter threshold of policy {policy.version}.",
        custom={
            "showPoints": "always",
            "pointSize": 7,
            "insertNulls": _GAP_MS,
            "thresholdsStyle": {"mode": "area"},
        },
        defaults=whole_scale,
        fields=[
            Field(name="probability", title="risk", options={"custom.lineWidth": 2}),
            Field(name="probability_low", title="lower end", options=edge),
            Field(
                name="probability_high",
                title="upper end",
                options={**edge, "custom.fillBelowTo": "lower end", "custom.fillOpacity": 15},
            ),
        ],
    )


def _phenotypes() -> Panel:
    ask = query(
        f"{_PATIENT}/history",
        {"acquired_at": "timestamp", "phenotype": "string"},
        root="points",
        params=_HISTORY,
    )
    return words_over_time(
        "Phenotype",
        ask,
        [Field(name="phenotype", title="phenotype")],
        "What each ECG said until the next one. Grey: not scored, for the reason in the list below. "
        f"Nothing: more than {_GAP.days} days without an ECG. {_AT_MOST}",
        custom={"insertNulls": _GAP_MS},
        defaults={"mappings": word_colours(PHENOTYPE_COLOURS)},
    )


def _ecgs(places: Places) -> Panel:
    strip = f"{places.inbox_url}/v1/ecgs/${{__value.text}}/strip.svg"
    share, one, none = {"unit": "percentunit"}, {"decimals": 1}, {"decimals": 0}
    return table(
        "ECGs",
        query(f"{_PATIENT}/history", _ECGS, root="points", params=_HISTORY),
        [
            Field(name="acquired_at", title="acquired"),
            Field(
                name="phenotype",
                title="phenotype",
                options={
                    "mappings": word_colours(PHENOTYPE_COLOURS),
                    "custom.cellOptions": {"type": "color-text"},
                },
            ),
            Field(name="probability", title="risk", options=share),
            Field(name="probability_low", title="from", options=share),
            Field(name="probability_high", title="to", options=share),
            Field(name="not_scored_reasons", title="why not scored"),
            Field(name="quality_score", title="quality", options={"decimals": 2, "min": 0, "max": 1}),
            Field(name="heart_rate_bpm", title="HR /min", options=none),
            Field(name="pr_ms", title="PR ms", options=none),
            Field(name="qrs_ms", title="QRS ms", options=none),
            Field(name="qtc_ms", title="QTc ms", options=none),
            Field(name="e_prime_cm_s", title="e' cm/s (synthetic)", options=one),
            Field(name="e_over_a", title="e'/a' (synthetic)", options={"decimals": 2}),
            Field(name="bundle_version", title="bundle"),
            Field(
                name="ecg_id",
                title="strip",
                options={"links": [{"title": "12-lead strip", "url": strip, "targetBlank": True}]},
            ),
        ],
        f"Empty cells are missing values: not measured, or not scored. {_AT_MOST}",
        sort_by=[{"displayName": "acquired", "desc": True}],
    )


def _alerts(places: Places) -> Panel:
    columns: Columns = {
        "raised_at": "timestamp",
        "severity": "string",
        "state": "string",
        "change_text": "string",
        "answered_by": "string",
        "answered_at": "timestamp",
        "alert_id": "string",
    }
    page = f"{places.inbox_url}/alerts/${{__value.text}}"
    return table(
        "Alerts of this patient",
        query(f"{_PATIENT}/alerts", columns),
        [
            Field(name="raised_at", title="raised"),
            Field(name="severity", title="severity"),
            Field(name="state", title="state"),
            Field(name="change_text", title="what changed"),
            Field(name="answered_by", title="answered by"),
            Field(name="answered_at", title="answered"),
            Field(
                name="alert_id",
                title="page",
                options={"links": [{"title": "Open in the inbox", "url": page, "targetBlank": True}]},
            ),
        ],
        sort_by=[{"displayName": "raised", "desc": True}],
    )


def _reading() -> Panel:
    return words(
        "Research decision support, not a medical device. Motion values (e', a') are synthetic: made of the "
        "ECG, not measured by ultrasound. What the model was trained on and must not be used for: the model "
        "card of the inbox. A risk is a number of the past: mind the age of the last score."
    )
