"""A bundle on trial looks on: it has its own topics, and nothing of the flow depends on it."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from assessments import assessed, nth_ecg_id

from ops.ledger import LEDGER_TOPICS
from ops.topic_reader import RECORDS_OF
from ops.topics import topic_specs
from schemas.errors import ConfigurationError
from schemas.featurized import EcgFeaturized
from schemas.risk import RiskAssessed
from streams.assembly import build_stage
from streams.settings import Settings
from streams.silent_pairs import joined, newest
from streams.topology import (
    ALL_ROUTES,
    ECG_FEATURIZED,
    ECG_RISK,
    ECG_RISK_SILENT,
    ROUTES,
    SILENT_ROUTE,
    WAVEFORM_ROUTE,
    dead_letter_topic,
    route_of,
)
from streams.worker import all_stages


def test_the_silent_stage_reads_what_infer_reads_in_a_group_of_its_own() -> None:
    infer = ROUTES["infer"]
    assert (SILENT_ROUTE.consumes, infer.consumes) == (ECG_FEATURIZED, ECG_FEATURIZED)
    assert SILENT_ROUTE.group not in {route.group for route in ROUTES.values()}
    assert SILENT_ROUTE.produces == ECG_RISK_SILENT != infer.produces


def test_no_stage_reads_or_remembers_what_the_silent_one_writes() -> None:
    written = {SILENT_ROUTE.produces, SILENT_ROUTE.dead_letters}
    routes = (*ROUTES.values(), SILENT_ROUTE)
    assert not written & {topic for route in routes for topic in (route.consumes, route.remembers)}
    assert not written & {
        topic for route in ROUTES.values() for topic in (route.produces, route.dead_letters)
    }


def test_dead_letters_of_the_flow_lie_beside_their_input_and_silent_ones_apart() -> None:
    assert {route.dead_letters for route in ROUTES.values()} == {
        dead_letter_topic(route.consumes) for route in ROUTES.values()
    }
    assert SILENT_ROUTE.dead_letters == "ecg.risk-silent.v1.dlq"
    assert RECORDS_OF[SILENT_ROUTE.dead_letters] == (EcgFeaturized,)


def test_what_a_waveform_cannot_be_kept_of_does_not_lie_where_it_would_count_as_unanswered() -> None:
    assert WAVEFORM_ROUTE.dead_letters == "ecg.featurized.v1.waveform.dlq"
    assert WAVEFORM_ROUTE.dead_letters not in LEDGER_TOPICS
    assert RECORDS_OF[WAVEFORM_ROUTE.dead_letters] == (EcgFeaturized,)


def test_the_books_of_a_run_do_not_count_what_is_silent() -> None:
    assert not {SILENT_ROUTE.produces, SILENT_ROUTE.dead_letters} & set(LEDGER_TOPICS)


def test_its_topics_are_applied_and_its_answers_kept_for_half_a_year() -> None:
    specs = {spec.name: spec for spec in topic_specs(4)}
    assert SILENT_ROUTE.dead_letters in specs
    assert specs[ECG_RISK_SILENT].configuration["retention.ms"] == str(180 * 24 * 3600 * 1000)
    assert specs[ECG_RISK_SILENT].partitions == specs[ECG_RISK].partitions


def test_all_runs_it_only_where_a_bundle_is_on_trial(tmp_path: Path) -> None:
    assert all_stages(Settings()) == (*ROUTES, "link", "waveform")
    assert all_stages(Settings(silent_bundle=tmp_path)) == (*ROUTES, "link", "waveform", "infer-silent")


def test_each_stage_has_a_route_and_what_is_none_has_not() -> None:
    assert [route_of(name).stage for name in ALL_ROUTES] == [*ROUTES, "link", "waveform", "infer-silent"]
    with pytest.raises(KeyError):
        route_of("infer-loudly")


def test_without_a_bundle_on_trial_it_says_which_setting_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="DIASTOLE_SILENT_BUNDLE"):
        build_stage("infer-silent", Settings())


def test_the_command_without_the_setting_is_one_line_and_ends_as_misconfigured(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "worker", "infer-silent"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "DIASTOLE_HOME": str(tmp_path), "DIASTOLE_LOG_LEVEL": "warning"},
    )
    assert done.returncode == 2
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "DIASTOLE_SILENT_BUNDLE" in line


def silent(number: int, bundle: str = "b", hour: float = 0.0, **changes: object) -> RiskAssessed:
    risk = assessed(number, 0.25, bundle_version=bundle)
    scored_at = risk.assessed_at + timedelta(hours=hour)
    return replace(risk, bundle_sha256=bundle * 64, assessed_at=scored_at, **changes)  # type: ignore[arg-type]


def test_the_newest_by_publication_are_kept_in_order_each_once() -> None:
    found = newest([silent(3), silent(1), silent(2), silent(3), silent(0)], last=3)
    assert list(found) == [nth_ecg_id(number) for number in (1, 2, 3)]


def test_of_several_bundles_the_one_that_scored_last_counts() -> None:
    before = [silent(number, "a") for number in range(3)]
    after = [silent(number, "b", hour=10) for number in (0, 1)]
    found = newest([*before, *after, silent(4, "a")], last=10)
    assert {risk.bundle_sha256[0] for risk in found.values()} == {"b"}
    assert list(found) == [nth_ecg_id(0), nth_ecg_id(1)]


def test_pairs_are_of_one_ecg_and_what_has_no_counterpart_is_left_out() -> None:
    on_trial = newest([silent(number) for number in (1, 2, 3)], last=9)
    in_force = {risk.ecg_id: risk for risk in (silent(3, "a"), silent(1, "a"), silent(7, "a"))}
    pairs = joined(in_force, on_trial)
    assert [one.ecg_id for one, _ in pairs] == [nth_ecg_id(1), nth_ecg_id(3)]
    assert [other.ecg_id for _, other in pairs] == [nth_ecg_id(1), nth_ecg_id(3)]
    assert {one.bundle_sha256[0] + other.bundle_sha256[0] for one, other in pairs} == {"ab"}


def test_nothing_on_trial_gives_no_pairs() -> None:
    assert newest([], last=5) == {}
    assert joined({}, {}) == ()
