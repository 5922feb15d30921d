"""``diastole alerts`` on a real broker: what is stored is read whole, in order, and nothing else is."""

import asyncio
from pathlib import Path

from aiokafka import AIOKafkaProducer
from alert_cases import RAISED_AT, alert
from assessments import assessed
from typer.testing import CliRunner, Result

from ops.burden.stored import lean, stored_risks
from ops.cli import alerts
from ops.services import RunningBroker
from ops.topics import apply_topics
from schemas.audit import CareAction, CareVerb, Outcome
from schemas.codec import Codec
from schemas.identity import action_id
from schemas.registry import FileRegistry
from streams.topology import CARE_AUDIT, ECG_ALERT, ECG_RISK

CODEC = Codec(FileRegistry())
PATIENTS = [f"P-burden-{number}" for number in range(6)]
RISKS = [
    assessed(100 * bed + day, 0.2 if day < 2 else 0.9, hour=24 * day, patient_id=patient)
    for day in range(5)
    for bed, patient in enumerate(PATIENTS)
]


async def publish(broker: RunningBroker, topic: str, *values: tuple[str, bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    try:
        for key, value in values:
            await producer.send(topic, value, key=key.encode())
        await producer.flush()
    finally:
        await producer.stop()


async def call(broker: RunningBroker, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, alerts.app, [*arguments, "--broker", broker.bootstrap])


async def test_stored_risk_is_replayed_and_labels_come_out(broker: RunningBroker, tmp_path: Path) -> None:
    await apply_topics(broker.bootstrap, 4)
    await publish(broker, ECG_RISK, *((risk.patient_id, CODEC.encode(risk)) for risk in RISKS))
    risks, _ = await stored_risks(broker.bootstrap, CODEC)
    for patient in PATIENTS:
        read = [risk.ecg_id for risk in risks if risk.patient_id == patient]
        assert read == [lean(risk).ecg_id for risk in RISKS if risk.patient_id == patient]

    outcome = await call(broker, "simulate", "--beds", "6", "--since", "2026-03-01")
    assert outcome.exit_code == 0, outcome.output
    assert "ECGs of" in outcome.output  # other tests may have stored some too

    raised = alert(number=71)
    said = CareAction(
        action_id=action_id(verb="OUTCOME", alert_id=raised.alert_id, actor="echo", at="1"),
        alert_id=raised.alert_id,
        verb=CareVerb.OUTCOME,
        actor="echo",
        acted_at=RAISED_AT,
        origin="api",
        outcome=Outcome.CONFIRMED,
    )
    await publish(broker, ECG_ALERT, (raised.patient_id, CODEC.encode(raised)))
    await publish(broker, CARE_AUDIT, (raised.alert_id, CODEC.encode(said)))
    listed = await call(broker, "list")
    assert raised.alert_id in listed.output
    file = tmp_path / "labels.csv"
    written = await call(broker, "labels", str(file))
    assert written.exit_code == 0, written.output
    assert raised.ecg_id in file.read_text()
    assert raised.patient_id not in file.read_text()
