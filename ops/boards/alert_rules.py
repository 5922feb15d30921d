"""Grafana's alert rules: technical alarms for those who run Diastole. Patients' alerts never go this way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.boards.board import digest
from ops.boards.operations import UID as OPERATIONS
from ops.boards.places import FOLDER_UID, METRICS, PROMETHEUS_UID

GROUP: Final = "diastole"

#: Rules are evaluated every minute.
_INTERVAL_S: Final = 60

#: The annotation that carries the digest of a rule as we wrote it.
MARK: Final = "diastole_content"

#: Organisation 1 is the only one of a Grafana that nobody divided; with a token Grafana takes the token's.
_ORG: Final = 1

#: Grafana writes these into every query without them.
_QUERY_DEFAULTS: Final = {"intervalMs": 1000, "maxDataPoints": 43200}

_OWN: Final = (
    "uid",
    "folderUID",
    "ruleGroup",
    "title",
    "condition",
    "data",
    "noDataState",
    "execErrState",
    "for",
    "annotations",
    "labels",
    "isPaused",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One technical alarm: fires where the expression is above a number for a while.

    Attributes
    ----------
    lasts : str
        How long it must hold, such as ``5m``.
    summary, action : str
        What is wrong, and what to do next; ``{{ .Labels.stage }}`` is filled in.
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


#: All of them. Labels are written ``.Labels``: a dollar would be taken for a variable in a file.
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
        summary="{{ .Labels.stage }} has {{ .Values.A }} records waiting",
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
        uid="diastole-undelivered",
        title="Undelivered alerts",
        expression="sum(diastole_deliver_alarms)",
        above=0,
        lasts="0s",
        severity="high",
        summary="{{ .Values.A }} alerts reached nobody in time",
        action="Telephone the ward; the inbox lists them. Then see the channels in the log of deliver.",
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
)


def rule_group() -> dict[str, Any]:
    """Write all rules as a group of Grafana's provisioning API."""
    return {
        "title": GROUP,
        "folderUid": FOLDER_UID,
        "interval": _INTERVAL_S,
        "rules": [_marked(_written(rule)) for rule in RULES],
    }


def own_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Take out of a rule as Grafana has it what we would write, the mark apart."""
    content = {key: rule[key] for key in _OWN if rule.get(key) is not None}
    noted = content.get("annotations", {})
    content["annotations"] = {key: text for key, text in noted.items() if key != MARK}
    return content


def mark_of_rule(rule: Mapping[str, Any]) -> str | None:
    """Return the digest a rule carries; None when it is none of ours."""
    return (rule.get("annotations") or {}).get(MARK)


def _marked(rule: dict[str, Any]) -> dict[str, Any]:
    mark = digest(own_rule(rule))
    return {**rule, "annotations": {**rule["annotations"], MARK: mark}}


def _written(rule: Rule) -> dict[str, Any]:
    return {
        "uid": rule.uid,
        "orgID": _ORG,
        "folderUID": FOLDER_UID,
        "ruleGroup": GROUP,
        "title": rule.title,
        "condition": "B",
        "data": [_query(rule), _threshold(rule)],
        # No number is no alarm: what must be there is asked for by absent(); an error is one.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule.lasts,
        "annotations": {
            "summary": rule.summary,
            "description": rule.action,
            "__dashboardUid__": OPERATIONS,
            "__panelId__": "1",
        },
        "labels": {"system": "diastole", "severity": rule.severity},
        "isPaused": False,
    }


def _query(rule: Rule) -> dict[str, Any]:
    model = {
        "refId": "A",
        "datasource": METRICS,
        "editorMode": "code",
        "expr": rule.expression,
        "instant": True,
        "range": False,
        **_QUERY_DEFAULTS,
    }
    return _part("A", PROMETHEUS_UID, {"from": 600, "to": 0}, model)


def _threshold(rule: Rule) -> dict[str, Any]:
    model = {
        "refId": "B",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
        "type": "threshold",
        "expression": "A",
        "conditions": [{"evaluator": {"type": "gt", "params": [rule.above]}}],
        **_QUERY_DEFAULTS,
    }
    return _part("B", "__expr__", {"from": 0, "to": 0}, model)


def _part(ref: str, source: str, since: dict[str, int], model: dict[str, Any]) -> dict[str, Any]:
    return {
        "refId": ref,
        "queryType": "",
        "relativeTimeRange": since,
        "datasourceUid": source,
        "model": model,
    }
