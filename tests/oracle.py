"""What must come out of the pipeline, computed in memory from what went in: no broker, no worker, no Redis."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import islice
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
from streams.policy import Policy
from streams.stage import Received

#: Read from clocks along the way, so they differ between runs of the same ECGs.
TIMES_OF_THE_RUN = {"assessed_at", "published_at"}

AT = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 32


@dataclass(kw_only=True)
class Expected:
    """The fate of every ECG and the alerts that follow."""

    risks: dict[str, RiskAssessed] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    alerts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    @property
    def phenotypes(self) -> Counter[str]:
        """How many ECGs ended as HIGH, LOW and NOT_SCORED."""
        return Counter(risk.phenotype for risk in self.risks.values())


def content(alert: AlertRaised | AlertClosed) -> dict[str, Any]:
    """Everything an alert says, as comparable values, without the times of the run."""
    said = {f.name: getattr(alert, f.name) for f in fields(alert) if f.name not in TIMES_OF_THE_RUN}
    strip = said.get("rhythm_strip_uv")
    if isinstance(strip, np.ndarray):
        said["rhythm_strip_uv"] = strip.tobytes()
    return said


def identity(alert: AlertRaised | AlertClosed) -> tuple[str, str]:
    """One raised and one closed record exist per alert id."""
    return type(alert).__name__, alert.alert_id


def batches(ecgs: Iterable[EcgRecorded]) -> Iterator[Sequence[Received[EcgRecorded]]]:
    """Cut the stream as the workers would on a quiet machine."""
    arriving = iter(ecgs)
    while taken := list(islice(arriving, BATCH)):
        yield [Received(record=ecg, published_at=AT) for ecg in taken]


def expect(ecgs: Iterable[EcgRecorded], policy: Policy) -> Expected:
    """Run every stage's pure function over the ECGs in the order given."""
    predictor = Predictor(load_bundle(DEFAULT_BUNDLE), device="cpu")
    expected = Expected()
    states: dict[str, PatientState] = {}
    for batch in batches(ecgs):
        ready = []
        for received, featurized in zip(batch, featurize(batch), strict=True):
            if isinstance(featurized, Exception):
                expected.dead.append(received.record.ecg_id)
            else:
                ready.append(Received(record=featurized, published_at=AT))
        for risk in infer(ready, predictor, lambda: AT):
            assert isinstance(risk, RiskAssessed)
            expected.risks.setdefault(risk.ecg_id, risk)
            decision = decide(states.get(risk.patient_id), risk, policy)
            states[risk.patient_id] = decision.state
            expected.alerts |= {identity(alert): content(alert) for alert in decision.alerts}
    return expected
