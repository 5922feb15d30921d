"""With a bundle on trial beside it, the flow says what it says without: in memory, over real bytes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from memory_kafka import MemoryKafka, run_stage
from tiny_bundle import tiny_bundle_folder

from models.agreement import compare_assessments
from models.cohorts.simulated import Ward
from ops.ledger import LEDGER_TOPICS, Ledger
from ops.topic_reader import RECORDS_OF, Seen
from schemas.alert import AlertRaised
from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.featurized import EcgFeaturized
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.assembly import build_stage
from streams.history import HistoryPoint, history_points
from streams.message import Message, Outgoing
from streams.settings import Settings
from streams.silent_pairs import joined, newest
from streams.stage import Received, Stage
from streams.topology import (
    ALERT_STATE,
    ECG_ALERT,
    ECG_FEATURIZED,
    ECG_RECORDED,
    ECG_RISK,
    ECG_RISK_SILENT,
    SILENT_ROUTE,
    dead_letter_topic,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
CODEC = Codec(FileRegistry())
IN_FORCE, ON_TRIAL = "in force", "on trial"

#: Any first ECG raises an alert: what is to be shown is whose they are.
EAGER_POLICY = """
version = "eager"
enter_threshold = 0.02
exit_threshold = 0.01
confirm_n = 1
confirm_m = 1
lockout_h = 1.0
step_up = 0.5
"""


@dataclass(kw_only=True)
class Played:
    """A ward that went through the flow."""

    kafka: MemoryKafka
    points: dict[str, HistoryPoint] = field(default_factory=dict)


def history_stage(points: dict[str, HistoryPoint]) -> Stage[RiskAssessed]:
    async def upsert(batch: Sequence[HistoryPoint]) -> None:
        points.update({point.ecg_id: point for point in batch})

    return Stage(name="history", reads=RiskAssessed, work=history_points, effect=upsert)


async def play(settings: Settings, silent: Stage[Any] | None) -> Played:
    """Put a small ward and a piece of garbage through the stages, the silent one in the middle of them."""
    played = Played(kafka=MemoryKafka())
    ward = Ward(beds=4, seed=7, since=START, fault_rate=0.2)
    for number in range(3):
        for ecg in ward.round(START + timedelta(days=4) * number):
            key = ecg.patient_id.encode()
            played.kafka.append(Outgoing(topic=ECG_RECORDED, key=key, value=CODEC.encode(ecg)))
    await run_stage(build_stage("featurize", settings), played.kafka, settings)
    played.kafka.append(Outgoing(topic=ECG_FEATURIZED, key=b"?", value=b"no ECG"))
    if silent is not None:
        await run_stage(silent, played.kafka, settings)
    await run_stage(build_stage("infer", settings), played.kafka, settings)
    await run_stage(history_stage(played.points), played.kafka, settings)
    await run_stage(build_stage("alert", settings), played.kafka, settings)
    return played


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home: Path = tmp_path_factory.mktemp("home")
    policy = home / "policy.toml"
    policy.write_text(EAGER_POLICY)
    return Settings(
        home=home,
        threads=1,
        device="cpu",
        policy=policy,
        bundle=tiny_bundle_folder(home / "a", seed=0, bundle_version=IN_FORCE),
        silent_bundle=tiny_bundle_folder(home / "b", seed=1, bundle_version=ON_TRIAL),
    )


@pytest.fixture(scope="module")
def alone(settings: Settings) -> Played:
    return asyncio.run(play(settings, None))


@pytest.fixture(scope="module")
def played(settings: Settings) -> Played:
    return asyncio.run(play(settings, build_stage(SILENT_ROUTE.stage, settings)))


def assessments(kafka: MemoryKafka, topic: str) -> list[RiskAssessed]:
    return [CODEC.decode(message.value or b"", RiskAssessed) for message in kafka.messages(topic)]


def books(kafka: MemoryKafka) -> Ledger:
    def decoded(message: Message) -> Any:
        try:
            return CODEC.decode(message.value or b"", *RECORDS_OF[message.topic.removesuffix(".dlq")])
        except PoisonError as error:
            return error

    ledger = Ledger()
    for topic in LEDGER_TOPICS:
        for message in kafka.messages(topic):
            ledger.enter(Seen(message=message, record=decoded(message)))
    return ledger


def test_both_bundles_answer_for_the_same_ecgs_and_each_on_its_own_topic(played: Played) -> None:
    real, silent = assessments(played.kafka, ECG_RISK), assessments(played.kafka, ECG_RISK_SILENT)
    assert sorted(risk.ecg_id for risk in real) == sorted(risk.ecg_id for risk in silent)
    assert len(real) == 12
    assert {risk.bundle_version for risk in real} == {IN_FORCE}
    assert {risk.bundle_version for risk in silent} == {ON_TRIAL}
    assert {risk.timings[-1].stage for risk in silent} == {"infer-silent"}


def test_what_is_not_scored_is_not_scored_by_both_for_the_same_reasons(played: Played) -> None:
    reasons = [
        {risk.ecg_id: risk.not_scored_reasons for risk in assessments(played.kafka, topic)}
        for topic in (ECG_RISK, ECG_RISK_SILENT)
    ]
    assert reasons[0] == reasons[1]
    assert 0 < sum(bool(why) for why in reasons[0].values()) < len(reasons[0])


def test_alerts_history_and_memory_are_those_of_the_bundle_in_force(played: Played) -> None:
    alerts = [CODEC.decode(m.value or b"") for m in played.kafka.messages(ECG_ALERT)]
    raised = [alert for alert in alerts if isinstance(alert, AlertRaised)]
    assert raised
    assert {alert.bundle_version for alert in raised} == {IN_FORCE}
    assert {point.bundle_version for point in played.points.values()} == {IN_FORCE}


def test_the_flow_says_the_same_as_without_a_bundle_on_trial(played: Played, alone: Played) -> None:
    assert not alone.kafka.messages(ECG_RISK_SILENT)
    assert played.points == alone.points
    for topic in (ECG_ALERT, ALERT_STATE):
        assert [m.key for m in played.kafka.messages(topic)] == [m.key for m in alone.kafka.messages(topic)]
    names = [
        [
            (alert.alert_id, alert.ecg_id, alert.probability)
            for alert in map(_alert, p.kafka.messages(ECG_ALERT))
        ]
        for p in (played, alone)
    ]
    assert names[0] == names[1]


def _alert(message: Message) -> Any:
    return CODEC.decode(message.value or b"")


def test_alerts_carry_the_motion_curves(played: Played) -> None:
    alerts = [_alert(message) for message in played.kafka.messages(ECG_ALERT)]
    for alert in (each for each in alerts if isinstance(each, AlertRaised)):
        assert alert.motion is not None
        assert alert.motion.velocities_cm_s.shape == (2, 128)
        assert alert.motion.e_prime_cm_s == played.points[alert.ecg_id].e_prime_cm_s


def test_what_cannot_be_read_is_a_dead_letter_of_each_stage_in_its_own_place(played: Played) -> None:
    for topic, stage in (
        (dead_letter_topic(ECG_FEATURIZED), b"infer"),
        (SILENT_ROUTE.dead_letters, b"infer-silent"),
    ):
        (letter,) = played.kafka.messages(topic)
        headers = dict(letter.headers)
        assert (headers["dlq_stage"], headers["dlq_topic"]) == (stage, ECG_FEATURIZED.encode())
        assert letter.value == b"no ECG"


def test_a_bundle_that_fails_on_every_ecg_leaves_the_flow_and_its_books_alone(settings: Settings) -> None:
    def fail(batch: Sequence[Received[EcgFeaturized]]) -> Sequence[object]:
        raise ZeroDivisionError

    failing = Stage(name=SILENT_ROUTE.stage, reads=EcgFeaturized, work=fail)
    kafka = asyncio.run(play(settings, failing)).kafka

    assert not kafka.messages(ECG_RISK_SILENT)
    assert len(kafka.messages(SILENT_ROUTE.dead_letters)) == 13
    ledger = books(kafka)
    assert (ledger.messages_in, ledger.open_count, len(ledger.risks)) == (12, 0, 12)
    assert not ledger.dead_ecgs


def test_the_two_topics_compare_ecg_by_ecg(played: Played) -> None:
    on_trial = newest(assessments(played.kafka, ECG_RISK_SILENT), last=5)
    in_force = {risk.ecg_id: risk for risk in assessments(played.kafka, ECG_RISK)}
    pairs = joined(in_force, on_trial)
    agreement = compare_assessments(pairs)
    assert agreement.n == 5
    assert agreement.n_scored == sum(one.probability is not None for one, _ in pairs)
    assert (agreement.only_first_scored, agreement.only_second_scored) == (0, 0)
