"""Panels of what lies around the stages, for the board of operations: feeds, delivery and the read API."""

from typing import Final

from ops.boards.panels import Panel, lines, metric
from ops.boards.quantiles import quantile

_SOURCE: Final = "{{feed}} {{source}} {{site}}"


def rim_panels() -> list[tuple[Panel, ...]]:
    """Make them, in pairs."""
    return [*_feeds(), *_delivery(), *_api()]


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
