"""The table of rights is that of the code, its scripts and topology; and what it prints can be used."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.access_lines import kafka_acls, redis_acl
from ops.access_rules import DELIVER_GROUP, access_rules
from ops.cli.main import app
from streams.adapters import (
    redis_history,
    redis_latest,
    redis_links,
    redis_marks,
    redis_ward_sets,
    redis_waveforms,
)
from streams.deliver.running import GROUP
from streams.rights import HISTORY_WRITES, PAGE_READS, STAGE_REDIS_RIGHTS, WAVEFORM_WRITES
from streams.topology import ALL_ROUTES

RULES = access_rules()

_COMMAND = re.compile(r"redis\.p?call\('([A-Z]+)'")
_KEY = re.compile(r"\"(diastole:[a-z:]+)")


def commands_of(*modules: object) -> set[str]:
    return {name for module in modules for name in _COMMAND.findall(_source(module))}


def _source(module: object) -> str:
    return Path(str(module.__file__)).read_text()


HISTORY_MODULES = (redis_history, redis_latest, redis_links, redis_marks, redis_ward_sets)


def test_every_command_of_the_scripts_is_in_the_table_and_no_other() -> None:
    written = commands_of(*HISTORY_MODULES)
    assert written  # or the pattern finds nothing
    assert HISTORY_WRITES.commands | {"ZSCORE"} == written  # who writes reads no page of a ward
    assert WAVEFORM_WRITES.commands | {"ZSCORE", "HGET", "GET"} == commands_of(redis_waveforms)
    assert PAGE_READS.commands <= written | {"GET"}


def test_every_key_of_the_scripts_is_in_the_table_and_no_other() -> None:
    for rights, modules in ((HISTORY_WRITES, HISTORY_MODULES), (WAVEFORM_WRITES, (redis_waveforms,))):
        used = {key for module in modules for key in _KEY.findall(_source(module))}
        granted = tuple(key.rstrip("*") for key in rights.keys)
        assert used
        assert all(key.startswith(granted) for key in used), used
        assert all(any(key.startswith(prefix) for key in used) for prefix in granted), granted


def test_no_command_is_one_that_could_empty_or_reconfigure_a_redis() -> None:
    rights = [part.redis for part in RULES.values() if part.redis is not None]
    assert rights
    for each in rights:
        assert not each.commands & {"FLUSHALL", "FLUSHDB", "CONFIG", "KEYS", "EVAL", "ACL", "SHUTDOWN"}
        assert "-@all" in each.rules


def test_every_stage_is_a_part_and_only_those_that_use_redis_reach_it() -> None:
    assert RULES.keys() >= ALL_ROUTES.keys()
    assert {name for name in ALL_ROUTES if RULES[name].redis is not None} == set(STAGE_REDIS_RIGHTS)
    assert DELIVER_GROUP == GROUP


def test_no_right_is_to_more_than_one_thing() -> None:
    for part in RULES.values():
        assert len(set(part.kafka)) == len(part.kafka), part.name
        for right in part.kafka:
            assert "*" not in right.name


@pytest.mark.parametrize("name", RULES)
def test_the_lines_for_kafka_grant_just_the_table(name: str) -> None:
    granted = set()
    for line in kafka_acls([RULES[name]], "k:9092"):
        words = shlex.split(line)
        assert words[:7] == [
            *("kafka-acls", "--bootstrap-server", "k:9092"),
            *("--command-config", "admin.properties", "--add", "--allow-principal"),
        ]
        assert words[7] == f"User:{name}"
        operations = [words[at + 1] for at, word in enumerate(words) if word == "--operation"]
        kind, resource = words[-2].removeprefix("--"), words[-1]
        granted |= {(kind, resource, operation) for operation in operations}
    assert granted == {(right.kind, right.name, right.operation) for right in RULES[name].kafka}


def test_the_lines_for_redis_must_be_completed_by_the_site() -> None:
    lines = redis_acl(RULES.values())
    assert [line.split()[1] for line in lines] == [name for name, part in RULES.items() if part.redis]
    assert all("#SHA256_OF_ITS_PASSWORD" in line and "nopass" not in line for line in lines)


@pytest.mark.parametrize(
    ("form", "said"),
    [("table", "ecg.risk.v1"), ("kafka-acls", "--topic ecg.risk.v1"), ("redis-acl", "+zadd")],
)
def test_the_command_prints_the_rights_of_one_part(form: str, said: str) -> None:
    result = CliRunner().invoke(app, ["topics", "rights", "--stage", "history", "--format", form])
    assert result.exit_code == 0
    assert said in result.output
    assert "featurize" not in result.output


def test_a_password_in_an_option_is_refused_and_not_repeated() -> None:
    result = CliRunner().invoke(app, ["history", "show", "P-1", "--redis", "redis://u:sesame@127.0.0.1:1"])
    assert result.exit_code != 0
    assert "DIASTOLE_REDIS_PASSWORD_FILE" in str(result.exception)
    assert "sesame" not in str(result.exception) + result.output


def test_a_part_that_there_is_not_is_told_with_those_there_are() -> None:
    result = CliRunner().invoke(app, ["topics", "rights", "--stage", "featurise"])
    assert result.exit_code != 0
    assert "featurize" in str(result.exception) + result.output
