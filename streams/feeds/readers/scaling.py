"""Channels of any scale to one int16 array, without loss wherever that is possible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.feeds.refusal import FeedRefusedError

#: Largest magnitude kept. −32768 is left out: WFDB format 16 and others use it for "no sample".
_INT16_PEAK: Final = 32767

#: Two scales closer than this are the same number written with other decimals.
_SAME_SCALE: Final = 1e-9

#: Microvolts per unit of each spelling sources use (UCUM and free text).
_UV_PER: Final = {
    "nv": 1e-3,
    "uv": 1.0,
    "µv": 1.0,
    "μv": 1.0,
    "microvolt": 1.0,
    "mv": 1e3,
    "millivolt": 1e3,
    "v": 1e6,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channel:
    """One lead as stored: value in µV = ``counts`` · ``uv_per_count`` + ``offset_uv``.

    Attributes
    ----------
    counts : numpy.ndarray
        int64, (n_samples,).
    """

    name: str
    counts: npt.NDArray[np.int64]
    uv_per_count: float
    offset_uv: float = 0.0


def microvolts_per(unit: str) -> float:
    """Return how many µV one ``unit`` is.

    Raises
    ------
    FeedRefusedError
        When it is no unit of voltage: a guessed scale would be a wrong ECG.
    """
    try:
        return _UV_PER[unit.strip().lower()]
    except KeyError:
        raise FeedRefusedError(f"unit of the samples is {unit!r}, expected nV, uV, mV or V") from None


def to_one_scale(channels: Sequence[Channel]) -> tuple[float, npt.NDArray[np.int16]]:
    """Bring channels to one scale.

    Channels of one scale whose offsets are whole counts come through unchanged, bit by bit; so do scales that
    are whole multiples of the finest one. Otherwise samples are rounded to the finest scale that still holds
    the largest excursion, an error of at most half a unit.

    Returns
    -------
    uv_per_unit : float
        µV per unit.
    samples : numpy.ndarray
        int16, (n_leads, n_samples), read-only.

    Raises
    ------
    FeedRefusedError
        On lengths that differ and on scales that are not positive.
    """
    _require_usable(channels)
    uv_per_unit = _common_scale(channels)
    samples = np.empty((len(channels), channels[0].counts.size), dtype=np.int16)
    for row, channel in zip(samples, channels, strict=True):
        units = channel.counts * (channel.uv_per_count / uv_per_unit) + channel.offset_uv / uv_per_unit
        row[:] = np.rint(units)
    samples.flags.writeable = False
    return uv_per_unit, samples


def _require_usable(channels: Sequence[Channel]) -> None:
    if not channels:
        raise FeedRefusedError("no channels in it")
    if len({channel.counts.size for channel in channels}) != 1:
        raise FeedRefusedError("its leads have different lengths; export leads recorded simultaneously")
    for channel in channels:
        if not (np.isfinite(channel.uv_per_count) and channel.uv_per_count > 0.0):
            raise FeedRefusedError(
                f"sensitivity of lead {channel.name} is {channel.uv_per_count}, expected above 0"
            )
        if not np.isfinite(channel.offset_uv):
            raise FeedRefusedError(f"baseline of lead {channel.name} is not a number")


def _common_scale(channels: Sequence[Channel]) -> float:
    finest = min(channel.uv_per_count for channel in channels)
    if all(abs(channel.uv_per_count / finest - 1.0) < _SAME_SCALE for channel in channels):
        finest = channels[0].uv_per_count
    peak_uv = max(_peak_uv(channel) for channel in channels)
    return max(finest, peak_uv / _INT16_PEAK)


def _peak_uv(channel: Channel) -> float:
    if not channel.counts.size:
        return 0.0
    extremes = np.array([channel.counts.min(), channel.counts.max()], dtype=np.float64)
    return float(np.abs(extremes * channel.uv_per_count + channel.offset_uv).max())
