"""Whatever lies on ``ecg.recorded.v1``, the real featurize and infer workers go on, and nothing is lost."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from assessments import assessed
from fastavro import schemaless_writer
from worker_process import WorkerProcess

from models.cohorts.simulated import Ward
from ops.services import RunningBroker
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.mapping import to_plain
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry, current_schema
from schemas.risk import RiskAssessed
from schemas.wire import SCHEMA_ID_HEADER, schema_id_prefix
from streams.dead_letters import ATTEMPT, ERROR_CODE, ERROR_MESSAGE, OFFSET, PARTITION, PREFIX, TOPIC
from streams.topology import ECG_RECORDED, ECG_RISK, dead_letter_topic

START = datetime(2026, 1, 1, tzinfo=UTC)
CODEC = Codec(FileRegistry())
#: In every patient id, so that it can be looked for where no patient may be named.
MARK = "MRN77"
Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """A message that must die, and of what."""

    value: bytes | None
    code: str
    says: str
    headers: tuple[tuple[str, bytes | None], ...] = (("source", b"cart 7"),)


def ward_ecgs(rounds: int) -> list[EcgRecorded]:
    ward = Ward(beds=8, seed=5, since=START)
    recorded = [ecg for n in range(rounds) for ecg in ward.round(START + timedelta(days=n))]
    return [changed(ecg, patient_id=f"{MARK}-{n % 8}") for n, ecg in enumerate(recorded)]


def encoded(ecg: EcgRecorded, **wrong: Any) -> bytes:
    """Encode what :class:`EcgRecorded` itself would refuse to hold."""
    body = BytesIO()
    body.write(schema_id_prefix(FileRegistry().id_of(EcgRecorded)))
    schemaless_writer(body, current_schema("EcgRecorded"), {**to_plain(ecg), **wrong})
    return body.getvalue()


def invalid(ecg: EcgRecorded, **wrong: Any) -> Garbage:
    (field,) = wrong
    return Garbage(value=encoded(ecg, **wrong), code="INVALID_RECORD", says=field)


def undecodable(value: bytes, **more: Any) -> Garbage:
    return Garbage(value=value, code="DECODE", says="", **more)


def every_garbage(ecg: EcgRecorded) -> Mapping[str, Garbage]:
    sound, samples, nan = encoded(ecg), ecg.samples.tobytes(), float("nan")
    risk_id = FileRegistry().id_of(RiskAssessed).to_bytes(4, "big")
    chance = random.Random(11)
    return {
        "random bytes": undecodable(b"\xff" + chance.randbytes(5000)),
        "random body": undecodable(sound[:5] + chance.randbytes(5000)),
        "truncated": undecodable(sound[: len(sound) // 2]),
        "one byte short": undecodable(sound[:-1]),
        "text": undecodable(f'{{"patient_id": "{ecg.patient_id}"}}'.encode()),
        "empty": undecodable(b""),
        "something follows": undecodable(sound + b"\x00"),
        "assessment": undecodable(CODEC.encode(assessed(1, 0.5, patient_id=f"{MARK}-x"))),
        "header names an assessment": undecodable(sound, headers=((SCHEMA_ID_HEADER, b"\x00" + risk_id),)),
        "header names nothing": undecodable(sound, headers=((SCHEMA_ID_HEADER, b"?"),)),
        "tombstone": Garbage(value=None, code="EMPTY_RECORD", says="no value"),
        "unknown schema": Garbage(
            value=schema_id_prefix(4711) + sound[5:], code="UNKNOWN_SCHEMA", says="4711"
        ),
        "3 MB": Garbage(
            value=encoded(ecg, samples=bytes(3 * 2**20)),
            code="PAYLOAD_TOO_LARGE",
            says="DIASTOLE_MAX_RECORD_BYTES",
        ),
        "odd bytes": undecodable(encoded(ecg, samples=samples[:-1])),
        "a row short": undecodable(encoded(ecg, samples=samples[: -ecg.samples.shape[1] * 2 + 2])),
        "no samples": invalid(ecg, samples=b""),
        "no leads": undecodable(encoded(ecg, lead_names=[])),
        "a lead twice": invalid(ecg, lead_names=["V1"] * 12),
        "NaN µV": invalid(ecg, uv_per_unit=nan),
        "infinite µV": invalid(ecg, uv_per_unit=float("inf")),
        "0 µV": invalid(ecg, uv_per_unit=0.0),
        "negative µV": invalid(ecg, uv_per_unit=-5.0),
        "NaN Hz": invalid(ecg, sample_rate_hz=nan),
        "1e9 Hz": invalid(ecg, sample_rate_hz=1e9),
        "0 Hz": invalid(ecg, sample_rate_hz=0.0),
        "negative Hz": invalid(ecg, sample_rate_hz=-500.0),
        "no id": invalid(ecg, ecg_id="not a uuid"),
        "nobody's": invalid(ecg, patient_id=""),
        "headers without a value": changed(
            invalid(ecg, ecg_id=""), headers=(("source", None), (ATTEMPT, None), ("traceparent", None))
        ),
        "died before": changed(invalid(ecg, ecg_id=""), headers=((ATTEMPT, b"2"), (ERROR_CODE, b"OLD"))),
    }


@pytest.fixture(params=["embedded_broker", "own_apache_broker"])
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Give either broker, empty: real stages have fixed topics."""
    running: RunningBroker = request.getfixturevalue(request.param)
    asyncio.run(apply_topics(running.bootstrap, partitions=4))
    return running.bootstrap


