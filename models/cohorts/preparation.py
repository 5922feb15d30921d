"""Rows of a cohort → what the model reads, by the running pipeline's own code."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError
from models.cohorts.rows import CohortEcg, RowSource
from models.cohorts.unitless import WAIVED, scale_uv_per_unit, without_voltages
from models.examination import Examined, examine
from models.features import COLUMN_NAMES, Person, feature_row
from models.quality import RULES, Finding, Reason
from models.resample import DURATION_S
from models.signal import is_supported_rate
from schemas.featurized import MEDIAN_BEAT_SAMPLES, MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES, Quality

#: Outcome by which a source says that it knows of a pacemaker: 1 makes the ECG ``PACED``.
HAS_PACEMAKER: Final = "has_pacemaker"
#: Texts that are kept of a row.
TEXTS: Final = ("key", "patient_key", "split", "centre")
#: Longest of them: they lie in arrays of this width.
MOST_CHARS: Final = 64
VELOCITY_SHAPE: Final = (2, 128)

#: ECGs examined at once. Some 2 MB each while they are: it is this that bounds the memory of a worker.
_BATCH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedRows:
    """What became of some consecutive rows of a source; those left out are in none of the arrays.

    Attributes
    ----------
    stop : int
        The source's row after the last of these.
    source_rows : numpy.ndarray
        int64, (n,): which row of the source each is.
    texts : mapping of str to list of str
        One list for each of :data:`TEXTS`.
    inputs_uv, beats_uv, features, velocities_cm_s : numpy.ndarray
        As in :class:`models.cohorts.featurized.Cohort`.
    outcomes : numpy.ndarray
        float64, (n, len(outcome_names)).
    left_out : list of (str, str)
        Reason and key of each row that was left out, in order.
    """

    stop: int
    source_rows: npt.NDArray[np.int64]
    texts: Mapping[str, list[str]]
    inputs_uv: npt.NDArray[np.int16]
    beats_uv: npt.NDArray[np.int16]
    features: npt.NDArray[np.float32]
    velocities_cm_s: npt.NDArray[np.float32]
    outcome_names: tuple[str, ...]
    outcomes: npt.NDArray[np.float64]
    left_out: list[tuple[str, str]]


def prepare(source: RowSource, start: int, stop: int) -> PreparedRows:
    """Read and examine rows ``start`` to before ``stop`` of a source, at least one.

    A row that cannot be conditioned, or that the running pipeline would not score, is left out with the
    reason that weighs first. Amplitudes without a unit are treated as :mod:`models.cohorts.unitless` says.

    Raises
    ------
    CohortError
        When a row contradicts itself, or has other outcomes than the others.

    Notes
    -----
    What becomes of a row depends on that row alone, bit for bit, whatever the range it is read in.
    """
    taken = _Taken(stop=stop)
    waiting: defaultdict[tuple[object, ...], list[tuple[int, CohortEcg]]] = defaultdict(list)
    for row in range(start, stop):
        ecg = _first_10_s(_checked(source[row], row))
        taken.note(row, ecg)
        alike = waiting[_alikeness(ecg)]
        alike.append((row, ecg))
        if len(alike) == _BATCH:
            taken.examine(alike)
            alike.clear()
        elif sum(map(len, waiting.values())) == 2 * _BATCH:  # many kinds, a few of each
            taken.examine_all(waiting)
    taken.examine_all(waiting)
    return taken.in_arrays()


def leading_reason(quality: Quality) -> str:
    """Name what keeps an ECG from being scored: the first reason of :data:`models.quality.RULES` that does.

    Examples
    --------
    >>> leading_reason(Quality(acceptable=False, score=0.0, reasons=("FLAT:V1", "NO_BEATS", "NOISE:V2")))
    'FLAT'
    """
    found = [reason.partition(":")[0] for reason in quality.reasons]
    return next(str(reason) for reason, rule in RULES.items() if found.count(reason) >= rule.blocks_from)


@dataclass(slots=True, kw_only=True, eq=False)
class _Taken:
    """Rows that were read, of which batches are examined in any order."""

    stop: int
    ecgs: dict[int, CohortEcg] = field(default_factory=dict)
    usable: dict[int, tuple[Examined, list[float]]] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    outcome_names: tuple[str, ...] | None = None

    def note(self, row: int, ecg: CohortEcg) -> None:
        """Keep what is known beside the samples."""
        names = tuple(ecg.outcomes)
        if self.outcome_names is None:
            self.outcome_names = names
        require_same_outcomes(f"row {row}", names, self.outcome_names)
        self.ecgs[row] = replace(ecg, samples=np.zeros((0, 0), dtype=np.int16))

    def examine_all(self, waiting: Mapping[tuple[object, ...], list[tuple[int, CohortEcg]]]) -> None:
        """Examine and forget all that wait."""
        for alike in waiting.values():
            self.examine(alike)
            alike.clear()

    def examine(self, alike: Sequence[tuple[int, CohortEcg]]) -> None:
        """Examine ECGs of one rate, length, leads and kind of unit."""
        results = _examine([ecg for _, ecg in alike]) if alike else []
        for (row, ecg), examined in zip(alike, results, strict=True):
            if examined.model_input_uv is None:
                self.left_out[row] = leading_reason(examined.quality)
                continue
            features = feature_row(examined.measurements, Person(age_years=ecg.age_years, sex=ecg.sex))
            self.usable[row] = examined, without_voltages(features) if ecg.uv_per_unit is None else features

    def in_arrays(self) -> PreparedRows:
        """Put what is usable into arrays, in the source's order."""
        rows = sorted(self.usable)
        ecgs = [self.ecgs[row] for row in rows]
        n, names = len(rows), self.outcome_names or ()
        inputs = np.zeros((n, MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES), dtype=np.int16)
        beats = np.zeros((n, MODEL_INPUT_LEADS, MEDIAN_BEAT_SAMPLES), dtype=np.int16)
        velocities = np.full((n, *VELOCITY_SHAPE), np.nan, dtype=np.float32)
        for i, (row, ecg) in enumerate(zip(rows, ecgs, strict=True)):
            examined = self.usable[row][0]
            if examined.model_input_uv is not None:
                inputs[i] = examined.model_input_uv
            if examined.median_beat_uv is not None:
                beats[i] = examined.median_beat_uv
            if ecg.velocities_cm_s is not None:
                velocities[i] = ecg.velocities_cm_s
        features = np.array([self.usable[row][1] for row in rows], dtype=np.float32)
        outcomes = np.array([list(ecg.outcomes.values()) for ecg in ecgs], dtype=np.float64)
        return PreparedRows(
            stop=self.stop,
            source_rows=np.array(rows, dtype=np.int64),
            texts={name: [getattr(ecg, name) for ecg in ecgs] for name in TEXTS},
            inputs_uv=inputs,
            beats_uv=beats,
            features=features.reshape(n, len(COLUMN_NAMES)),
            velocities_cm_s=velocities,
            outcome_names=names,
            outcomes=outcomes.reshape(n, len(names)),
            left_out=[(reason, self.ecgs[row].key) for row, reason in sorted(self.left_out.items())],
        )


