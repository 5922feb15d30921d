"""The waveforms that chaos campaigns are played with, each with what the bundle says of it alone.

Every waveform is measured once, one at a time, in this process: what comes out of the running system, where
it is scored among others by whatever worker, must be the same. Nothing of ``streams`` has a part in it.

::

    <home>/chaos/palette-<hash of the bundle>.json     name → hash of the samples, probability or reasons
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.atomic import write_atomically
from models.bundle import Bundle, load_bundle
from models.cohorts.recorder import RECORDERS, Fault
from models.cohorts.simulated import Course, SimulatedPatient
from models.examination import Examined, examine
from models.manifest import Eligibility
from models.predictor import Predictor
from models.quality import Finding, Reason
from schemas.featurized import EcgFeaturized
from schemas.leads import LEADS_12
from schemas.recorded import EcgRecorded

_AT: Final = datetime(2025, 1, 1, tzinfo=UTC)

#: Patients drawn, at severities from slight to severe; a third of them stays (:func:`decisive`).
_CANDIDATES: Final = 160
#: Carts of 500 and 250 Hz: those of 1000 Hz would only cost Kafka's disk and the harness's time.
_CARTS: Final = tuple(cart for cart in RECORDERS if cart.sample_rate_hz <= 500.0)

#: Scored waveforms that are kept.
_MOST_SCORED: Final = 56

#: A batch of other composition moves a probability by one step of its 4 decimals. Nearer than this to where a
#: decision turns no waveform may come: 50 times that, and 10 times that for the difference of two.
THRESHOLD_MARGIN: Final = 0.01
STEP_MARGIN: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waveform:
    """One waveform and what must be said of it.

    Attributes
    ----------
    ecg : EcgRecorded
        Under a patient and a time of its own; a scenario gives it others.
    probability : float or None
        To 4 decimals; None when it must not be scored.
    reasons : tuple of str
        Why it must not be scored; empty when it is.
    """

    name: str
    ecg: EcgRecorded
    probability: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Where decisions turn: probabilities that waveforms keep away from.

    Attributes
    ----------
    thresholds : tuple of float
        Of the policy and of the bundle.
    step_up : float
        Of the policy: a difference of two probabilities.
    """

    thresholds: tuple[float, ...]
    step_up: float


def decisive(probabilities: Mapping[str, float], turns: Turns, most: int = _MOST_SCORED) -> list[str]:
    """Choose the waveforms of which no decision depends on a hair, in the order given, at most ``most``.

    Examples
    --------
    >>> decisive({"a": 0.2, "b": 0.645, "c": 0.3504}, Turns(thresholds=(0.65,), step_up=0.15))
    ['a']
    """
    chosen: list[str] = []
    for name, probability in probabilities.items():
        is_near = any(abs(probability - at) < THRESHOLD_MARGIN for at in turns.thresholds)
        gaps = (abs(probability - probabilities[other]) for other in chosen)
        if not is_near and not any(abs(gap - turns.step_up) < STEP_MARGIN for gap in gaps):
            chosen.append(name)
        if len(chosen) == most:
            break
    return chosen


def load_palette(home: Path, bundle_folder: Path, turns: Turns) -> tuple[Waveform, ...]:
    """Draw the waveforms and find out what the bundle says of each; measured anew when anything changed.

    Takes about ten seconds the first time, two afterwards.

    Parameters
    ----------
    home : Path
        ``DIASTOLE_HOME``; what was measured is kept below it.
    """
    bundle = load_bundle(bundle_folder)
    turns = replace(turns, thresholds=(*turns.thresholds, bundle.manifest.threshold.probability))
    candidates = dict(_draw())
    known = _measured(home / "chaos" / f"palette-{bundle.sha256[:16]}.json", candidates, bundle)
    waveforms = [
        Waveform(
            name=name,
            ecg=ecg,
            probability=known[name]["probability"],
            reasons=tuple(known[name]["reasons"]),
        )
        for name, ecg in candidates.items()
    ]
    scored = {each.name: each.probability for each in waveforms if each.probability is not None}
    kept = set(decisive(scored, turns))
    return tuple(each for each in waveforms if each.probability is None or each.name in kept)