@pytest.fixture
def workers(bootstrap: str, tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    given = {"broker": bootstrap, "session_timeout_s": 6}
    with (
        WorkerProcess("featurize", tmp_path, **given) as one,
        WorkerProcess("infer", tmp_path, **given) as two,
    ):
        yield [one, two]


async def publish(bootstrap: str, ecgs: list[EcgRecorded], garbage: Mapping[str, Garbage]) -> None:
    """Publish good ones and garbage in turns, both for the same patients, so on the same partitions."""
    spoilt = list(garbage.items())
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=8 * 2**20) as producer:
        for n, ecg in enumerate(ecgs):
            key = ecg.patient_id.encode()
            await producer.send(ECG_RECORDED, encoded(ecg), key=key, headers=[("traceparent", None)])
            if n < len(spoilt):
                name, bad = spoilt[n]
                headers: Headers = [("name", name.encode()), *bad.headers]
                await producer.send(ECG_RECORDED, bad.value, key=key, headers=headers)
        await producer.flush()


async def collect(bootstrap: str, topics: list[str], enough: Callable[[list[Any]], bool]) -> list[Any]:
    records: list[Any] = []
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=2**23
    )
    async with asyncio.timeout(120), consumer:
        while not enough(records):
            for fetched in (await consumer.getmany(timeout_ms=200)).values():
                records.extend(fetched)
    return records


def name_of(letter: Any) -> str:
    return dict(letter.headers)["name"].decode()


async def test_each_garbage_is_a_dead_letter_as_it_came_and_each_good_ecg_is_assessed(
    bootstrap: str, workers: list[WorkerProcess]
) -> None:
    ecgs = ward_ecgs(rounds=5)
    garbage = every_garbage(ecgs[0])
    assert len(garbage) <= len(ecgs)
    await publish(bootstrap, ecgs, garbage)
    dead_topic = dead_letter_topic(ECG_RECORDED)

    def all_ended(records: list[Any]) -> bool:
        n_dead = sum(record.topic == dead_topic for record in records)
        return n_dead >= len(garbage) and len(records) - n_dead >= len(ecgs)

    records = await collect(bootstrap, [dead_topic, ECG_RISK], all_ended)
    letters = {name_of(record): record for record in records if record.topic == dead_topic}
    risks = [CODEC.decode(r.value, RiskAssessed) for r in records if r.topic == ECG_RISK]

    assert {risk.ecg_id for risk in risks} == {ecg.ecg_id for ecg in ecgs}
    assert letters.keys() == garbage.keys()
    keys = {name: ecg.patient_id.encode() for name, ecg in zip(garbage, ecgs, strict=False)}
    for name, bad in garbage.items():
        assert (letters[name].key, letters[name].value) == (keys[name], bad.value), name
        assert_reason(letters[name], bad)

    assert [await asyncio.to_thread(worker.terminate) for worker in workers] == [0, 0]
    for worker in workers:
        assert MARK not in worker.output
        assert worker.lines("stopped")


def assert_reason(letter: Any, bad: Garbage) -> None:
    headers = dict(letter.headers)
    kept = tuple(header for header in bad.headers if not header[0].startswith(PREFIX))
    assert [h for h in letter.headers if not h[0].startswith(PREFIX)] == [("name", headers["name"]), *kept]
    assert headers[ERROR_CODE].decode() == bad.code, headers
    assert bad.says in headers[ERROR_MESSAGE].decode()
    assert len(headers[ERROR_MESSAGE]) > 10
    assert (headers[TOPIC], headers[ATTEMPT]) == (
        ECG_RECORDED.encode(),
        b"3" if (ATTEMPT, b"2") in bad.headers else b"1",
    )
    assert int(headers[PARTITION]) == letter.partition
    assert int(headers[OFFSET]) >= 0
    assert not [text for _, text in letter.headers if MARK.encode() in (text or b"")]
