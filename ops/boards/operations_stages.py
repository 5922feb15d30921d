"""Panels of the stages for the board of operations: what they have to do, how fast, what holds them up."""

from ops.boards.panels import Panel, lines, metric
from ops.boards.quantiles import quantile


def stage_panels() -> list[tuple[Panel, ...]]:
    """Make them, in pairs."""
    return [*_flow(), *_watch(), *_batches(), *_trouble()]


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