def require_same_outcomes(who: str, names: Sequence[str], expected: Sequence[str]) -> None:
    """Raise CohortError unless the outcomes are the expected ones, in the expected order."""
    if tuple(names) != tuple(expected):
        raise CohortError(
            f"{who} has the outcomes [{', '.join(names)}], rows before it [{', '.join(expected)}]: "
            "give all rows the same, NaN where one is not known"
        )


def _examine(alike: Sequence[CohortEcg]) -> list[Examined]:
    first = alike[0]
    samples = np.stack([ecg.samples for ecg in alike])  # (n_ecgs, n_rows, n_samples)
    has_unit = first.uv_per_unit is not None
    stated: list[list[Finding]] = [
        [(Reason.PACED, "")] if ecg.outcomes.get(HAS_PACEMAKER) == 1.0 else [] for ecg in alike
    ]
    return examine(
        samples,
        sample_rate_hz=first.sample_rate_hz,
        lead_names=first.lead_names,
        uv_per_unit=np.array([ecg.uv_per_unit for ecg in alike]) if has_unit else scale_uv_per_unit(samples),
        stated=stated,
        waived=() if has_unit else WAIVED,
    )


def _alikeness(ecg: CohortEcg) -> tuple[object, ...]:
    has_unit = ecg.uv_per_unit is not None
    return ecg.sample_rate_hz, ecg.samples.shape, ecg.samples.dtype.str, ecg.lead_names, has_unit


def _checked(ecg: CohortEcg, row: int) -> CohortEcg:
    if ecg.samples.ndim != 2 or len(ecg.samples) != len(ecg.lead_names):
        raise CohortError(
            f"row {row} has samples of shape {ecg.samples.shape} for {len(ecg.lead_names)} lead names: "
            "give one row of samples for each lead"
        )
    if ecg.uv_per_unit is not None and not 0 < ecg.uv_per_unit < np.inf:
        raise CohortError(f"row {row} has {ecg.uv_per_unit} µV per unit: give a positive number, or none")
    if ecg.velocities_cm_s is not None and ecg.velocities_cm_s.shape != VELOCITY_SHAPE:
        raise CohortError(f"row {row} has velocities of shape {ecg.velocities_cm_s.shape}, not (2, 128)")
    return ecg


def _first_10_s(ecg: CohortEcg) -> CohortEcg:
    """Without what conditioning does not look at, and no view of a larger array."""
    if not is_supported_rate(ecg.sample_rate_hz):
        return ecg
    n_looked_at = int(np.ceil(DURATION_S * ecg.sample_rate_hz)) + 1
    return replace(ecg, samples=np.array(ecg.samples[:, :n_looked_at]))
