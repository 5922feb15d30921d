"""Boards and rules ask Prometheus for what is there, with its labels, and for all but what is said not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import yaml
from typer.main import get_command

from ops.boards.catalogue import boards
from ops.boards.operations import NOT_SHOWN
from ops.boards.places import Places
from ops.boards.prometheus_rules import prometheus_rules
from ops.boards.rules import RULES, Rule
from ops.cli.main import app
from streams.api.api_metrics import ApiMetrics
from streams.deliver.channels.guarded import ChannelMetrics
from streams.deliver.deliver_metrics import DeliverMetrics
from streams.feeds.feed_metrics import FeedMetrics
from streams.feeds.health.gauges import SourceGauges
from streams.metrics import StageMetrics
from streams.policy import load_policy
from streams.watch.watch_metrics import WatchMetrics

ROOT = Path(__file__).resolve().parents[2]

OURS = (
    StageMetrics("x"),
    FeedMetrics("x"),
    SourceGauges(),
    DeliverMetrics(),
    ChannelMetrics(),
    ApiMetrics(),
    WatchMetrics(),
)

#: What Prometheus calls the series of each kind of metric.
ENDINGS = {"gauge": ("",), "counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}

#: Names in the code that are no metrics: cookies.
NO_METRICS = {"diastole_session", "diastole_theme", "diastole_at"}

METRIC = re.compile(r"\bdiastole_[a-z_]+")


@dataclass(frozen=True)
class Metric:
    name: str
    series: frozenset[str]
    labels: frozenset[str]


def metrics() -> Iterator[Metric]:
    """Every metric there is, with its labels as the code names them."""
    for held in OURS:
        for collector in list(held.registry._collector_to_names):
            for family in collector.collect():
                yield Metric(
                    name=family.name,
                    series=frozenset(f"{family.name}{ending}" for ending in ENDINGS[family.type]),
                    labels=frozenset(getattr(collector, "_labelnames", ())),
                )


METRICS = {each.name: each for each in metrics()}
OF_SERIES = {series: each for each in METRICS.values() for series in each.series}


def asked() -> Iterator[tuple[str, str, str]]:
    """Every question to Prometheus: where it is asked, the expression, the legend."""
    for board in boards(Places(), load_policy()):
        for panel in board.model()["panels"]:
            for target in panel["targets"]:
                if "expr" in target:
                    yield f"{board.uid}: {panel['title']}", target["expr"], target["legendFormat"]
    for rule in RULES:
        templates = " ".join(re.findall(r"\.Labels\.([a-z]+)", rule.summary + rule.action))
        yield rule.uid, rule.expression, "".join(f"{{{{{each}}}}}" for each in templates.split())


ASKED = list(asked())
every_question = pytest.mark.parametrize(
    ("expression", "legend"), [each[1:] for each in ASKED], ids=[each[0] for each in ASKED]
)


@every_question
def test_a_metric_that_is_asked_for_is_there_with_its_labels(expression: str, legend: str) -> None:
    named = METRIC.findall(expression)
    assert named
    assert set(named) <= OF_SERIES.keys()
    labels = {"le"}.union(*(OF_SERIES[each].labels for each in named))
    grouped = {
        label
        for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        for label in re.split(r",\s*", group)
    }
    selected = set(re.findall(r"[{,]\s*([a-z]+)(?:=|!=|=~|!~)\"", expression))
    assert grouped | selected <= labels
    # A legend can name what is left after grouping, or what absent() takes from its selector.
    kept = grouped | (selected if "absent(" in expression else set())
    assert set(re.findall(r"\{\{([a-z]+)\}\}", legend)) <= kept


def test_every_metric_is_asked_for_or_said_not_to_be() -> None:
    shown = {OF_SERIES[name].name for _, expression, _ in ASKED for name in METRIC.findall(expression)}
    assert METRICS.keys() - shown == NOT_SHOWN.keys()
    assert all(NOT_SHOWN.values())


def test_no_metric_of_the_code_is_unknown_here() -> None:
    written = {
        name
        for path in (ROOT / "streams").rglob("*.py")
        for name in re.findall(r"[\"'](diastole_[a-z_]+)[\"'{]", path.read_text(encoding="utf-8"))
    }
    beginnings = {name for name in written if name.endswith("_")}  # the rest is filled in
    assert written - beginnings - NO_METRICS - METRICS.keys() == set()
    assert all(any(name.startswith(each) for name in METRICS) for each in beginnings)
    assert len(METRICS) > 35


def test_the_file_of_prometheus_rules_is_what_the_code_says() -> None:
    kept = (ROOT / "ops/prometheus/rules.yml").read_text(encoding="utf-8")
    assert kept == prometheus_rules(), "run: python -m ops.boards.prometheus_rules ops/prometheus/rules.yml"


def test_every_rule_of_prometheus_says_how_long_how_grave_and_what_to_do_next() -> None:
    (group,) = yaml.safe_load(prometheus_rules())["groups"]
    assert group["name"] == "diastole"
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"]) == len(RULES)
    for rule in group["rules"]:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[A-Z][A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert rule["labels"].keys() == {"system", "severity"}
        assert rule["labels"]["severity"] in ("high", "medium")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert all(text.strip() for text in rule["annotations"].values())
        for text in rule["annotations"].values():
            templates = re.findall(r"\{\{(.*?)\}\}", text)
            assert all(
                re.fullmatch(r" (\.Labels\.[a-z]+|printf \"%\.0f\" \.Value) ", each) for each in templates
            ), text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.uid)
def test_brackets_and_quotes_of_an_expression_are_closed(rule: Rule) -> None:
    bare = re.sub(r'"[^"]*"', "", rule.expression)
    assert '"' not in bare
    for opening, closing in ("()", "[]", "{}"):
        depth = 0
        for sign in bare:
            depth += (sign == opening) - (sign == closing)
            assert depth >= 0
        assert depth == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.uid)
def test_a_command_that_a_rule_advises_exists(rule: Rule) -> None:
    command = get_command(app)
    known = set(command.list_commands(None))  # type: ignore[attr-defined, arg-type]
    assert isinstance(app, typer.Typer)
    advised = set(re.findall(r"diastole ([a-z]+)", rule.action))
    assert advised <= known
