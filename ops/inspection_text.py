"""An inspection as lines for people and as JSON for programs."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ops.inspection import Inspection
from ops.rendering import decimal, plain, reason_words
from schemas.featurized import Measurements
from schemas.recorded import CartStatement, EcgRecorded
from streams.feeds.quarantine.mending import what_mends
from streams.feeds.refusal import CORRECTABLE

#: What stands in place of a patient's identifier that is not to be shown.
HIDDEN: Final = "(hidden)"

_UNITS: Final = {"_bpm": "/min", "_ms": "ms", "_deg": "°"}
_NAMES: Final = {
    "heart_rate_bpm": "heart rate",
    "p_duration_ms": "P duration",
    "pr_ms": "PR",
    "qrs_ms": "QRS",
    "qt_ms": "QT",
    "qtc_ms": "QTc",
    "p_axis_deg": "P axis",
    "qrs_axis_deg": "QRS axis",
    "t_axis_deg": "T axis",
}
_NAME_CHARS: Final = 14


def verdict_lines(inspection: Inspection) -> Iterator[str]:
    """Say whether it would be accepted, and what to do where not."""
    if not inspection.refusals:
        yield "would be accepted"
    for refusal in inspection.refusals:
        yield f"would be refused, {refusal.reason}: {refusal}"
        how = " (diastole quarantine correct --help)" if refusal.reason in CORRECTABLE else ""
        yield f"  once it is in quarantine: {what_mends(refusal.reason)}{how}"


def fact_lines(inspection: Inspection, *, hide_patient: bool) -> Iterator[str]:
    """Say what was read, one fact a line; nothing when nothing was."""
    ecg = inspection.ecg
    if ecg is None:
        return
    for name, said in _facts(inspection, ecg, hide_patient=hide_patient):
        yield f"{name:<{_NAME_CHARS}}{said}"
    for note in inspection.notes:
        yield f"{'note':<{_NAME_CHARS}}{note}"


def measurement_lines(inspection: Inspection) -> Iterator[str]:
    """Put the cart's own measurements beside ours; a dash where there is none."""
    if inspection.ecg is None or inspection.featurized is None:
        return
    cart, ours = inspection.ecg.cart or CartStatement(), inspection.featurized.measurements
    yield f"{'':<{_NAME_CHARS}}{'cart':>8}{'ours':>8}"
    for field in fields(CartStatement):
        yield _measurement_line(field.name, cart, ours)


def quality_lines(inspection: Inspection) -> Iterator[str]:
    """Say how good the recording is, and whether it would be scored."""
    if inspection.featurized is None:
        return
    quality = inspection.featurized.quality
    why = f": {reason_words(quality.reasons)}" if quality.reasons else ""
    yield f"{'quality':<{_NAME_CHARS}}{quality.score:.2f} of 1{why}"
    if inspection.not_scored:
        yield f"{'scoring':<{_NAME_CHARS}}would be NOT_SCORED: {reason_words(tuple(inspection.not_scored))}"
    else:
        yield f"{'scoring':<{_NAME_CHARS}}would be scored (diastole explain says how)"


def as_json(inspection: Inspection, *, hide_patient: bool) -> dict[str, Any]:
    """Give all of it as what JSON can carry, samples left out."""
    ecg: dict[str, Any] | None = None
    if inspection.ecg is not None:
        ecg = plain(inspection.ecg)
        ecg["seconds"] = round(inspection.ecg.samples.shape[1] / inspection.ecg.sample_rate_hz, 3)
        if hide_patient or not inspection.names_patient:
            ecg["patient_id"] = None
        if not inspection.has_time:
            ecg["acquired_at"] = None
    featurized = inspection.featurized
    return {
        "accepted": not inspection.refusals,
        "refusals": [
            {
                "reason": each.reason.value,
                "message": str(each),
                "mends": what_mends(each.reason),
                "correctable": each.reason in CORRECTABLE,
            }
            for each in inspection.refusals
        ],
        "ecg": ecg,
        "notes": list(inspection.notes),
        "measurements": None if featurized is None else plain(featurized.measurements),
        "quality": None if featurized is None else plain(featurized.quality),
        "not_scored_reasons": list(inspection.not_scored),
    }


def acquired_text(ecg: EcgRecorded) -> str:
    """Say when it was recorded: in UTC, and by the clock of the source."""
    utc = f"{ecg.acquired_at:%Y-%m-%d %H:%M:%S} UTC"
    zone = _zone(ecg.acquired_zone)
    if zone is None or ecg.acquired_zone == "UTC":
        return f"{utc}, zone assumed" if ecg.is_zone_assumed else utc
    local = f"{ecg.acquired_at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    how = "assumed, the file states none" if ecg.is_zone_assumed else "as the file states"
    return f"{utc} = {local} {ecg.acquired_zone} ({how})"


def _facts(inspection: Inspection, ecg: EcgRecorded, *, hide_patient: bool) -> Iterator[tuple[str, str]]:
    patient = ecg.patient_id if inspection.names_patient else "not stated"
    seconds = ecg.samples.shape[1] / ecg.sample_rate_hz
    yield "format", ", ".join(filter(None, (ecg.source_format, ecg.source_system)))
    yield "patient", HIDDEN if hide_patient and inspection.names_patient else patient
    yield "acquired", acquired_text(ecg) if inspection.has_time else "not stated"
    yield "where", _where(ecg)
    yield "who", _who(ecg)
    yield "recording", f"{seconds:.1f} s at {ecg.sample_rate_hz:g} Hz, {ecg.uv_per_unit:g} µV per unit"
    yield "leads", f"{len(ecg.lead_names)}: {', '.join(ecg.lead_names)}"


def _where(ecg: EcgRecorded) -> str:
    stated = (("site", ecg.site_id), ("ward", ecg.ward_id), ("device", ecg.device_id))
    return ", ".join(f"{name} {said}" for name, said in stated if said) or "not stated"


def _who(ecg: EcgRecorded) -> str:
    age = "age not stated" if ecg.age_years is None else f"{ecg.age_years:g} years"
    pacemaker = {None: "pacemaker not stated", True: "pacemaker", False: "no pacemaker"}[ecg.has_pacemaker]
    return f"{age}, sex {ecg.sex.lower()}, {pacemaker}"


def _measurement_line(name: str, cart: CartStatement, ours: Measurements) -> str:
    unit = next(unit for ending, unit in _UNITS.items() if name.endswith(ending))
    columns = "".join(f"{decimal(getattr(of, name), 0):>8}" for of in (cart, ours))
    return f"{_NAMES[name]:<{_NAME_CHARS}}{columns} {unit}"


def _zone(name: str) -> tzinfo | None:
    """Zone of a name or an offset like ``+01:00``; None of anything else."""
    sign, hours, minutes = name[:1], name[1:3], name[4:6]
    if sign in ("+", "-") and hours.isdigit() and minutes.isdigit():
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-offset if sign == "-" else offset) if offset < timedelta(days=1) else None
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
