"""The technical alarms as Grafana's alert rules, of its provisioning API."""

from collections.abc import Mapping
from typing import Any, Final

from ops.boards.board import digest
from ops.boards.operations import UID as OPERATIONS
from ops.boards.places import FOLDER_UID, METRICS, PROMETHEUS_UID
from ops.boards.rules import RULES, Rule

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
