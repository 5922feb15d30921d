"""The technical alarms as Prometheus' own rules, for whoever has Alertmanager and no Grafana.

After a change of the rules: ``python -m ops.boards.prometheus_rules ops/prometheus/rules.yml``. A test holds
the file to the code.
"""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from ops.boards.rules import NUMBER, RULES, Rule

#: How Prometheus has the number that Grafana has as ``.Values.A.Value``.
_NUMBER: Final = '{{ printf "%.0f" .Value }}'

_HEADING: Final = """\
# Written by: python -m ops.boards.prometheus_rules ops/prometheus/rules.yml
# Technical alarms: silence is one too. Thresholds are a start; a site tunes them to its own load.
"""


def prometheus_rules() -> str:
    """Write the file of rules."""
    groups = [{"name": "diastole", "rules": [_written(rule) for rule in RULES]}]
    return _HEADING + yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=110)


def _written(rule: Rule) -> dict[str, Any]:
    return {
        "alert": "".join(word.capitalize() for word in rule.uid.removeprefix("diastole-").split("-")),
        "expr": f"({rule.expression}) > {rule.above:g}",
        "for": rule.lasts,
        "labels": {"system": "diastole", "severity": rule.severity},
        "annotations": {
            "summary": rule.summary.replace(NUMBER, _NUMBER),
            "description": rule.action,
        },
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(prometheus_rules(), encoding="utf-8")
