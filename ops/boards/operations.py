"""The board of operations: is everything moving, how fast, and what is held up. Prometheus alone."""

from typing import Final

from ops.boards.board import COLUMNS, Board, Row
from ops.boards.fields import HIGH_COLOUR, steps
from ops.boards.panels import Panel, lines, metric, number
from ops.boards.quantiles import quantile

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
_SOURCE: Final = "{{feed}} {{source}} {{site}}"


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
            *(Row(height=8, panels=[(each, _HALF) for each in pair]) for pair in _pairs()),
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


def _pairs() -> list[tuple[Panel, ...]]:
    return [*_flow(), *_watch(), *_batches(), *_trouble(), *_feeds(), *_delivery(), *_api()]


def _flow() -> list[tuple[Panel, ...]]:
    return [
        (
            lines(
                "Records finished a second",
                [metric("sum by (stage) (rate(diastole_records_done_total[1m]))", "{{stage}}")],
                "ops",
            ),
            lines(
                "Waiting records",
                [metric("sum by (stage) (diastole_lag_records)", "{{stage}}")],
                "none",
                "Not yet committed. Growing means the stage is behind.",
            ),
        ),
        (
            lines(
                "Wait for a batch, 99th percentile",
                [metric(quantile(0.99, "diastole_queue_wait_seconds", by="stage"), "{{stage}}")],
                "s",
            ),
            lines(
                "Seconds since the stage last finished something",
                [metric("time() - max by (stage) (diastole_last_done_timestamp_seconds)", "{{stage}}")],
                "s",
                "Rises also while no ECG arrives.",
            ),
        ),
    ]


def _watch() -> list[tuple[Panel, ...]]:
    return [
        (
            lines(
                "Wait of the oldest unread record",
                [metric("max by (stage) (diastole_watch_wait_seconds)", "{{stage}}")],
                "s",
                "As diastole watch sees it from beside.",
            ),
            lines(
                "Workers of a stage",
                [metric("max by (stage) (diastole_watch_members)", "{{stage}}")],
                "none",
                "As Kafka tells.",
            ),
        ),
        (
            lines(
                "Down",
                [
                    metric("1 - min by (stage) (diastole_watch_stage_up)", "{{stage}}"),
                    metric("1 - min by (worker) (diastole_watch_worker_up)", "{{worker}}", ref="B"),
                    metric("max(diastole_watch_blind)", "nobody can tell: no answer of Kafka", ref="C"),
                ],
                "none",
                "1: stands still, or says that it is not well.",
            ),
            lines(
                "Technical alarms of stages that are out",
                [metric("max by (kind) (diastole_watch_alarms)", "{{kind}}")],
                "none",
            ),
        ),
    ]


def _batches() -> list[tuple[Panel, ...]]:
    size = "rate(diastole_batch_records_sum[5m])) / sum by (stage) (rate(diastole_batch_records_count[5m]))"
    return [
        (
            lines("Records in a batch, mean", [metric(f"sum by (stage) ({size}", "{{stage}}")], "none"),
            lines(
                "Fill of the last batch",
                [metric("avg by (stage) (diastole_batch_fill_ratio)", "{{stage}}")],
                "percentunit",
                "Records ÷ most allowed.",
            ),
        ),
        (
            lines(
                "Work of a batch",
                [
                    metric(quantile(0.5, "diastole_work_seconds", by="stage"), "{{stage}} median"),
                    metric(quantile(0.99, "diastole_work_seconds", by="stage"), "{{stage}} 99 %", ref="B"),
                ],
                "s",
                "For infer: time on the device, with what is copied to and from it.",
            ),
            lines(
                "From work done to acknowledged, 99th percentile",
                [metric(quantile(0.99, "diastole_settle_seconds", by="stage"), "{{stage}}")],
                "s",
                "Kafka and Redis.",
            ),
        ),
    ]


def _trouble() -> list[tuple[Panel, ...]]:
    return [
        (
            lines(
                "Dead letters in 10 minutes",
                [
                    metric(
                        "sum by (stage, code) (increase(diastole_dead_letters_total[10m]))",
                        "{{stage}} {{code}}",
                    )
                ],
                "none",
            ),
            lines(
                "Not scored in an hour",
                [metric("sum by (reason) (increase(diastole_not_scored_total[1h]))", "{{reason}}")],
                "none",
                "Assessments without a score; never to be read as zero risk.",
            ),
        ),
        (
            lines(
                "Held up by something it needs",
                [metric("max by (stage) (diastole_retrying)", "{{stage}}")],
                "none",
            ),
            lines(
                "Pauses after an error in 10 minutes",
                [
                    metric(
                        "sum by (stage, code) (increase(diastole_retries_total[10m]))", "{{stage}} {{code}}"
                    )
                ],
                "none",
            ),
        ),
    ]


