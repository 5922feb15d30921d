"""Panels: each function makes one kind, as Grafana 11 to 13 read it. The board gives each its place."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ops.boards.fields import Field, overrides, steps
from ops.boards.places import API, METRICS

Panel = dict[str, Any]
Target = dict[str, Any]

_GREY: Final = "text"


def panel(
    kind: str,
    title: str,
    targets: Sequence[Target],
    *,
    about: str = "",
    defaults: Mapping[str, Any] | None = None,
    fields: Sequence[Field] = (),
    options: Mapping[str, Any] | None = None,
    transformations: Sequence[Mapping[str, Any]] = (),
    links: Sequence[Mapping[str, Any]] = (),
) -> Panel:
    """Make any panel; its data source is that of its targets."""
    source = targets[0]["datasource"] if targets else API
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": source,
        "targets": list(targets),
        "fieldConfig": {"defaults": dict(defaults or {}), "overrides": overrides(fields)},
        "options": dict(options or {}),
        "transformations": [dict(each) for each in transformations],
        "links": [dict(each) for each in links],
    }


def metric(expression: str, legend: str = "", *, ref: str = "A") -> Target:
    """Ask Prometheus."""
    return {
        "refId": ref,
        "datasource": METRICS,
        "editorMode": "code",
        "expr": expression,
        "legendFormat": legend,
        "range": True,
    }


def lines(title: str, targets: Sequence[Target], unit: str, about: str = "", **more: Any) -> Panel:
    """Draw numbers over time. Nothing is drawn, and nothing joined, where there is no number."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "auto",
        "spanNulls": False,
        **more.pop("custom", {}),
    }
    defaults = {"unit": unit, "min": 0, "custom": custom, **more.pop("defaults", {})}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    return panel("timeseries", title, targets, about=about, defaults=defaults, options=options, **more)


def number(title: str, target: Target, unit: str, about: str = "", **more: Any) -> Panel:
    """Show the last number there is, or words where there is none; never 0 instead."""
    field = more.pop("field", "")
    defaults = {
        "unit": unit,
        "noValue": more.pop("no_value", "none"),
        "thresholds": more.pop("thresholds", steps(_GREY)),
        "color": {"mode": "thresholds"},
        **more.pop("defaults", {}),
    }
    options = {
        "reduceOptions": {
            "values": False,
            "calcs": ["last"],
            "fields": f"/^{field}$/" if field else "",
        },
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "value",
        "justifyMode": "auto",
    }
    return panel("stat", title, [target], about=about, defaults=defaults, options=options, **more)


def table(title: str, target: Target, fields: Sequence[Field], about: str = "", **more: Any) -> Panel:
    """List rows; columns in the order of ``fields``, others left out."""
    asked = [column["text"] for column in (*target["columns"], *target["computed_columns"])]
    shown = [each.name for each in fields]
    order = {
        "id": "organize",
        "options": {
            "indexByName": {name: index for index, name in enumerate(shown)},
            "excludeByName": {name: True for name in asked if name not in shown},
            "renameByName": {},
        },
    }
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"]}}
    options["sortBy"] = more.pop("sort_by", [])
    defaults = {
        "noValue": "—",
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True},
    }
    return panel(
        "table",
        title,
        [target],
        about=about,
        defaults=defaults,
        fields=fields,
        options=options,
        transformations=[order, *more.pop("transformations", ())],
        **more,
    )


def words_over_time(
    title: str, target: Target, fields: Sequence[Field], about: str = "", **more: Any
) -> Panel:
    """Draw a word over time, such as a phenotype, until the next one."""
    defaults = {
        "custom": {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False, **more.pop("custom", {})},
        "color": {"mode": "fixed", "fixedColor": _GREY},
        **more.pop("defaults", {}),
    }
    options = {
        "mergeValues": False,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel(
        "state-timeline",
        title,
        [target],
        about=about,
        defaults=defaults,
        fields=fields,
        options=options,
        **more,
    )


def words(text: str) -> Panel:
    """Show a text, Markdown."""
    return panel("text", "", [], options={"mode": "markdown", "content": text})
