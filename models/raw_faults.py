"""Faults that show only in the samples as recorded: leads off, clipping, pacing spikes."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from models.quality import Finding, Reason
from schemas.leads import LEADS_12

Raw = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

#: A lead is off when it stands still for 1 s: on skin an electrode always drifts and hums. Looked at in
#: blocks of 250 ms, of which a second holds at least three whole ones.
_BLOCK_S: Final = 0.25
_STILL_BLOCKS: Final = 3
#: A rail is run into with more than 20 µV (4 units of 5 µV) from one sample to the next and then held; a top
#: of a T wave is held too but reached in single units. Three times, so that one quantised R top is none.
_RAIL_STEP_MV: Final = 0.02
_RAIL_TIMES: Final = 3
_RAIL_HELD_S: Final = 0.1
_RAIL_LEAST_MV: Final = 0.3
#: A pacing spike is 0.5–2 ms wide, after a 150 Hz filter and at 500 Hz up to 6 ms. Slower rates may miss it.
_SPIKE_RATE_HZ: Final = 400.0
_SPIKE_S: Final = 0.006
_SPIKE_MV: Final = 0.25
#: Beside a spike the signal moves by less than a quarter of it; beside the top of an R it falls on.
_SPIKE_FLANK: Final = 0.25
#: It also stands out of what noise does in the same time, whose largest within 10 s lies at some 4 σ.
_SPIKE_OVER_NOISE: Final = 8.0
_SPIKE_LEADS: Final = 2
_SPIKES: Final = 5


def raw_findings(raw_mv: Raw, *, sample_rate_hz: float, given: Sequence[str]) -> list[list[Finding]]:
    """Find the faults of each ECG of a batch of equally recorded ones.

    Parameters
    ----------
    raw_mv : numpy.ndarray
        float32, (n_ecgs, 12, n_samples), mV, unfiltered (:func:`models.signal.twelve_leads_mv`).
    given : sequence of str
        Leads that were recorded; derived ones would repeat their findings.
    """
    rows = [LEADS_12.index(lead) for lead in given]
    recorded = np.ascontiguousarray(raw_mv[:, rows])  # (n_ecgs, n_given, n_samples)
    off = is_off(recorded, sample_rate_hz)
    clipped = is_clipped(recorded, sample_rate_hz) & ~off
    paced = has_pacing_spikes(recorded, sample_rate_hz)
    return [
        [(Reason.LEAD_OFF, lead) for lead, is_it in zip(given, off[i], strict=True) if is_it]
        + [(Reason.CLIPPED, lead) for lead, is_it in zip(given, clipped[i], strict=True) if is_it]
        + ([(Reason.PACED, "")] if paced[i] else [])
        for i in range(len(recorded))
    ]


def is_off(recorded_mv: Raw, sample_rate_hz: float) -> Flags:
    """Whether each lead stands still for a second somewhere, (n_ecgs, n_leads)."""
    block = round(_BLOCK_S * sample_rate_hz)
    n_blocks = recorded_mv.shape[-1] // block
    blocks = recorded_mv[..., : n_blocks * block].reshape(*recorded_mv.shape[:-1], n_blocks, block)
    still = blocks.max(axis=-1) == blocks.min(axis=-1)  # (n_ecgs, n_leads, n_blocks)
    run = still[..., :-2] & still[..., 1:-1] & still[..., 2:]
    return np.asarray(run.any(axis=-1))


def is_clipped(recorded_mv: Raw, sample_rate_hz: float) -> Flags:
    """Whether each lead runs into its highest or lowest value and is held there, (n_ecgs, n_leads)."""
    middle = np.median(recorded_mv[..., ::10], axis=-1)
    top, bottom = recorded_mv.max(axis=-1), recorded_mv.min(axis=-1)
    high = _hits_rail(recorded_mv, top, sample_rate_hz) & (top - middle >= _RAIL_LEAST_MV)
    low = _hits_rail(-recorded_mv, -bottom, sample_rate_hz) & (middle - bottom >= _RAIL_LEAST_MV)
    return np.asarray(high | low)


def _hits_rail(recorded_mv: Raw, rail_mv: Raw, sample_rate_hz: float) -> Flags:
    at_rail = recorded_mv >= rail_mv[..., None]
    held = at_rail[..., 1:-1] & at_rail[..., 2:]
    # Most leads touch their extreme once: only those that are held somewhere are looked at closely.
    hit = np.zeros(rail_mv.shape, dtype=bool)
    for index in zip(*np.nonzero(held.sum(axis=-1) >= _RAIL_TIMES), strict=True):
        jumped = recorded_mv[index][:-2] < rail_mv[index] - _RAIL_STEP_MV
        times = int((held[index] & jumped).sum())
        n_held = int(held[index].sum())
        longest_s = _longest_run(held[index]) / sample_rate_hz
        hit[index] = (times >= _RAIL_TIMES and n_held >= _RAIL_TIMES) or longest_s >= _RAIL_HELD_S
    return hit


def _longest_run(flags: Flags) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def has_pacing_spikes(recorded_mv: Raw, sample_rate_hz: float) -> Flags:
    """Whether spikes narrower than any QRS stand in two leads at once, five times and more, (n_ecgs,)."""
    if sample_rate_hz < _SPIKE_RATE_HZ:
        return np.zeros(len(recorded_mv), dtype=bool)
    k = max(round(_SPIKE_S * sample_rate_hz), 2)
    return np.array([_count_spikes(ecg, k) >= _SPIKES for ecg in recorded_mv])


def _count_spikes(leads_mv: Raw, k: int) -> int:
    rise = leads_mv[:, 2 * k : -2 * k] - leads_mv[:, k : -3 * k]
    fall = leads_mv[:, 2 * k : -2 * k] - leads_mv[:, 3 * k : -k]
    height = np.where(rise * fall > 0, np.minimum(np.abs(rise), np.abs(fall)), 0)
    restless = np.median(np.abs(rise[:, ::7]), axis=1, keepdims=True)
    tall = height >= np.maximum(_SPIKE_MV, _SPIKE_OVER_NOISE * restless)
    columns = np.flatnonzero(tall.sum(axis=0) >= _SPIKE_LEADS)
    if columns.size == 0:
        return 0
    before = np.abs(leads_mv[:, columns + k] - leads_mv[:, columns])
    after = np.abs(leads_mv[:, columns + 3 * k] - leads_mv[:, columns + 4 * k])
    alone = np.maximum(before, after) <= _SPIKE_FLANK * height[:, columns]
    spikes = columns[(alone & tall[:, columns]).sum(axis=0) >= _SPIKE_LEADS]
    return int((np.diff(spikes, prepend=-10 * k) > 3 * k).sum())
