"""The calibration pulse that some carts append to each lead: recognised, and where the ECG ends before it."""

from typing import Final

import numpy as np
import numpy.typing as npt

from streams.feeds.refusal import FeedRefusedError

#: What the pulse stands for (IEC 60601-2-25 and every paper strip): 1 mV, to a tenth.
_PULSE_UV: Final = 1000.0
_TENTH_UV: Final = 100.0

#: The pulse lasts 0.2 s; half of it is enough to be one, and no beat holds 1 mV in all leads for so long.
_SHORTEST_PULSE_S: Final = 0.1

#: Leads may differ by a count within the tail, from rounding when limb leads were computed.
_SAME_COUNTS: Final = 1

#: So many leads alike in the last so many seconds are looked at for a pulse; the others have come off, or are
#: spoilt, with them all limb leads where it is lead I or II.
_FEWEST_LEADS: Final = 3
_END_S: Final = 0.2

#: Of the tail's samples so many are the pulse or its base line; the others are its edges.
_TWO_LEVELS: Final = 0.9

#: A resting ECG is recorded for 10 s; what a cart adds up to the page's end belongs to its calibration.
_RESTING_S: Final = 10


def end_of_ecg(counts: npt.NDArray[np.int64], uv_per_count: float, sample_rate_hz: float) -> int:
    """Return how many samples come before the calibration; all of them where there is none.

    The tail is the stretch at the end in which the leads are the same and form one square pulse of 1 mV. No
    ECG does that, so one without a tail loses nothing. Recordings that were complete (10 s and more) are cut
    at the whole second before the pulse: carts keep on recording into the calibration's second.

    The pulse is a check as well: each lead is summed up from its differences, so whatever was spoilt in a
    lead shows in its pulse.

    Parameters
    ----------
    counts : numpy.ndarray
        int64, (n_leads, n_samples), zero at 0 V.

    Raises
    ------
    FeedRefusedError
        DAMAGED when leads bear the pulse and one bears something else.

    >>> tail = np.tile(np.repeat([0, 200, 0], 50), (12, 1))
    >>> end_of_ecg(np.hstack([np.arange(12)[:, None] * np.ones((12, 5300), dtype=int), tail]), 5.0, 500.0)
    5000
    """
    n_samples = int(counts.shape[1])
    lead, group = _alike_at_the_end(counts, max(1, round(_END_S * sample_rate_hz)))
    if len(group) < _FEWEST_LEADS:
        return n_samples
    differ = np.flatnonzero((np.abs(counts[group] - counts[lead]) > _SAME_COUNTS).any(axis=0))
    start = int(differ[-1]) + 1 if differ.size else 0
    level_uv = counts[lead, start:] * uv_per_count
    is_pulse = np.abs(level_uv - _PULSE_UV) <= _TENTH_UV
    is_base = np.abs(level_uv) <= _TENTH_UV
    if np.count_nonzero(is_pulse) < _SHORTEST_PULSE_S * sample_rate_hz:
        return n_samples
    if np.count_nonzero(is_pulse | is_base) < _TWO_LEVELS * level_uv.size:
        return n_samples
    rise = start + int(np.argmax(is_pulse))
    _require_whole(counts[:, rise:], group)
    whole_s = int(rise / sample_rate_hz)
    return round(whole_s * sample_rate_hz) if whole_s >= _RESTING_S else start


def _alike_at_the_end(counts: npt.NDArray[np.int64], n_end: int) -> tuple[int, list[int]]:
    """Return a lead and the rows of those that end like it, itself among them: the largest such group."""
    ends = counts[:, -n_end:]
    # (n_leads, 1, n_end) − (1, n_leads, n_end) → (n_leads, n_leads)
    are_alike = (np.abs(ends[:, None] - ends[None]) <= _SAME_COUNTS).all(axis=2)
    lead = int(np.argmax(are_alike.sum(axis=1)))
    return lead, [int(row) for row in np.flatnonzero(are_alike[lead])]


def _require_whole(tail: npt.NDArray[np.int64], group: list[int]) -> None:
    others = np.delete(tail, group, axis=0)
    n_spoilt = int(np.count_nonzero(np.ptp(others, axis=1) > _SAME_COUNTS)) if others.size else 0
    if n_spoilt:  # those that are flat have come off
        raise FeedRefusedError(
            f"{n_spoilt} of its leads are spoilt: they do not end in the calibration pulse that the others "
            "end in; export it again"
        )
