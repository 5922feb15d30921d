"""A simulated ward, scored by the real model, for sites without data yet. It says nothing of patients."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from models.cohorts.simulated import Ward
from ops.burden.stored import lean
from schemas.errors import PoisonError
from schemas.recorded import EcgRecorded
from schemas.risk import RiskAssessed
from streams.featurize import featurize
from streams.infer import Scores, infer
from streams.stage import Received

#: When every simulated ward begins: a fixed day, so that the same ward gives the same ECGs.
BEGINS_AT: Final = datetime(2026, 1, 5, 6, tzinfo=UTC)

_BATCH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedWard:
    """A ward and how long it is watched.

    Attributes
    ----------
    every : timedelta
        Time between two ECGs of one bed.
    """

    beds: int = 24
    days: float = 42.0
    every: timedelta = timedelta(days=2)
    seed: int = 1

    @property
    def n_rounds(self) -> int:
        """ECGs of each bed."""
        return int(timedelta(days=self.days) / self.every) + 1


def simulated_risks(
    ward: SimulatedWard, predictor: Scores, on_scored: Callable[[int], None] = lambda n: None
) -> tuple[list[RiskAssessed], dict[str, bool]]:
    """Record, featurize and score, as the stream does.

    Returns
    -------
    (list of RiskAssessed, dict of str to bool)
        In order of acquisition; and what an echocardiogram at that moment would have found, by ``ecg_id``.
    """
    simulated = Ward(beds=ward.beds, seed=ward.seed, since=BEGINS_AT)
    risks: list[RiskAssessed] = []
    labels: dict[str, bool] = {}
    waiting: list[EcgRecorded] = []
    for number in range(ward.n_rounds):
        for bed in range(ward.beds):
            at = BEGINS_AT + ward.every * number + timedelta(minutes=bed)
            ecg = simulated.record(bed, at)
            labels[ecg.ecg_id] = simulated.patient(bed).echo(at).is_high_risk
            waiting.append(ecg)
            if len(waiting) == _BATCH:
                risks += _scored(waiting, predictor)
                on_scored(len(waiting))
                waiting = []
    return [*risks, *_scored(waiting, predictor)], labels


def _scored(ecgs: list[EcgRecorded], predictor: Scores) -> list[RiskAssessed]:
    received = [Received(record=ecg, published_at=ecg.acquired_at) for ecg in ecgs]
    featurized = [each for each in featurize(received) if not isinstance(each, PoisonError)]
    ready = [Received(record=each, published_at=each.acquired_at) for each in featurized]
    assessed = infer(ready, predictor, lambda: BEGINS_AT)
    return [lean(each) for each in assessed if isinstance(each, RiskAssessed)]
