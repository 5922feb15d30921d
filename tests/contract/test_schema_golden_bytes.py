"""The exact bytes of every record type: whoever changes them changes what other systems must read.

A file in ``golden/`` is never rewritten. A new schema version adds a file beside the old one.
"""

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastavro import schemaless_reader

from schemas.alert import (
    AlarmKind,
    AlertClosed,
    AlertKind,
    AlertRaised,
    CloseReason,
    Priority,
    TechnicalAlarm,
)
from schemas.audit import CareAction, CareScope, CareVerb, Outcome
from schemas.codec import RECORD_TYPES, Codec
from schemas.featurized import EcgFeaturized, Measurements, Quality, StageTiming
from schemas.feed import FeedHealth, RefusalCount
from schemas.leads import LEADS_12
from schemas.mapping import to_plain
from schemas.patient_link import PatientLinked
from schemas.quarantine import EcgQuarantined, Piece, QuarantineAct, QuarantineVerb
from schemas.recorded import CartStatement, EcgRecorded, Sex, Urgency
from schemas.registry import (
    FileRegistry,
    current_schema,
    newest_version,
    parse_record_schema,
    raw_schema,
    schema_ids,
)
from schemas.risk import Contribution, Motion, Phenotype, RiskAssessed

GOLDEN = Path(__file__).parent / "golden"

ECG_ID = "8d6c0b0e-1f7e-5c0a-9a51-5d2a4b8f1c01"
ALERT_ID = "8d6c0b0e-1f7e-5c0a-9a51-5d2a4b8f1c02"
AT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
QUALITY = Quality(acceptable=True, score=0.875, reasons=("LEAD_OFF:V3",))
MEASUREMENTS = Measurements(heart_rate_bpm=61.5, qrs_ms=94.0, qtc_ms=421.25, qrs_axis_deg=-30.0)
TIMING = StageTiming(stage="featurize", queue_ms=1.5, work_ms=20.25, batch_size=8)
STRIP_UV = np.arange(1250, dtype=np.int16) - 600
CURVES_CM_S = np.arange(256, dtype=np.float32).reshape(2, 128) / 16
MOTION = Motion(
    velocities_cm_s=CURVES_CM_S,
    e_prime_septal_cm_s=7.5,
    a_prime_lateral_cm_s=9.0,
    e_over_a=0.875,
    displacement_septal_mm=11.25,
    displacement_lateral_mm=12.5,
    ivct_ms=62.5,
    ivrt_ms=93.75,
    ejection_ms=281.25,
    performance_index=0.5,
    s_prime_septal_sd_cm_s=0.5,
    e_prime_septal_sd_cm_s=1.25,
    a_prime_septal_sd_cm_s=1.0,
    s_prime_lateral_sd_cm_s=0.75,
    e_prime_lateral_sd_cm_s=1.5,
    a_prime_lateral_sd_cm_s=1.75,
)

