"""The board of the burden: how many alerts there are, who answers them how fast, and how many were right."""

from typing import Any, Final

from ops.boards.board import COLUMNS, Board, Row
from ops.boards.fields import BETWEEN_COLOUR, HIGH_COLOUR, Field, steps
from ops.boards.infinity import IN_RANGE, Columns, query
from ops.boards.panels import Panel, lines, metric, number, table
from ops.boards.places import Places
from ops.boards.quantiles import quantile

UID: Final = "diastole-burden"

_DAYS: Final = "((${__to} - ${__from}) / 86400000)"


def burden_board(places: Places) -> Board:
    """Describe the board."""
    return Board(
        uid=UID,
        title="Diastole: alert burden",
        description="What alerts ask of the care teams. Compare policies before changing one: "
        "diastole alerts simulate.",
        since="now-7d",
        refresh="1m",
        variables=[_beds_variable()],
        rows=[
            Row(height=4, panels=_numbers()),
            Row(height=8, panels=[(_by_state(), 12), (_answers(), 12)]),
            Row(height=8, panels=[(_deliveries(), 12), (_escalations(), 12)]),
            Row(height=10, panels=[(_alerts(places), COLUMNS)]),
            Row(height=6, panels=[(_mutes(), COLUMNS)]),
        ],
    )


def _beds_variable() -> dict[str, Any]:
    return {
        "name": "beds",
        "label": "Beds",
        "type": "textbox",
        "query": "100",
        "current": {"text": "100", "value": "100"},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def _numbers() -> list[tuple[Panel, int]]:
    burden = query(
        "/v1/alerts",
        {"total": "number"},
        params={**IN_RANGE, "limit": "1"},
        computed={"burden": f"total * 100 / ${{beds}} / {_DAYS}"},
    )
    open_ones = query("/v1/alerts", {"total": "number"}, params={"state": "OPEN", "limit": "1"})
    muted = query("/v1/alerts", {"total": "number"}, params={"state": "MUTED", "limit": "1"})
    rejected = query("/v1/alerts", {"rejected_share": "number"}, params={**IN_RANGE, "limit": "1"})
    answer = metric(quantile(0.5, "diastole_deliver_answer_seconds", window="$__range"))
    return [
        (
            number(
                "Alerts per 100 beds a day",
                burden,
                "none",
                "Raised in the time range shown; the number of beds is entered above.",
                field="burden",
                defaults={"decimals": 1},
            ),
            5,
        ),
        (number("Open", open_ones, "none", "Nobody has answered.", field="total"), 4),
        (number("Muted", muted, "none", "Kept quiet one by one; mutes are listed below.", field="total"), 4),
        (
            number(
                "Rejected",
                rejected,
                "percentunit",
                "Of the alerts of the time range that somebody accepted or rejected, closed since or not.",
                field="rejected_share",
                thresholds=steps("text", (0.5, BETWEEN_COLOUR), (0.8, HIGH_COLOUR)),
            ),
            5,
        ),
        (number("Time to answer, median", answer, "s", "From raised to the first answer."), 6),
    ]


def _by_state() -> Panel:
    return lines(
        "Alerts by state",
        [metric("sum by (state) (diastole_deliver_alerts)", "{{state}}")],
        "none",
        "Of the window that the delivery process keeps.",
        custom={"fillOpacity": 20},
    )


def _answers() -> Panel:
    shares = ((0.5, "median"), (0.9, "90 %"))
    return lines(
        "Time to answer",
        [
            metric(quantile(share, "diastole_deliver_answer_seconds", window="6h"), text, ref=ref)
            for (share, text), ref in zip(shares, "AB", strict=True)
        ],
        "s",
        "From raised to acknowledged, accepted or rejected, of the 6 hours before.",
    )


def _deliveries() -> Panel:
    return lines(
        "Attempts to deliver in an hour",
        [
            metric(
                "sum by (channel, outcome) (increase(diastole_deliver_attempts_total[1h]))",
                "{{channel}} {{outcome}}",
            )
        ],
        "none",
    )


def _escalations() -> Panel:
    return lines(
        "Escalations in a day",
        [metric("sum by (level) (increase(diastole_deliver_escalations_total[1d]))", "to level {{level}}")],
        "none",
        "Alerts that nobody answered in time.",
    )


def _alerts(places: Places) -> Panel:
    columns: Columns = {
        "raised_at": "timestamp",
        "ward_id": "string",
        "severity": "string",
        "kind": "string",
        "state": "string",
        "level": "number",
        "first_seen": "boolean",
        "probability_before": "number",
        "probability": "number",
        "answered_by": "string",
        "answered_at": "timestamp",
        "is_muted": "boolean",
        "alert_id": "string",
    }
    page = f"{places.inbox_url}/alerts/${{__value.text}}"
    return table(
        "The newest 500 alerts of the time range",
        query("/v1/alerts", columns, root="alerts", params={**IN_RANGE, "limit": "500"}),
        [
            Field(name="raised_at", title="raised"),
            Field(name="ward_id", title="ward"),
            Field(name="severity", title="severity"),
            Field(name="kind", title="kind"),
            Field(name="state", title="state"),
            Field(name="level", title="level"),
            Field(name="first_seen", title="first seen"),
            Field(
                name="probability_before",
                title="risk at the last ECG before",
                options={"unit": "percentunit"},
            ),
            Field(name="probability", title="risk", options={"unit": "percentunit"}),
            Field(name="answered_by", title="answered by"),
            Field(name="answered_at", title="answered"),
            Field(name="is_muted", title="muted"),
            Field(
                name="alert_id",
                title="page",
                options={"links": [{"title": "Open in the inbox", "url": page, "targetBlank": True}]},
            ),
        ],
    )


def _mutes() -> Panel:
    columns: Columns = {
        "scope": "string",
        "subject": "string",
        "site_id": "string",
        "since": "timestamp",
        "until": "timestamp",
        "actor": "string",
        "reason": "string",
    }
    fields = [Field(name=name, title="of site" if name == "site_id" else name) for name in columns]
    return table(
        "Muted now",
        query("/v1/mutes", columns, root="mutes"),
        fields,
        "Alerts of these are listed, not paged.",
    )
