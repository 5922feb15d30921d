"""What the doctor makes of facts: each trouble is found, and what is not well says what to do."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.doctor.checks import findings
from ops.doctor.facts import (
    Facts,
    FileFacts,
    GroupFacts,
    HostFacts,
    KafkaFacts,
    Missed,
    RedisFacts,
    RegistryFacts,
    SettingsFacts,
    SubjectFacts,
    ThresholdFacts,
)
from ops.doctor.finding import Finding, Verdict, exit_code
from ops.doctor.local import file_facts, host_facts, settings_facts
from ops.doctor.report import report_json, report_lines
from ops.topic_diff import PARTITIONS, Difference
from schemas.registry import newest_version, raw_schema, schema_ids
from streams.feeds.settings import FeedSettings
from streams.settings import Settings
from streams.topology import ECG_RECORDED

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST = HostFacts(
    app_version="1", python_version="3.11", home="/h", free_bytes=10**11, torch_version="2", has_cuda=False
)
GROUP = GroupFacts(members=2, lag=0)
KAFKA = KafkaFacts(
    n_brokers=3,
    latency_ms=2.0,
    n_topics=20,
    groups={"featurize": GROUP, "link": GROUP},
    newest={ECG_RECORDED: NOW - timedelta(minutes=1)},
)
REDIS = RedisFacts(
    version="8.0.1",
    latency_ms=1.0,
    clock_ahead_s=0.01,
    role="master",
    used_bytes=10,
    max_memory_bytes=100,
    eviction_policy="noeviction",
    is_persistent=True,
)
SUBJECT = SubjectFacts(latest=raw_schema("CareAction", newest_version("CareAction")), level="FULL_TRANSITIVE")
REGISTRY = RegistryFacts(latency_ms=1.0, subjects={"CareAction": SUBJECT}, clock_ahead_s=0.5)
FACTS = Facts(
    now=NOW,
    settings=SettingsFacts(),
    host=HOST,
    files=(FileFacts(name="policy", said="can be used"),),
    thresholds=ThresholdFacts(bundle=0.65, policy=0.65),
    kafka=KAFKA,
    redis=REDIS,
    registry=REGISTRY,
)


def troubles(**facts: Any) -> list[Finding]:
    return [each for each in findings(replace(FACTS, **facts)) if each.verdict is not Verdict.OK]


def kafka(**other: Any) -> dict[str, Any]:
    return {"kafka": replace(KAFKA, **other)}


def redis(**other: Any) -> dict[str, Any]:
    return {"redis": replace(REDIS, **other)}


def registered(subject: SubjectFacts) -> dict[str, Any]:
    return {"registry": replace(REGISTRY, subjects={"CareAction": subject})}


def group(**other: Any) -> dict[str, Any]:
    return kafka(groups={"featurize": replace(GROUP, **other)})


def older_schema() -> dict[str, Any]:
    return raw_schema("CareAction", min(schema_ids()["CareAction"]))


def newer_schema() -> dict[str, Any]:
    newest = raw_schema("CareAction", newest_version("CareAction"))
    field = {"name": "from_the_future", "type": ["null", "string"], "default": None}
    return {**newest, "fields": [*newest["fields"], field]}


def broken_schema() -> dict[str, Any]:
    newest = raw_schema("CareAction", newest_version("CareAction"))
    return {**newest, "fields": [*newest["fields"], {"name": "must", "type": "string"}]}


MISSING = Difference(topic="ecg.risk.v1", setting="", found="", wanted="there")
RETENTION = Difference(
    topic="ecg.risk.v1", setting="retention.ms", found="5", wanted="-1", can_be_altered=True
)
OTHER_PARTITIONS = Difference(topic="ecg.risk.v1", setting=PARTITIONS, found="3", wanted="4")
AWAY = Missed(reason="no answer")
REFUSED = Missed(reason="who are you", is_configuration=True)

#: Facts, then the verdict, a part of what is said, a part of what to do, and the exit code.
CASES = [
    ({"settings": SettingsFacts(problems=("A: bad",))}, "failure", "A: bad", "environment", 2),
    ({"settings": SettingsFacts(unknown={"X": "Y"})}, "warning", "X is no setting", "mean Y?", 0),
    ({"settings": SettingsFacts(unknown={"X": None})}, "warning", "X is no setting", "remove it", 0),
    ({"host": replace(HOST, torch_version=None)}, "failure", "torch", "install", 1),
    ({"host": replace(HOST, device="cuda")}, "failure", "no CUDA", "driver", 2),
    ({"host": replace(HOST, device="cpu", has_cuda=True)}, "warning", "a CUDA", "auto", 0),
    ({"host": replace(HOST, home_problem="no right")}, "failure", "no right", "DIASTOLE_HOME", 2),
    ({"host": replace(HOST, free_bytes=10**9)}, "warning", "1.0 GB", "space", 0),
    ({"host": replace(HOST, free_bytes=10**7)}, "failure", "0.0 GB", "space", 1),
    ({"files": (FileFacts(name="routes", problem="bad"),)}, "failure", "bad", "correct", 2),
    ({"files": (FileFacts(name="t", said="s", is_private=False),)}, "failure", "others", "chmod 600", 1),
    ({"thresholds": ThresholdFacts(bundle=0.65, policy=0.6)}, "warning", "0.6000", "enter_threshold", 0),
    ({"kafka": AWAY}, "failure", "no answer", "services up", 1),
    ({"kafka": REFUSED}, "failure", "who are you", "DIASTOLE_BROKER", 2),
    (kafka(differences=(MISSING,)), "failure", "ecg.risk.v1 missing", "topics apply", 1),
    (kafka(differences=(RETENTION,)), "failure", "retention.ms is 5", "--alter", 1),
    (kafka(differences=(OTHER_PARTITIONS,)), "failure", "partitions is 3", "DIASTOLE_PARTITIONS", 2),
    (kafka(groups={}), "warning", "does not tell yet", "again", 0),
    (group(members=0), "warning", "0 workers", "worker featurize", 0),
    (group(members=0, lag=3), "failure", "3 messages waiting", "worker featurize", 1),
    (kafka(groups={"link": GroupFacts(members=0, lag=3)}), "warning", "0 workers", "worker link", 0),
    (group(lag=3, wait_s=90.0), "warning", "oldest for 90 s", "/readyz", 0),
    (group(lag=3, wait_s=900.0), "failure", "oldest for 900 s", "/readyz", 1),
    (kafka(newest={ECG_RECORDED: NOW + timedelta(minutes=2)}), "warning", "120 s in the future", "NTP", 0),
    (kafka(newest={ECG_RECORDED: NOW - timedelta(hours=7)}), "warning", "7 h old", "feeds", 0),
    (kafka(dead_letters={"a.dlq": 2}), "warning", "2 dead letters", "dlq list", 0),
    ({"redis": AWAY}, "failure", "no answer", "DIASTOLE_REDIS_URL", 1),
    ({"redis": REFUSED}, "failure", "who are you", "DIASTOLE_REDIS_URL", 2),
    (redis(version="5.0.9"), "failure", "5.0.9", "7 or newer", 1),
    (redis(role="slave"), "failure", "takes no writes", "DIASTOLE_REDIS_URL", 2),
    (redis(eviction_policy="allkeys-lru"), "failure", "allkeys-lru", "noeviction", 1),
    (redis(eviction_policy="volatile-ttl"), "failure", "volatile-ttl", "noeviction", 1),
    (redis(eviction_policy="allkeys-lru", max_memory_bytes=0), "warning", "no maxmemory", "noeviction", 0),
    (redis(used_bytes=90), "warning", "90%", "maxmemory", 0),
    (redis(is_persistent=False), "warning", "nothing on disk", "history rebuild", 0),
    (redis(last_save_failed=True), "failure", "last save failed", "log", 1),
    (redis(clock_ahead_s=-5.0), "warning", "5.00 s behind", "NTP", 0),
    (redis(clock_ahead_s=500.0), "failure", "500.00 s ahead", "NTP", 1),
    ({"registry": AWAY}, "failure", "no answer", "DIASTOLE_REGISTRY_URL", 1),
    (registered(SubjectFacts(latest=None)), "warning", "not registered", "nothing", 0),
    (registered(replace(SUBJECT, latest=older_schema())), "warning", "an older release's", "nothing", 0),
    (registered(replace(SUBJECT, latest=newer_schema())), "warning", "a newer release's", "bring", 0),
    (registered(replace(SUBJECT, latest=broken_schema())), "failure", "cannot live beside", "restore", 1),
    (registered(replace(SUBJECT, level="NONE")), "warning", "the rule NONE", "FULL_TRANSITIVE", 0),
    ({"redis": AWAY, "registry": None}, "failure", "no answer", "start it", 1),
]


def test_where_all_is_well_nothing_is_to_do() -> None:
    found = findings(FACTS)
    assert troubles() == []
    assert not any(each.do for each in found)
    assert exit_code(found) == 0
    assert {"settings", "home", "kafka", "topics", "redis", "schemas", "clock"} <= {e.check for e in found}


@pytest.mark.parametrize(("facts", "verdict", "says", "do", "code"), CASES)
def test_each_trouble_is_found_and_says_what_to_do(
    facts: dict[str, Any], verdict: str, says: str, do: str, code: int
) -> None:
    found = troubles(**facts)
    first = found[0]
    assert first.verdict == verdict
    assert says in first.said
    assert do in first.do
    assert all(each.do for each in found)
    assert exit_code(found) == code


def test_wrong_settings_alone_are_told_where_nothing_could_be_asked() -> None:
    bare = Facts(now=NOW, settings=SettingsFacts(problems=("DIASTOLE_DEVICE: must be cpu",)))
    assert [each.verdict for each in findings(bare) if each.check != "schemas"] == [Verdict.FAILURE]


def test_a_clock_that_nobody_could_compare_is_a_warning() -> None:
    found = troubles(redis=AWAY, registry=None)
    assert [each.said for each in found if each.check == "clock"] == [
        "nobody was there to compare this machine's clock with"
    ]


def test_a_misspelt_setting_names_the_one_that_is_meant() -> None:
    names = ["DIASTOLE_BROKR", "DIASTOLE_BROKER", "DIASTOLE_FEED_READER", "DIASTOLE_QXJ_99", "diastole_home"]
    assert settings_facts(names, []).unknown == {
        "DIASTOLE_BROKR": "DIASTOLE_BROKER",
        "DIASTOLE_FEED_READER": "DIASTOLE_FEED_READERS",
        "DIASTOLE_QXJ_99": None,
    }


def test_a_report_ends_with_its_sum_and_json_holds_the_same() -> None:
    found = troubles(redis=AWAY, kafka=REFUSED)
    lines = list(report_lines(found))
    assert lines[-1] == "2 failures, 0 warnings, 0 well"
    assert lines[0].startswith("FAIL kafka")
    assert lines[1].strip().startswith("→ ")
    said = json.loads(report_json(found))
    assert said["exit_code"] == 2
    assert [each["check"] for each in said["findings"]] == ["kafka", "redis"]


def test_files_are_read_as_whoever_needs_them_would(tmp_path: Path) -> None:
    tokens, policy = tmp_path / "tokens.toml", tmp_path / "policy.toml"
    tokens.write_text("")
    tokens.chmod(0o644)
    policy.write_text("enter_threshold = 2")
    settings = Settings(care_tokens=tokens, policy=policy, routes=tmp_path / "none.toml", home=tmp_path)
    facts = {each.name: each for each in file_facts(settings, FeedSettings())}
    assert facts["bundle"].problem is None
    assert str(policy) in (facts["policy"].problem or "")
    assert "cannot be read" in (facts["routes"].problem or "")
    assert not facts["tokens of pages and API"].is_private
    tokens.chmod(0o640)
    (again,) = (f for f in file_facts(settings, FeedSettings()) if f.name == "tokens of pages and API")
    assert again.is_private


def test_a_home_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("")
    assert host_facts(Settings(home=home)).home_problem is not None
    good = host_facts(Settings(home=tmp_path))
    assert good.home_problem is None
    assert (good.free_bytes or 0) > 0
    assert [each.name for each in tmp_path.iterdir()] == ["home"]