EXAMPLES: dict[str, Any] = {
    "EcgRecorded": EcgRecorded(
        ecg_id=ECG_ID,
        patient_id="patient-µ-1",
        acquired_at=AT,
        sample_rate_hz=500.0,
        lead_names=LEADS_12,
        uv_per_unit=4.88,
        samples=(np.arange(12 * 20, dtype=np.int16) * 257 - 30_000).reshape(12, 20),
        site_id="site",
        ward_id="ward-3",
        age_years=71.5,
        sex=Sex.FEMALE,
        has_pacemaker=False,
        urgency=Urgency.STAT,
        source_format="DICOM",
        source_uid="1.2.840.1",
        acquired_zone="+01:00",
        is_zone_assumed=True,
        cart=CartStatement(heart_rate_bpm=62.0, qrs_ms=96.0, qtc_ms=418.0, qrs_axis_deg=-31.0),
    ),
    "EcgFeaturized": EcgFeaturized(
        ecg_id=ECG_ID,
        patient_id="p1",
        acquired_at=AT,
        published_at=AT,
        quality=QUALITY,
        measurements=MEASUREMENTS,
        model_input_uv=np.arange(40_000).astype(np.int16).reshape(8, 5000),
        median_beat_uv=(np.arange(4400) * 15 - 32_000).astype(np.int16).reshape(8, 550),
        r_peaks=(10, 510, 1010),
        timings=(TIMING,),
    ),
    "RiskAssessed": RiskAssessed(
        ecg_id=ECG_ID,
        patient_id="p1",
        acquired_at=AT,
        published_at=AT,
        assessed_at=AT,
        phenotype=Phenotype.HIGH,
        bundle_version="2026.1",
        bundle_sha256="ab" * 32,
        quality=QUALITY,
        measurements=MEASUREMENTS,
        not_for_text="Not for diagnosis.",
        probability=0.7312,
        probability_low=0.61,
        probability_high=0.8,
        contributions=(Contribution(name="motion", log_odds=0.5),),
        motion=MOTION,
        rhythm_strip_uv=STRIP_UV,
        timings=(TIMING, TIMING),
    ),
    "AlertRaised": AlertRaised(
        alert_id=ALERT_ID,
        kind=AlertKind.ENTERED_HIGH,
        patient_id="p1",
        episode_ecg_id=ECG_ID,
        ecg_id=ECG_ID,
        acquired_at=AT,
        assessed_at=AT,
        published_at=AT,
        first_seen=False,
        probability=0.7312,
        probability_low=None,
        probability_high=None,
        policy_version="1",
        bundle_version="2026.1",
        bundle_sha256="ab" * 32,
        change_text="Risk rose from 0.20 to 0.73.",
        not_for_text="Not for diagnosis.",
        quality=QUALITY,
        measurements=MEASUREMENTS,
        probability_before=0.2,
        before_ecg_id=ECG_ID,
        before_acquired_at=AT,
        contributions=(Contribution(name="motion", log_odds=0.5),),
        motion=MOTION,
        rhythm_strip_uv=STRIP_UV,
    ),
    "AlertClosed": AlertClosed(
        alert_id=ALERT_ID,
        patient_id="p1",
        ecg_id=ECG_ID,
        acquired_at=AT,
        reason=CloseReason.RETURNED_LOW,
        probability=0.125,
        policy_version="1",
    ),
    "TechnicalAlarm": TechnicalAlarm(
        alarm_id=ALERT_ID,
        kind=AlarmKind.STAGE_BEHIND,
        priority=Priority.MEDIUM,
        source="infer",
        started_at=AT,
        message="infer is 120 s behind.",
        action_text="Start another worker.",
        ended_at=AT,
    ),
    "CareAction": CareAction(
        action_id=ALERT_ID,
        alert_id=ALERT_ID,
        verb=CareVerb.ACKNOWLEDGED,
        actor="nurse-7",
        acted_at=AT,
        origin="board",
        channel="pager",
        recipient="charge nurse",
        expires_at=AT,
        scope=CareScope.WARD,
        subject="ward-3",
        site_id="site",
        level=1,
        outcome=Outcome.CONFIRMED,
    ),
    "EcgQuarantined": EcgQuarantined(
        quarantine_id=ALERT_ID,
        received_at=AT,
        code="NO_PATIENT",
        reason="The file names no patient; name it.",
        feed="dicom",
        source="CART7",
        site_id="site",
        source_format="DICOM",
        n_bytes=240_000,
        pieces=(Piece(partition=3, offset=2**40), Piece(partition=3, offset=2**40 + 1)),
        is_sealed=True,
    ),
    "QuarantineAct": QuarantineAct(
        act_id=ALERT_ID,
        quarantine_id=ALERT_ID,
        verb=QuarantineVerb.CORRECTED,
        actor="engineer-2",
        acted_at=AT,
        origin="command",
        reason="Asked the ward.",
        correction=b"sealed",
        ecg_id=ECG_ID,
        code="NO_TIME",
    ),
    "FeedHealth": FeedHealth(
        feed="dicom",
        source="CART7",
        site_id="site",
        reported_at=AT,
        n_received=7,
        n_accepted=4,
        n_repeated=1,
        n_quarantined=2,
        last_received_at=AT,
        last_acquired_at=AT,
        refusals=(RefusalCount(code="NO_PATIENT", count=2),),
        rate_per_h=0.25,
        clock_skew_s=-1.5,
        gaps_s=(600.0, 900.5),
        silent_after_s=3600.0,
        silent_since=AT,
    ),
    "PatientLinked": PatientLinked(
        prior_patient_id="p2",
        surviving_patient_id="p1",
        linked_at=AT,
        origin="adt-a40",
        actor="ADT",
        is_undone=True,
    ),
}

