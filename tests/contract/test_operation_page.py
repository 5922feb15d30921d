"""What docs/operation.md says of health, metrics and alarms is what the code has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from schemas.alert import AlarmKind
from streams.api.api_metrics import ApiMetrics
from streams.deliver.channels.guarded import ChannelMetrics
from streams.deliver.deliver_metrics import DeliverMetrics
from streams.feeds.feed_metrics import FeedMetrics
from streams.feeds.health.gauges import SourceGauges
from streams.health import Health
from streams.metrics import StageMetrics
from streams.settings import PREFIX, Settings
from streams.watch.watch_metrics import WatchMetrics

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operation.md").read_text()
ROW = re.compile(r"^\| `(diastole_\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)

REGISTRIES: tuple[CollectorRegistry, ...] = tuple(
    metrics.registry
    for metrics in (
        StageMetrics("x"),
        FeedMetrics("x"),
        SourceGauges(),
        DeliverMetrics(),
        ChannelMetrics(),
        ApiMetrics(),
        WatchMetrics(),
    )
)


def exported() -> set[tuple[str, str]]:
    """Every metric by the name Prometheus gives its series, and its type."""
    return {
        (family.name + ("_total" if family.type == "counter" else ""), family.type)
        for registry in REGISTRIES
        for family in registry.collect()
    }


def labels_exported() -> dict[str, set[str]]:
    # Only samples have labels to the outside, and a metric with labels has none before it is used.
    collectors: list[Any] = [each for registry in REGISTRIES for each in registry._collector_to_names]
    return {
        each._name + ("_total" if each._type == "counter" else ""): set(each._labelnames)
        for each in collectors
    }


def test_the_page_lists_every_metric_with_its_type_and_no_other() -> None:
    listed = [(name, kind) for name, kind, _, _ in ROW.findall(PAGE)]
    assert len(listed) == len(set(listed))
    assert set(listed) == exported()


def test_the_page_lists_the_labels_of_every_metric() -> None:
    listed = {
        name: {label.strip() for label in labels.split(",") if label.strip()}
        for name, _, labels, _ in ROW.findall(PAGE)
    }
    assert listed == labels_exported()


def test_every_metric_of_the_code_is_in_one_of_these_registries() -> None:
    named = re.compile(r"\"(diastole_[a-z_]+)\"")
    made = {
        name
        for path in (ROOT / "streams").rglob("*.py")
        if "prometheus_client" in path.read_text()
        for name in named.findall(path.read_text())
    }
    assert made <= {name.removesuffix("_total") for name, _ in exported()}


def test_the_page_explains_every_field_of_health() -> None:
    health = Health(stage="x", assigned=True, held_up_by=None, in_flight=0, idle_s=0.0, stalled=False)
    explained = set(re.findall(r"`(\w+)`", PAGE.partition("field of the JSON")[2].partition("## ")[0]))
    assert set(health.told()) - {"stage"} <= explained


@pytest.mark.parametrize("kind", sorted(set(AlarmKind) - {AlarmKind.UNKNOWN}))
def test_the_page_says_what_to_do_of_each_kind_of_alarm(kind: AlarmKind) -> None:
    rows = re.findall(rf"^\| `{kind.value}` \|(.+)\|$", PAGE, re.MULTILINE)
    assert rows
    assert all(len(cell.strip()) > 3 for row in rows for cell in row.split("|"))


def test_settings_that_the_page_names_exist() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", PAGE))
    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}
    assert len(named) > 5


def test_the_page_lists_every_alert_rule_with_its_severity() -> None:
    rules = yaml.safe_load((ROOT / "ops/prometheus/rules.yml").read_text())
    there = {
        (rule["alert"], rule["labels"]["severity"], rule["for"])
        for group in rules["groups"]
        for rule in group["rules"]
    }
    section = PAGE.partition("## Alert rules")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| (\w+) \| (high|medium|low) \| (\w+) \|", section, re.MULTILINE)) == there
