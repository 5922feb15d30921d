"""The whole pipeline in memory: real stages, real runner, real bytes; only Kafka and Redis are lists."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from memory_kafka import MemoryKafka, run_stage
from oracle import Oracle, differences, identity

from models.cohorts.simulated import Ward
from ops.ledger import LEDGER_TOPICS, Ledger
from ops.topic_reader import RECORDS_OF, Seen
from schemas.alert import AlertClosed, AlertRaised
from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.assembly import build_stage
from streams.history import HistoryPoint, history_points
from streams.message import Outgoing
from streams.settings import Settings
from streams.stage import Stage
from streams.topology import ECG_ALERT, ECG_RECORDED, ECG_RISK, dead_letter_topic

START = datetime(2026, 1, 1, tzinfo=UTC)
CODEC = Codec(FileRegistry())
N_GARBAGE = 12


@dataclass(kw_only=True)
class Played:
    """A ward that went through the pipeline, with what should have come of it."""

    kafka: MemoryKafka
    arrivals: list[EcgRecorded]
    points: dict[tuple[str, str], HistoryPoint] = field(default_factory=dict)


def ward_ecgs(beds: int, rounds: int) -> list[EcgRecorded]:
    """Arrivals of a ward with bad recordings, repeats and ECGs that come after the patient's next one."""
    ward, chance = Ward(beds=beds, seed=7, since=START, fault_rate=0.15), random.Random(7)
    ecgs = []
    for number in range(rounds):
        ecgs += list(ward.round(START + timedelta(days=4) * number))
    for _ in range(len(ecgs) // 20):
        first = chance.randrange(len(ecgs) - beds)
        ecgs[first], ecgs[first + beds] = ecgs[first + beds], ecgs[first]
    return ecgs + chance.sample(ecgs, len(ecgs) // 10)


def garbage(ecg: EcgRecorded) -> list[bytes]:
    """Bytes that no reader should survive by luck: random, truncated, mislabelled, of another record."""
    chance, sound = random.Random(3), CODEC.encode(ecg)
    return [
        *(chance.randbytes(size) for size in (1, 5, 6, 100, 10_000)),
        *(sound[: int(len(sound) * share)] for share in (0.01, 0.5, 0.999)),
        b"\x00\x00\x00\x4d\x2b" + sound[5:],
        b"\x01" + sound[1:],
        sound + b"more",
        b"",
    ]


def history_stage(points: dict[tuple[str, str], HistoryPoint]) -> Stage[RiskAssessed]:
    async def upsert(batch: Sequence[HistoryPoint]) -> None:
        points.update({(point.ecg_id, point.bundle_version): point for point in batch})

    return Stage(name="history", reads=RiskAssessed, work=history_points, effect=upsert)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return asyncio.run(play(tmp_path_factory.mktemp("home")))


async def play(home: Path) -> Played:
    """Put a ward and some garbage through the four stages, one after the other."""
    settings = Settings(home=home, threads=1, device="cpu")
    arrivals = ward_ecgs(beds=18, rounds=12)
    played = Played(kafka=MemoryKafka(), arrivals=arrivals)
    spoilt = iter(garbage(arrivals[0]))
    for number, ecg in enumerate(arrivals):
        if number % 15 == 7 and (bad := next(spoilt, None)) is not None:
            played.kafka.append(Outgoing(topic=ECG_RECORDED, key=b"?", value=bad))
        played.kafka.append(
            Outgoing(topic=ECG_RECORDED, key=ecg.patient_id.encode(), value=CODEC.encode(ecg))
        )
    for name in ("featurize", "infer"):
        await run_stage(build_stage(name, settings), played.kafka, settings)
    await run_stage(history_stage(played.points), played.kafka, settings)
    await run_stage(build_stage("alert", settings), played.kafka, settings)
    return played


@pytest.fixture(scope="module")
def oracle(played: Played) -> Oracle:
    oracle = Oracle()
    for start in range(0, len(played.arrivals), 32):
        oracle.take(played.arrivals[start : start + 32])
    return oracle


@pytest.fixture(scope="module")
def ledger(played: Played) -> Ledger:
    ledger = Ledger()
    for topic in LEDGER_TOPICS:
        for message in played.kafka.messages(topic):
            try:
                expected = RECORDS_OF[topic.removesuffix(".dlq")]
                record = CODEC.decode(message.value or b"", *expected, headers=message.headers)
            except PoisonError as error:
                ledger.enter(Seen(message=message, record=error))
            else:
                ledger.enter(Seen(message=message, record=record))
    return ledger


def test_the_counts_close(played: Played, ledger: Ledger) -> None:
    distinct = {ecg.ecg_id for ecg in played.arrivals}
    assert len(ledger.garbage) == N_GARBAGE
    assert ledger.ecgs == distinct
    assert ledger.closes
    assert ledger.scored + ledger.not_scored_total + len(ledger.dead_ecgs) == len(distinct)
    assert ledger.scored > 0
    assert ledger.not_scored_total > 0


def test_dead_letters_keep_the_original_bytes_and_say_why(played: Played) -> None:
    dead = played.kafka.messages(dead_letter_topic(ECG_RECORDED))
    assert Counter(message.value for message in dead) == Counter(garbage(played.arrivals[0]))
    for message in dead:
        headers = dict(message.headers)
        assert headers["dlq_error_code"]
        assert headers["dlq_topic"] == ECG_RECORDED.encode()


def test_the_assessments_are_those_of_each_ecg_alone(ledger: Ledger, oracle: Oracle) -> None:
    assert ledger.risks.keys() == oracle.risks.keys()
    for ecg_id, risk in ledger.risks.items():
        expected = oracle.risks[ecg_id]
        assert risk.phenotype == expected.phenotype
        assert risk.not_scored_reasons == expected.not_scored_reasons
        assert risk.probability == pytest.approx(expected.probability, abs=2e-4)


def test_the_alerts_are_those_of_the_pure_functions(played: Played, oracle: Oracle) -> None:
    raised = defaultdict(list)
    for message in played.kafka.messages(ECG_ALERT):
        alert = CODEC.decode(message.value or b"", AlertRaised, AlertClosed, headers=message.headers)
        raised[identity(alert)].append(alert)
    assert raised.keys() == oracle.alerts.keys()
    assert any(kind == "AlertRaised" for kind, _ in raised)
    for name, repeats in raised.items():
        assert [differences(oracle.alerts[name], alert) for alert in repeats] == [[]]


def test_every_alert_carries_the_motion_curves_of_its_ecg(played: Played, ledger: Ledger) -> None:
    assert ledger.alerts
    for alert in ledger.alerts.values():
        assert alert.motion is not None
        assert alert.motion.velocities_cm_s.shape == (2, 128)
        assert differences(ledger.risks[alert.ecg_id].motion, alert.motion) == []


def test_the_history_holds_each_assessment_once(played: Played, oracle: Oracle) -> None:
    assert {ecg_id for ecg_id, _ in played.points} == oracle.risks.keys()
    for point in played.points.values():
        assert (point.probability is None) == (oracle.risks[point.ecg_id].probability is None)
        assert point.probability is not None or point.e_prime_cm_s is None
    moved = [point for point in played.points.values() if point.e_prime_cm_s is not None]
    assert len(moved) > len(played.points) / 2


def test_no_message_carries_a_patient_in_its_headers(played: Played) -> None:
    patients = {ecg.patient_id.encode() for ecg in played.arrivals}
    for topic in (*LEDGER_TOPICS, ECG_RISK):
        for message in played.kafka.messages(topic):
            assert not [text for _, text in message.headers if any(p in text for p in patients)]
