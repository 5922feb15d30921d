"""Technical alarms for those who run Diastole, as rules on its metrics. Patients' alerts never go this way.

:mod:`ops.boards.alert_rules` writes them for Grafana, :mod:`ops.boards.prometheus_rules` for Prometheus.
"""

from dataclasses import dataclass
from typing import Final

#: Stages without which no ECG becomes an alert.
_NEEDED: Final = ("featurize", "infer", "history", "alert")

#: Stands in a summary for the number that the expression gave.
NUMBER: Final = '{{ printf "%.0f" .Values.A.Value }}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One technical alarm: fires where the expression is above a number for a while.

    Attributes
    ----------
    lasts : str
        How long it must hold, such as ``5m``.
    summary, action : str
        What is wrong, and what to do next; ``{{ .Labels.stage }}`` is filled in, and :data:`NUMBER`.
    """

    uid: str
    title: str
    expression: str
    above: float
    lasts: str
    severity: str
    summary: str
    action: str


def _gone(metric: str) -> str:
    """Ask whether nobody reports a metric, or it says more than a minute."""
    return f"absent({metric}) or (max({metric}) > 60)"


def _grown(metric: str, by: str) -> str:
    """Ask for what was counted in the last hour.

    Unlike ``increase`` it sees the first count of a series; a process that was started anew and counts the
    same again is no growth.
    """
    now = f"max by ({by}) ({metric})"
    return f"{now} - (max by ({by}) ({metric} offset 1h) or 0 * {now})"


#: All of them; thresholds are a start, and a site tunes them to its own load. Labels are written ``.Labels``,
#: which Grafana and Prometheus both know: a dollar would be taken for a variable in a file.
RULES: Final = (
    Rule(
        uid="diastole-feed-silent",
        title="Feed silent",
        expression="max by (feed, source, site) (diastole_feed_source_silent)",
        above=0,
        lasts="0s",
        severity="medium",
        summary="No ECG from {{ .Labels.source }} of {{ .Labels.site }} for longer than its rhythm allows",
        action="See diastole feeds; check the cart, its network and the feed {{ .Labels.feed }}.",
    ),
    Rule(
        uid="diastole-stage-behind",
        title="Stage behind",
        expression="sum by (stage) (diastole_lag_records)",
        above=500,
        lasts="5m",
        severity="medium",
        summary=f"{{{{ .Labels.stage }}}} has {NUMBER} records waiting",
        action="Start more workers of the stage, or see in its log what holds it up.",
    ),
    Rule(
        uid="diastole-stage-stalled",
        title="Stage stalled",
        expression=(
            "(time() - max by (stage) (diastole_last_done_timestamp_seconds)) "
            "and on (stage) (sum by (stage) (diastole_lag_records) > 0)"
        ),
        above=120,
        lasts="1m",
        severity="high",
        summary="{{ .Labels.stage }} has work and finished none for two minutes",
        action="See its /healthz and log; it leaves and is started anew by its supervisor.",
    ),
    Rule(
        uid="diastole-stage-down",
        title="Stage down",
        expression="1 - min by (stage) (diastole_watch_stage_up)",
        above=0,
        lasts="0s",
        severity="high",
        summary="{{ .Labels.stage }} stands still, or has no worker",
        action="Start one: diastole worker {{ .Labels.stage }}; else see in its log what holds it up.",
    ),
    Rule(
        uid="diastole-worker-unwell",
        title="Worker not well",
        expression="1 - min by (worker) (diastole_watch_worker_up)",
        above=0,
        lasts="1m",
        severity="medium",
        summary="The worker {{ .Labels.worker }} does not answer, or says that it is not well",
        action="See its /readyz and log, and whether its supervisor starts it anew.",
    ),
    Rule(
        uid="diastole-watch-down",
        title="Watch down",
        expression="absent(diastole_watch_blind) or (max(diastole_watch_blind) > 0)",
        above=0,
        lasts="1m",
        severity="medium",
        summary="Nobody watches the stages, or Kafka does not tell how they are",
        action="Start diastole watch, and check that Kafka answers.",
    ),
    Rule(
        uid="diastole-undelivered",
        title="Undelivered alerts",
        expression="sum(diastole_deliver_alarms)",
        above=0,
        lasts="0s",
        severity="high",
        summary=f"{NUMBER} alerts were not delivered to all they are for: no channel of a route took them",
        action="Telephone the ward; the inbox lists them. Then try the channels: diastole deliver --check.",
    ),
    Rule(
        uid="diastole-deliver-unreadable",
        title="Unreadable alerts or answers",
        expression=_grown("diastole_deliver_unreadable_total", "topic"),
        above=0,
        lasts="0s",
        severity="high",
        summary=f"{NUMBER} records of {{{{ .Labels.topic }}}} cannot be read: alerts or answers nobody sees",
        action="The inbox names each by its place on Kafka: find who wrote it, and have it written again. "
        "Until then follow the worklist.",
    ),
    Rule(
        uid="diastole-deliver-down",
        title="Delivery down",
        expression=_gone("diastole_deliver_book_behind_seconds"),
        above=0,
        lasts="1m",
        severity="high",
        summary="No process delivers alerts, or it has not heard of Kafka for a minute",
        action="Start diastole deliver, and check that Kafka answers. Until then alerts reach nobody.",
    ),
    Rule(
        uid="diastole-api-down",
        title="Read API down",
        expression=_gone("diastole_api_book_behind_seconds"),
        above=0,
        lasts="1m",
        severity="high",
        summary="The read API and the inbox do not answer, or show what is over a minute old",
        action="Start diastole api, and check that Kafka and Redis answer.",
    ),
    Rule(
        uid="diastole-audit-lost",
        title="Audit incomplete",
        expression="sum(increase(diastole_api_audit_lost_total[1h]))",
        above=0,
        lasts="0s",
        severity="medium",
        summary=f"{NUMBER} looks at patients were not written to the audit in an hour",
        action="Check that Kafka takes records of care.audit.v1; the log of api says from when on.",
    ),
    Rule(
        uid="diastole-stage-missing",
        title="Stage missing",
        expression=" or ".join(f'absent(diastole_records_in_total{{stage="{stage}"}})' for stage in _NEEDED),
        above=0,
        lasts="1m",
        severity="high",
        summary="No worker of stage {{ .Labels.stage }} reports",
        action="Start one: diastole worker {{ .Labels.stage }}. Until then no ECG gets past it.",
    ),
    Rule(
        uid="diastole-stage-retrying",
        title="Stage held up",
        expression="max by (stage) (diastole_retrying)",
        above=0,
        lasts="1m",
        severity="medium",
        summary="{{ .Labels.stage }} is held up by something it needs",
        action="Its /readyz and log name it: Kafka, Redis, registry, device. Nothing is lost meanwhile.",
    ),
    Rule(
        uid="diastole-dead-letters",
        title="Dead letters",
        expression="sum by (stage, code) (increase(diastole_dead_letters_total[10m]))",
        above=0,
        lasts="0s",
        severity="medium",
        summary=f"{{{{ .Labels.stage }}}} dead-lettered {NUMBER} records: {{{{ .Labels.code }}}}",
        action="See which they are and why (diastole dlq), mend the cause, and replay them.",
    ),
    Rule(
        uid="diastole-no-ecgs",
        title="No ECGs",
        expression='sum(increase(diastole_records_in_total{stage="featurize"}[30m])) == bool 0',
        above=0,
        lasts="5m",
        severity="medium",
        summary="No ECG has arrived for half an hour",
        action="See diastole feeds: whether the carts are silent, or the feeds do not run.",
    ),
)
