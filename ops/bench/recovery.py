"""What coming back costs: a history filled again, alert states read again, and what Redis needs for both.

The records are real ones of the model; only patients, ECGs and times are written into copies of their bytes.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import psutil
from aiokafka import AIOKafkaProducer
from redis import Redis
from rich.box import SIMPLE_HEAD
from rich.table import Table

from models.bundle import DEFAULT_BUNDLE, load_bundle
from models.predictor import Predictor
from ops.bench.load import draw_load
from ops.bench.stack import PARTITIONS, fresh_stack
from schemas.codec import Codec
from schemas.risk import RiskAssessed
from streams.adapters.kafka_state import read_states
from streams.adapters.redis_history import RedisHistory
from streams.alert import decide
from streams.featurize import featurize
from streams.infer import infer
from streams.policy import load_policy
from streams.rebuild import RebuildCounts, rebuild_history
from streams.stage import Received, utc_now
from streams.topology import ALERT_STATE, ECG_RISK

#: Stands in a record's bytes for its patient; every patient's identifier has as many characters.
_PATIENT: Final = "BENCH-00000000"
_ECG: Final = str(uuid.UUID(int=0))
_BATCH_BYTES: Final = 2**20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlan:
    """How much comes back.

    Attributes
    ----------
    points, patients : int
        Assessments on ``ecg.risk.v1``, spread evenly over so many patients.
    states : int
        Patients that the alert stage remembers.
    """

    points: int = 1_000_000
    patients: int = 10_000
    states: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What it took.

    Attributes
    ----------
    risk_bytes, state_bytes : float
        Of one record on Kafka.
    rebuild_s, restore_s : float
        Until the history was complete, until every state was in memory.
    redis_bytes_per_point, redis_bytes_per_patient : float
        Of Redis' ``used_memory``; the second with all of a patient's points, latest score and place in lists.
    state_memory_bytes : float
        Of one state in the alert stage's memory.
    """

    plan: RecoveryPlan
    risk_bytes: float
    rebuild_s: float
    redis_bytes_per_point: float
    redis_bytes_per_patient: float
    state_bytes: float
    restore_s: float
    state_memory_bytes: float