def _draw() -> Iterator[tuple[str, EcgRecorded]]:
    order = np.random.default_rng(5).permutation(_CANDIDATES)
    for number in order.tolist():
        severity = 0.2 + 0.95 * number / (_CANDIDATES - 1)
        yield f"severity-{severity:.3f}", _patient(number, severity).record(_AT)
    for number, fault in enumerate(Fault):
        yield f"fault-{fault.value.lower()}", _patient(200 + number, 0.4).record(_AT, fault=fault)
    whole = _patient(300, 0.3).record(_AT)
    yield "minor", replace(whole, age_years=12.0)
    yield "paced-as-stated", replace(whole, has_pacemaker=True)
    yield "flat", replace(whole, samples=np.zeros_like(whole.samples))
    yield "slow-rate", replace(whole, sample_rate_hz=60.0, samples=whole.samples[:, :700])
    yield "no-v3", replace(whole, lead_names=_without("V3"), samples=np.delete(whole.samples, 8, axis=0))
    yield "wrong-unit", replace(whole, uv_per_unit=whole.uv_per_unit * 100.0)
    yield "two-leads", replace(whole, lead_names=("I", "II"), samples=whole.samples[:2])


def _patient(number: int, severity: float) -> SimulatedPatient:
    cart = _CARTS[number % len(_CARTS)]
    return SimulatedPatient(seed=770_000 + number, course=Course(start=severity, end=severity), recorder=cart)


def _without(lead: str) -> tuple[str, ...]:
    return tuple(name for name in LEADS_12 if name != lead)


def _measured(path: Path, ecgs: Mapping[str, EcgRecorded], bundle: Bundle) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    digests = {name: _digest(ecg) for name, ecg in ecgs.items()}
    if {name: entry["samples"] for name, entry in known.items()} == digests:
        return known
    predictor = Predictor(bundle, device="cpu", batch_sizes=(1,), threads=1)
    known = {name: {"samples": digests[name], **_measure(ecg, predictor)} for name, ecg in ecgs.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(known, indent=1).encode())
    return known


def _digest(ecg: EcgRecorded) -> str:
    recorded = f"{ecg.sample_rate_hz} {ecg.lead_names} {ecg.uv_per_unit}"
    said = f"{recorded} {ecg.age_years} {ecg.sex} {ecg.has_pacemaker}"
    return hashlib.sha256(said.encode() + ecg.samples.tobytes()).hexdigest()[:16]


def _measure(ecg: EcgRecorded, predictor: Predictor) -> dict[str, Any]:
    stated: list[Finding] = [(Reason.PACED, "")] if ecg.has_pacemaker else []
    (examined,) = examine(
        ecg.samples[np.newaxis],
        sample_rate_hz=ecg.sample_rate_hz,
        lead_names=ecg.lead_names,
        uv_per_unit=ecg.uv_per_unit,
        stated=[stated],
    )
    reasons = _reasons(ecg, examined, predictor.manifest.eligibility)
    if reasons:
        return {"probability": None, "reasons": reasons}
    (prediction,) = predictor.predict([_featurized(ecg, examined)])
    return {"probability": prediction.probability, "reasons": []}


def _reasons(ecg: EcgRecorded, examined: Examined, eligibility: Eligibility) -> Sequence[str]:
    reasons = list(examined.quality.reasons) if examined.model_input_uv is None else []
    if ecg.has_pacemaker and not eligibility.paced_allowed:
        reasons.append("PACED")
    if ecg.age_years is not None and ecg.age_years < eligibility.min_age_years:
        reasons.append(f"AGE_UNDER_{eligibility.min_age_years:g}")
    return sorted(set(reasons))


def _featurized(ecg: EcgRecorded, examined: Examined) -> EcgFeaturized:
    return EcgFeaturized(
        ecg_id=ecg.ecg_id,
        patient_id=ecg.patient_id,
        acquired_at=ecg.acquired_at,
        published_at=ecg.acquired_at,
        quality=examined.quality,
        measurements=examined.measurements,
        model_input_uv=examined.model_input_uv,
        median_beat_uv=examined.median_beat_uv,
        r_peaks=examined.r_peaks,
        age_years=ecg.age_years,
        sex=ecg.sex,
        has_pacemaker=ecg.has_pacemaker,
    )