#: What earlier versions could not carry, as their golden bytes read today.
EARLIER_MOTION = Motion(velocities_cm_s=CURVES_CM_S, e_prime_septal_cm_s=7.5)
EARLIER: dict[str, Any] = {
    "EcgRecorded.1": replace(EXAMPLES["EcgRecorded"], acquired_zone="", is_zone_assumed=False, cart=None),
    "CareAction.1": CareAction(
        action_id=ALERT_ID,
        alert_id=ALERT_ID,
        verb=CareVerb.ACKNOWLEDGED,
        actor="nurse-7",
        acted_at=AT,
        origin="board",
    ),
    "CareAction.2": replace(EXAMPLES["CareAction"], site_id=""),
    "TechnicalAlarm.1": replace(EXAMPLES["TechnicalAlarm"], ended_at=None),
    "EcgFeaturized.1": replace(EXAMPLES["EcgFeaturized"], median_beat_uv=None),
    "RiskAssessed.1": replace(EXAMPLES["RiskAssessed"], motion=EARLIER_MOTION),
    "AlertRaised.1": replace(EXAMPLES["AlertRaised"], motion=EARLIER_MOTION),
}


def plainly(held: Any) -> Any:
    """A form in which records with arrays can be compared."""
    if is_dataclass(held):
        return {field.name: plainly(getattr(held, field.name)) for field in fields(held)}
    if isinstance(held, np.ndarray):
        return held.dtype.name, held.shape, held.tobytes()
    if isinstance(held, tuple):
        return tuple(plainly(each) for each in held)
    return type(held), held


@pytest.fixture
def codec() -> Codec:
    return Codec(FileRegistry())


def test_every_record_type_has_an_example() -> None:
    assert EXAMPLES.keys() == RECORD_TYPES.keys()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_record_is_written_as_its_golden_bytes(codec: Codec, name: str) -> None:
    golden = bytes.fromhex((GOLDEN / f"{name}.{newest_version(name)}.hex").read_text())
    assert codec.encode(EXAMPLES[name]) == golden


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.hex")), ids=lambda path: path.stem)
def test_golden_bytes_of_every_version_are_still_read(codec: Codec, path: Path) -> None:
    name = path.stem.partition(".")[0]
    record: Any = codec.decode(bytes.fromhex(path.read_text()), RECORD_TYPES[name])
    assert plainly(record) == plainly(EARLIER.get(path.stem, EXAMPLES[name]))


def test_every_version_has_golden_bytes_and_every_earlier_one_an_example() -> None:
    versions = {f"{name}.{version}" for name, ids in schema_ids().items() for version in ids}
    assert {path.stem for path in GOLDEN.glob("*.hex")} == versions
    newest = {f"{name}.{newest_version(name)}" for name in schema_ids()}
    assert EARLIER.keys() == versions - newest


@pytest.mark.parametrize("name", sorted({stem.partition(".")[0] for stem in EARLIER}))
def test_readers_of_the_first_version_read_the_newest_bytes(codec: Codec, name: str) -> None:
    """As a consumer that has not been updated does: with its own schema, by Avro's resolution."""
    payload = BytesIO(codec.encode(EXAMPLES[name]))
    payload.seek(5)
    read: Any = schemaless_reader(payload, current_schema(name), parse_record_schema(raw_schema(name, 1)))
    assert payload.read() == b""
    earlier = to_plain(EARLIER[f"{name}.1"])
    assert read.keys() == {field["name"] for field in raw_schema(name, 1)["fields"]}
    assert {key: held for key, held in read.items() if key != "motion"} == {
        key: held for key, held in earlier.items() if key in read and key != "motion"
    }
    if "motion" in read:
        assert read["motion"] == {key: to_plain(MOTION)[key] for key in read["motion"]}
        assert len(read["motion"]) == 7


def test_arrays_come_back_as_read_only_views_without_a_copy(codec: Codec) -> None:
    payload = codec.encode(EXAMPLES["EcgFeaturized"])
    model_input = codec.decode(payload, EcgFeaturized).model_input_uv
    assert model_input is not None
    assert not model_input.flags.writeable
    assert not model_input.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        model_input[0, 0] = 1