def _feeds() -> list[tuple[Panel, ...]]:
    return [
        (
            lines(
                "Since the last ECG of each source",
                [
                    metric(
                        f"time() - max by (feed, source, site) ({_source('last_timestamp_seconds')})", _SOURCE
                    )
                ],
                "s",
            ),
            lines(
                "Refused deliveries in an hour",
                [
                    metric(
                        "sum by (feed, reason) "
                        '(increase(diastole_feed_deliveries_total{ending="QUARANTINED"}[1h]))',
                        "{{feed}} {{reason}}",
                    )
                ],
                "none",
                "Kept in quarantine, each with its reason.",
            ),
        ),
        (
            lines(
                "Clocks of carts, ahead",
                [metric(f"max by (feed, source, site) ({_source('clock_ahead_seconds')})", _SOURCE)],
                "s",
                "Below zero: behind. Only where it is known.",
                defaults={"min": None},
            ),
            lines(
                "Delivered to answered, 99th percentile",
                [metric(quantile(0.99, "diastole_feed_acknowledge_seconds", by="feed"), "{{feed}}")],
                "s",
            ),
        ),
        (
            lines(
                "ECGs an hour of each source",
                [metric(f"max by (feed, source, site) ({_source('per_hour')})", _SOURCE)],
                "none",
                "Mean of the last day.",
            ),
            lines(
                "Deliveries not yet answered",
                [metric("sum by (feed) (diastole_feed_in_flight)", "{{feed}}")],
                "none",
                "Growing means that Kafka, or reading, is slow.",
            ),
        ),
    ]


def _source(name: str) -> str:
    return f"diastole_feed_source_{name}"


def _delivery() -> list[tuple[Panel, ...]]:
    return [
        (
            lines(
                "Raised to delivered, 95th percentile",
                [
                    metric(
                        quantile(0.95, "diastole_deliver_seconds", by="channel", window="1h"), "{{channel}}"
                    )
                ],
                "s",
                "To the first recipients.",
            ),
            lines(
                "Time to answer",
                [metric(quantile(0.5, "diastole_deliver_answer_seconds", window="6h"), "median")],
                "s",
                "From raised to the first answer.",
            ),
        ),
        (
            lines(
                "Notices on their way",
                [metric("sum by (channel) (diastole_deliver_waiting)", "{{channel}}")],
                "none",
            ),
            lines(
                "Failed and refused attempts in an hour",
                [
                    metric(
                        "sum by (channel, outcome) "
                        '(increase(diastole_deliver_attempts_total{outcome!="sent"}[1h]))',
                        "{{channel}} {{outcome}}",
                    )
                ],
                "none",
            ),
        ),
        (
            lines(
                "Time to hand a notice over, 99th percentile",
                [
                    metric(
                        quantile(0.99, "diastole_notice_seconds", by="channel, outcome", window="1h"),
                        "{{channel}} {{outcome}}",
                    )
                ],
                "s",
                "Of alerts, and that they are over.",
            ),
            lines(
                "Records that cannot be read",
                [metric("max by (topic) (diastole_deliver_unreadable_total)", "{{topic}}")],
                "none",
                "Met by delivery since it was started. Each may be an alert, or an answer, that nobody sees.",
            ),
        ),
    ]


def _api() -> list[tuple[Panel, ...]]:
    return [
        (
            lines(
                "Read API, 99th percentile",
                [metric(quantile(0.99, "diastole_api_seconds", by="route"), "{{route}}")],
                "s",
            ),
            lines(
                "Age of what is known of alerts",
                [
                    metric("max(diastole_api_book_behind_seconds)", "read API"),
                    metric("max(diastole_deliver_book_behind_seconds)", "deliver", ref="B"),
                ],
                "s",
                "Grows while Kafka does not answer; pages say so.",
            ),
        ),
        (
            lines(
                "Answers a second",
                [metric("sum by (status) (rate(diastole_api_requests_total[1m]))", "{{status}}")],
                "ops",
            ),
            lines(
                "Audit of looks",
                [
                    metric("sum(diastole_api_audit_waiting)", "waiting"),
                    metric("sum(increase(diastole_api_audit_lost_total[1h]))", "lost in an hour", ref="B"),
                ],
                "none",
            ),
        ),
    ]
