"""``diastole alerts`` on a real broker: what is stored is read whole, in order, and nothing else is."""

import asyncio
from pathlib import Path
from unittest.mock import patch

import numpy as np
from aiokafka import AIOKafkaProducer
from alert_cases import RAISED_AT, alert
from assessments import assessed
from typer.testing import CliRunner, Result

from models.cohorts.paired_writer import write_paired
from models.cohorts.simulated_cohorts import development
from ops.burden.stored import lean, stored_risks
from ops.cli import alerts, main
from ops.services import RunningBroker
from ops.topics import apply_topics
from schemas.alert import AlertRaised
from schemas.audit import CareAction, CareVerb, Outcome
from schemas.codec import Codec
from schemas.identity import action_id
from schemas.leads import LEADS_8
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.topology import CARE_AUDIT, ECG_ALERT, ECG_RECORDED, ECG_RISK

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


def outcome_of(raised: AlertRaised, outcome: Outcome) -> CareAction:
    given = action_id(verb="OUTCOME", alert_id=raised.alert_id, actor="echo", at="1")
    return CareAction(
        action_id=given,
        alert_id=raised.alert_id,
        verb=CareVerb.OUTCOME,
        actor="echo",
        acted_at=RAISED_AT,
        origin="api",
        outcome=outcome,
    )


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
    said = outcome_of(raised, Outcome.CONFIRMED)
    await publish(broker, ECG_ALERT, (raised.patient_id, CODEC.encode(raised)))
    await publish(broker, CARE_AUDIT, (raised.alert_id, CODEC.encode(said)))
    listed = await call(broker, "list")
    assert raised.alert_id in listed.output
    file = tmp_path / "labels.csv"
    written = await call(broker, "labels", str(file))
    assert written.exit_code == 0, written.output
    assert raised.ecg_id in file.read_text()
    assert raised.patient_id not in file.read_text()


class Begun(Exception):  # noqa: N818
    """Training has its data."""


def labels_that_train_gets(folder: Path, alerted: Path) -> dict[str, float]:
    """Run ``diastole train`` up to where training begins, and tell the ensemble's labels."""
    with patch("models.training.recipe.train_bundle", side_effect=Begun) as begun:
        command = ["train", "--cohort", str(folder), "--alerted", str(alerted), "--device", "cpu"]
        done = CliRunner().invoke(main.app, [*command, "--out", str(alerted) + "-run"])
    assert isinstance(done.exception, Begun), done.output
    development = begun.call_args.args[1].development
    rows = [development[i] for i in range(len(development))]
    return {row.key: row.outcomes["is_high_risk"] for row in rows}


async def test_outcomes_reach_training(broker: RunningBroker, tmp_path: Path) -> None:
    await apply_topics(broker.bootstrap, 4)
    raised = [alert(number=800 + number, patient_id=f"P-train-{number}") for number in range(3)]
    for each in raised:
        ecg = EcgRecorded(
            ecg_id=each.ecg_id,
            patient_id=each.patient_id,
            acquired_at=each.acquired_at,
            sample_rate_hz=100.0,
            lead_names=LEADS_8,
            uv_per_unit=5.0,
            samples=np.zeros((8, 1000), np.int16),
        )
        await publish(broker, ECG_RECORDED, (ecg.patient_id, CODEC.encode(ecg)))
        await publish(broker, ECG_ALERT, (each.patient_id, CODEC.encode(each)))
    confirmed, refuted, unknown = raised
    first = outcome_of(confirmed, Outcome.CONFIRMED)
    await publish(broker, CARE_AUDIT, (first.alert_id, CODEC.encode(first)))

    key, alerted, lab = tmp_path / "key", tmp_path / "alerted", tmp_path / "lab"
    assert CliRunner().invoke(main.app, ["identity", "key", str(key)]).exit_code == 0
    cohort = await call(broker, "cohort", str(alerted), "--key-file", str(key))
    assert cohort.exit_code == 0, cohort.output
    assert "P-train" not in (alerted / "cohort.csv").read_text()
    # The other outcome becomes known when the ECGs are written already.
    second = outcome_of(refuted, Outcome.NOT_CONFIRMED)
    await publish(broker, CARE_AUDIT, (second.alert_id, CODEC.encode(second)))
    joined = await call(broker, "labels", str(tmp_path / "labels.csv"), "--into", str(alerted))
    assert joined.exit_code == 0, joined.output
    assert "1 ECGs labelled, 0 changed, 1 left as they are" in joined.output

    write_paired(lab, (development(200)[i] for i in range(200)), name="lab", is_simulated=True)
    found = await asyncio.to_thread(labels_that_train_gets, lab, alerted)
    assert found[confirmed.ecg_id] == 1.0
    assert found[refuted.ecg_id] == 0.0
    assert unknown.ecg_id not in found
    assert len(found) > 50  # beside all comers
