"""The board of operations: is everything moving, how fast, and what is held up. Prometheus alone."""

from typing import Final

from ops.boards.board import COLUMNS, Board, Row
from ops.boards.fields import HIGH_COLOUR, steps
from ops.boards.operations_rim import rim_panels
from ops.boards.operations_stages import stage_panels
from ops.boards.panels import Panel, metric, number

UID: Final = "diastole-operations"

_HALF: Final = COLUMNS // 2
_QUARTER: Final = COLUMNS // 4

#: Metrics that no board or rule asks for, and why; all others are asked for.
NOT_SHOWN: Final = {
    "diastole_records_out": "what ended is shown, as done, dead-lettered or not scored",
    "diastole_in_flight_records": "a part of the waiting records",
    "diastole_feed_in_flight_bytes": "follows the deliveries in flight",
    "diastole_feed_source_deliveries": "diastole feeds shows it; boards show what the gateway ends",
    "diastole_watch_lag_records": "the stages' own count is shown",
    "diastole_watch_last_moved_timestamp_seconds": "shown as stages that are down, judged by what is borne",
    "diastole_api_readers": "how many pages are open says nothing of how they are served",
}

_ALARM: Final = steps("text", (1, HIGH_COLOUR))


def operations_board() -> Board:
    """Describe the board."""
    return Board(
        uid=UID,
        title="Diastole: operations",
        description="Stages, feeds, delivery and the read API. No patient is named here.",
        since="now-1h",
        refresh="10s",
        rows=[
            Row(height=4, panels=[(each, _QUARTER) for each in _now()]),
            *(
                Row(height=8, panels=[(each, _HALF) for each in pair])
                for pair in (*stage_panels(), *rim_panels())
            ),
        ],
    )


def _now() -> list[Panel]:
    ecgs = 'sum(increase(diastole_records_in_total{stage="featurize"}[1h]))'
    return [
        number("ECGs in an hour", metric(ecgs), "none", defaults={"decimals": 0}),
        number(
            "Silent sources",
            metric("sum(diastole_feed_source_silent)"),
            "none",
            "Longer silent than their rhythm allows.",
            thresholds=_ALARM,
        ),
        number(
            "Alerts not delivered to all",
            metric("sum(diastole_deliver_alarms)"),
            "none",
            "No channel of one of their routes took them in time; other routes may have.",
            thresholds=_ALARM,
        ),
        number(
            "Dead letters in a day",
            metric("sum(increase(diastole_dead_letters_total[1d]))"),
            "none",
            thresholds=_ALARM,
            defaults={"decimals": 0},
        ),
    ]
