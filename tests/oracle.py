"""What must come out of the pipeline, computed from what went in: no broker, no worker, no Redis."""

import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from models.bundle import DEFAULT_BUNDLE, load_bundle
from models.predictor import Predictor
from schemas.alert import AlertClosed, AlertRaised
from schemas.recorded import EcgRecorded
from schemas.risk import RiskAssessed
from streams.alert import decide
from streams.featurize import featurize
from streams.infer import infer
from streams.patient_state import PatientState
from streams.policy import Policy, load_policy
from streams.stage import Received

#: Read from clocks along the way, so they differ between runs of the same ECGs.
TIMES_OF_THE_RUN = frozenset({"assessed_at", "published_at"})

#: A batch of another composition moves float32 sums in their last digits; probabilities are rounded to 1e-4.
TOLERANCE = 2e-4

#: Times read from motion curves are rounded to 0.1 ms, and a hair may round the other way.
TIME_TOLERANCE_MS = 0.101

#: Later than any ECG of a test: one acquired after its publication is not scored.
AT = datetime(2030, 1, 1, tzinfo=UTC)

#: One raised and one closed record exist per alert id.
AlertIdentity = tuple[str, str]


def identity(alert: AlertRaised | AlertClosed) -> AlertIdentity:
    return type(alert).__name__, alert.alert_id


class Oracle:
    """Runs every stage's pure function over ECGs in the order they are given."""

    def __init__(self, policy: Policy | None = None) -> None:
        self._predictor = Predictor(load_bundle(DEFAULT_BUNDLE), device="cpu", threads=1)
        self._policy = policy or load_policy()
        self._states: dict[str, PatientState] = {}
        self.risks: dict[str, RiskAssessed] = {}
        self.dead: set[str] = set()
        self.alerts: dict[AlertIdentity, AlertRaised | AlertClosed] = {}

    def take(self, ecgs: Sequence[EcgRecorded]) -> None:
        """Account for one batch of ECGs."""
        ready = []
        for ecg, featurized in zip(ecgs, featurize([_received(ecg) for ecg in ecgs]), strict=True):
            if isinstance(featurized, Exception):
                self.dead.add(ecg.ecg_id)
            else:
                ready.append(_received(featurized))
        for risk in infer(ready, self._predictor, lambda: AT):
            assert isinstance(risk, RiskAssessed)
            self._decide(risk)

    def _decide(self, risk: RiskAssessed) -> None:
        self.risks.setdefault(risk.ecg_id, risk)
        decision = decide(self._states.get(risk.patient_id), risk, self._policy)
        self._states[risk.patient_id] = decision.state
        self.alerts |= {identity(alert): alert for alert in decision.alerts}


def _received(record: Any) -> Received[Any]:
    return Received(record=record, published_at=AT)


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Name the places in which two records differ by more than the tolerance, times of the run left out."""
    if is_dataclass(ours) and type(ours) is type(theirs):
        names = [f.name for f in fields(ours) if f.name not in TIMES_OF_THE_RUN]
        return [d for n in names for d in differences(getattr(ours, n), getattr(theirs, n), f"{where}.{n}")]
    if isinstance(ours, tuple) and isinstance(theirs, tuple) and len(ours) == len(theirs):
        return [
            d
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
            for d in differences(a, b, f"{where}[{i}]")
        ]
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
        return [] if np.allclose(ours, theirs, atol=TOLERANCE) else [where]
    if isinstance(ours, float) and isinstance(theirs, float):
        at_most = TIME_TOLERANCE_MS if ".motion." in where and where.endswith("_ms") else TOLERANCE
        return [] if math.isclose(ours, theirs, rel_tol=TOLERANCE, abs_tol=at_most) else [where]
    return [] if ours == theirs else [where]