async def measure_recovery(plan: RecoveryPlan, home: Path, codec: Codec, say: Say) -> Recovery:
    """Measure on a fresh Apache Kafka and a fresh Redis.

    Raises
    ------
    ServiceError
        When a server does not start.
    """
    async with fresh_stack(home) as stack:
        bootstrap = stack.broker.bootstrap
        risks = await asyncio.to_thread(_model_risks, plan.points // plan.patients)
        say(f"writing {plan.points:,} assessments of {plan.patients:,} patients")
        risk_bytes = await _write(bootstrap, ECG_RISK, _risk_records(plan, risks, codec))
        rebuild_s, taken_bytes = await _rebuild(bootstrap, stack.redis.url, codec, say)
        say(f"writing the alert states of {plan.states:,} patients")
        state_bytes = await _write(bootstrap, ALERT_STATE, _state_records(plan, risks))
        restore_s, memory_bytes = await _restore(bootstrap)
    points = plan.points // plan.patients * plan.patients
    return Recovery(
        plan=plan,
        risk_bytes=risk_bytes,
        rebuild_s=rebuild_s,
        redis_bytes_per_point=taken_bytes / points,
        redis_bytes_per_patient=taken_bytes / plan.patients,
        state_bytes=state_bytes,
        restore_s=restore_s,
        state_memory_bytes=memory_bytes / plan.states,
    )


def _model_risks(count: int) -> list[RiskAssessed]:
    """Score ECGs of one simulated patient after the other; each stands for one point of every patient."""
    load, at = draw_load(utc_now()), utc_now()
    ecgs = [load.ecg(number) for number in range(min(count, 60))]
    received = [Received(record=ecg, published_at=at) for ecg in ecgs]
    featurized = [one for one in featurize(received) if not isinstance(one, Exception)]
    predictor = Predictor(load_bundle(DEFAULT_BUNDLE), device="cpu", threads=1)
    scored = infer([Received(record=one, published_at=at) for one in featurized], predictor, utc_now)
    risks = [one for one in scored if isinstance(one, RiskAssessed)]
    return [risks[number % len(risks)] for number in range(count)]


def _risk_records(
    plan: RecoveryPlan, risks: list[RiskAssessed], codec: Codec
) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and record of each point, patient by patient within each round of the ward."""
    first_at = utc_now() - timedelta(days=len(risks))
    for number, risk in enumerate(risks):
        fields = {name: getattr(risk, name) for name in type(risk).__dataclass_fields__}
        at = first_at + timedelta(days=number)
        moved = RiskAssessed(**{**fields, "patient_id": _PATIENT, "ecg_id": _ECG, "acquired_at": at})
        encoded = codec.encode(moved)
        for patient in range(plan.patients):
            name = patient_name(patient)
            ecg_id = str(uuid.UUID(int=(number + 1) << 64 | patient)).encode()
            yield name, encoded.replace(_PATIENT.encode(), name).replace(_ECG.encode(), ecg_id)


def _state_records(plan: RecoveryPlan, risks: list[RiskAssessed]) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and state of each patient, as the alert stage leaves it after a few ECGs."""
    policy, state = load_policy(), None
    for risk in risks[:20]:
        state = decide(state, risk, policy).state
    assert state is not None  # noqa: S101 (the model's ECGs are scored)
    encoded = state.to_bytes()
    for patient in range(plan.states):
        yield patient_name(patient), encoded


def patient_name(number: int) -> bytes:
    """Name a patient, all with the same number of characters."""
    return f"BENCH-{number:08d}".encode()


async def _write(bootstrap: str, topic: str, records: Iterator[tuple[bytes, bytes]]) -> float:
    """Write all records; gives the mean bytes of one."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=20, max_batch_size=_BATCH_BYTES
    )
    await producer.start()
    written = size = 0
    last = None
    try:
        for key, value in records:
            last = await producer.send(topic, key=key, value=value)
            written, size = written + 1, size + len(value)
        await producer.flush()
        if last is not None:
            await last
    finally:
        await producer.stop()
    return size / written


async def _rebuild(bootstrap: str, redis_url: str, codec: Codec, say: Say) -> tuple[float, int]:
    """Fill an empty Redis; gives the seconds and what it then holds, bytes."""
    told = 0

    def on_progress(counts: RebuildCounts) -> None:
        nonlocal told
        if counts.due and 10 * counts.read // counts.due > told:
            told = 10 * counts.read // counts.due
            say(f"rebuilding the history: {10 * told} %")

    with Redis.from_url(redis_url) as client:
        empty = client.info("memory")["used_memory"]
        history = RedisHistory(redis_url)
        begun_s = time.monotonic()
        try:
            counts = await rebuild_history(bootstrap, codec, history, on_progress=on_progress)
        finally:
            await history.close()
        if counts.kept != counts.due:
            say(f"{counts.due - counts.kept} of {counts.due} assessments were not kept")
        return time.monotonic() - begun_s, client.info("memory")["used_memory"] - empty


async def _restore(bootstrap: str) -> tuple[float, int]:
    """Read all states as a starting alert worker does; gives seconds, and what they take in memory, bytes."""
    process = psutil.Process()
    before = process.memory_info().rss
    begun_s = time.monotonic()
    states = await read_states(bootstrap, ALERT_STATE, range(PARTITIONS))
    took_s, taken = time.monotonic() - begun_s, process.memory_info().rss - before
    del states  # until here: they are what is measured
    return took_s, taken


def table_of(recovery: Recovery) -> Table:
    """Lay out what coming back took."""
    plan = recovery.plan
    table = Table(title="what coming back takes", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("what")
    table.add_column("measured", justify="right")
    for what, measured in (
        (f"history of {plan.points:,} points filled again", f"{recovery.rebuild_s:.0f} s"),
        ("points a second", f"{plan.points / recovery.rebuild_s:,.0f}"),
        ("one assessment on ecg.risk.v1", f"{recovery.risk_bytes:,.0f} bytes"),
        ("Redis, each point", f"{recovery.redis_bytes_per_point:.0f} bytes"),
        (
            f"Redis, each patient of {plan.points // plan.patients} points",
            f"{recovery.redis_bytes_per_patient:,.0f} bytes",
        ),
        (f"alert states of {plan.states:,} patients read", f"{recovery.restore_s:.1f} s"),
        ("one state on ecg.alert-state.v1", f"{recovery.state_bytes:.0f} bytes"),
        ("one state in the alert worker's memory", f"{recovery.state_memory_bytes:.0f} bytes"),
    ):
        table.add_row(what, measured)
    return table
