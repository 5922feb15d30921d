"""Rows of a simulated cohort, some of them spoilt, that count their reads and fail when told to."""

import os
import signal
from dataclasses import dataclass, field, replace

from models.cohorts.rows import CohortEcg, Provenance
from models.cohorts.simulated_cohorts import SimulatedCohort, doppler


class PowerCut(BaseException):
    """What nothing in the code under test may answer."""


@dataclass
class Rows:
    """Simulated rows, some of them spoilt, that count how often they are read."""

    cohort: SimulatedCohort = field(default_factory=lambda: doppler(22))
    details: str = "all"
    fails_at: int | None = None
    dies_at: int | None = None
    spoilt: bool = True
    has_unit: bool = True
    reads: list[int] = field(default_factory=list)

    @property
    def provenance(self) -> Provenance:
        return Provenance(
            name="rows", is_simulated=True, details=self.details, left_out={"SPLIT_NOT_ASKED_FOR": 4}
        )

    def __len__(self) -> int:
        return len(self.cohort)

    def __getitem__(self, i: int, /) -> CohortEcg:
        self.reads.append(i)
        if i == self.fails_at:
            raise PowerCut
        if i == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        ecg = self.cohort[i]
        if self.spoilt and i % 8 == 3:  # too short
            ecg = replace(ecg, samples=ecg.samples[:, :1500])
        if self.spoilt and i % 8 == 5:  # one chest lead missing
            ecg = replace(ecg, samples=ecg.samples[:-1], lead_names=ecg.lead_names[:-1])
        if not self.has_unit:
            ecg = replace(ecg, uv_per_unit=None)
        return replace(ecg, split="train" if i % 2 else "val")
