"""ECGFounder's preprocessing as published against ours: the same ECGs, side by side, in one run.

As published are scipy's filters, lead by lead, in one process and in two; ours is
:class:`models.founder_preprocessing.FounderNormalisation` with one thread and with two. Each round runs all
of them in turn, so that whatever else the machine does meets all alike; told is the median over the rounds.
"""

import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from rich.table import Table
from scipy.signal import butter, filtfilt, iirnotch, medfilt

from models.founder_preprocessing import FounderNormalisation
from schemas.featurized import MODEL_INPUT_RATE_HZ, MODEL_INPUT_SAMPLES
from schemas.leads import LEADS_12

_IN_ONE: Final = "as published, one process"
_IN_TWO: Final = "as published, two processes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of preprocessing, measured.

    Attributes
    ----------
    ms_per_ecg : float
        Wall time of a round by its number of ECGs; median over the rounds.
    times_one, times_two : float
        Its throughput over that of the published recipe in one process, and in two: medians of the ratio
        within a round.
    """

    name: str
    ms_per_ecg: float
    times_one: float
    times_two: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All ways, and how far ours is from the published output at most, in deviations of an ECG."""

    ways: tuple[Way, ...]
    max_difference: float


def compare(n_ecgs: int = 64, n_rounds: int = 9, seed: int = 0, pool: Executor | None = None) -> Comparison:
    """Measure all ways; about 0.6 s a round of 64 ECGs, after some seconds to start processes and compile.

    Parameters
    ----------
    n_ecgs : int
        ECGs of a round, which every way preprocesses.
    n_rounds : int
    seed : int
        Of the ECGs.
    pool : Executor, optional
        Where the published recipe runs twice at a time; two fresh processes when not given.
    """
    if pool is None:
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
            return compare(n_ecgs, n_rounds, seed, processes)
    given = torch.from_numpy(draw_ecgs(n_ecgs, seed))
    one, two = FounderNormalisation(n_threads=1), FounderNormalisation(n_threads=2)
    walls = _walls_s(
        {
            _IN_ONE: lambda: _publish(n_ecgs, seed, 0, n_ecgs),
            _IN_TWO: lambda: _publish_in_two(pool, n_ecgs, seed),
            "ours, one thread": lambda: one.from_twelve_leads(given),
            "ours, two threads": lambda: two.from_twelve_leads(given),
        },
        n_rounds,
    )
    published = np.array([as_published(ecg) for ecg in given.numpy()])
    ways = tuple(
        Way(
            name=name,
            ms_per_ecg=float(np.median(wall)) * 1000.0 / n_ecgs,
            times_one=float(np.median(walls[_IN_ONE] / wall)),
            times_two=float(np.median(walls[_IN_TWO] / wall)),
        )
        for name, wall in walls.items()
    )
    difference = np.abs(two.from_twelve_leads(given).numpy() - published).max()
    return Comparison(ways=ways, max_difference=float(difference))


def table_of(comparison: Comparison) -> Table:
    """Lay the comparison out for people."""
    title = f"ECGFounder's preprocessing; outputs differ by {comparison.max_difference:.1e} at most (z-score)"
    table = Table("way", title=title, title_justify="left")
    for heading in ("ms an ECG", "ECG/s", "× published", "× published in two"):
        table.add_column(heading, justify="right")
    for way in comparison.ways:
        table.add_row(
            way.name,
            f"{way.ms_per_ecg:.2f}",
            f"{1000.0 / way.ms_per_ecg:.0f}",
            f"{way.times_one:.1f}",
            f"{way.times_two:.1f}",
        )
    return table


def as_published(mv: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Preprocess one ECG with scipy, lead by lead, in float64: (12, 5000), mV → (12, 5000)."""
    notch = iirnotch(50.0, 30.0, MODEL_INPUT_RATE_HZ)
    band = butter(4, (0.67, 40.0), btype="bandpass", fs=MODEL_INPUT_RATE_HZ)
    rows = []
    for lead in np.nan_to_num(mv.astype(np.float64)):
        filtered = filtfilt(*band, filtfilt(*notch, lead))
        rows.append(filtered - medfilt(filtered, int(0.4 * MODEL_INPUT_RATE_HZ) + 1))
    ecg = np.array(rows)
    return np.asarray((ecg - ecg.mean()) / (ecg.std() + 1e-8))


@lru_cache(maxsize=1)
def draw_ecgs(n_ecgs: int, seed: int) -> npt.NDArray[np.float32]:
    """Draw beats on wander, mains and noise: float32, (n_ecgs, 12, 5000), mV; once a process."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(MODEL_INPUT_SAMPLES) / MODEL_INPUT_RATE_HZ
    rr_s, shift_s = rng.uniform(0.5, 1.3, (2, n_ecgs, 1, 1))
    phase_s = (time_s + shift_s) % rr_s  # (n_ecgs, 1, 5000)
    heights = rng.normal(0.0, 1.0, (n_ecgs, len(LEADS_12), 2))
    ecgs = heights[..., :1] * np.exp(-(((phase_s - 0.2) / 0.012) ** 2))  # QRS
    ecgs += 0.3 * heights[..., 1:] * np.exp(-(((phase_s - 0.45) / 0.05) ** 2))  # T
    ecgs += 0.3 * np.sin(2.0 * np.pi * 0.25 * time_s + heights[..., 1:])
    ecgs += 0.03 * np.sin(2.0 * np.pi * 50.0 * time_s)
    ecgs += rng.normal(0.0, 0.02, ecgs.shape)
    return np.asarray(ecgs, dtype=np.float32)


def _walls_s(ways: Mapping[str, Callable[[], object]], n_rounds: int) -> dict[str, npt.NDArray[np.float64]]:
    for way in ways.values():
        way()  # not counted: draws the ECGs in each process, compiles
    walls = {name: np.empty(n_rounds) for name in ways}
    for i in range(n_rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            walls[name][i] = time.perf_counter() - start
    return walls


def _publish_in_two(pool: Executor, n_ecgs: int, seed: int) -> None:
    half = n_ecgs // 2
    halves = [pool.submit(_publish, n_ecgs, seed, *ends) for ends in ((0, half), (half, n_ecgs))]
    for done in halves:
        done.result()


def _publish(n_ecgs: int, seed: int, first: int, stop: int) -> None:
    """Preprocess some of the drawn ECGs as published, and let them go: sending them back is not measured."""
    for ecg in draw_ecgs(n_ecgs, seed)[first:stop]:
        as_published(ecg)
