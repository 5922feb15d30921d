"""Channels of any scale to one int16 array, without loss wherever that is possible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.feeds.readers.leads import shown_word
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: Largest magnitude kept. −32768 is left out: WFDB format 16 and others use it for "no sample".
_INT16_PEAK: Final = 32767

#: Coarsest scale to which samples are rounded, µV per unit. It spans ±327 mV, all that electrodes can add
#: to an ECG (±300 mV, IEC 60601-2-25), and is a tenth of a millimetre on paper; coarser, P waves and ST
#: segments would change. A source that is itself coarser comes through as it is.
_COARSEST_UV: Final = 10.0

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
    """One lead as stored: value in µV = ``sign`` · (``counts`` · ``uv_per_count`` + ``offset_uv``).

    Attributes
    ----------
    name : str
        Its standard name.
    counts : numpy.ndarray
        int64, (n_samples,).
    sign : float
        −1 where the source recorded the inverted lead, else 1.
    """

    name: str
    counts: npt.NDArray[np.int64]
    uv_per_count: float
    offset_uv: float = 0.0
    sign: float = 1.0


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
        raise FeedRefusedError(
            f"unit of the samples is '{shown_word(unit)}', expected nV, uV, mV or V; export it calibrated",
            RefusalReason.UNIT_UNKNOWN,
        ) from None


def to_one_scale(channels: Sequence[Channel]) -> tuple[float, npt.NDArray[np.int16]]:
    """Bring channels to one scale.

    Channels of one scale whose offsets are whole counts come through unchanged, bit by bit; so do scales that
    are whole multiples of the finest one. Otherwise samples are rounded to the finest scale that still holds
    the largest excursion, an error of at most half a unit and never more than 5 µV.

    Returns
    -------
    uv_per_unit : float
        µV per unit.
    samples : numpy.ndarray
        int16, (n_leads, n_samples), read-only.

    Raises
    ------
    FeedRefusedError
        On lengths that differ, on scales that are not positive, and when one scale for all would be coarser
        than 10 µV.
    """
    _require_usable(channels)
    uv_per_unit = _common_scale(channels)
    samples = np.empty((len(channels), channels[0].counts.size), dtype=np.int16)
    for row, channel in zip(samples, channels, strict=True):
        units = channel.counts * (channel.uv_per_count / uv_per_unit) + channel.offset_uv / uv_per_unit
        row[:] = np.rint(channel.sign * units)
    samples.flags.writeable = False
    return uv_per_unit, samples


def odd_scales(channels: Sequence[Channel]) -> tuple[str, ...]:
    """Name the leads whose scale is not that of most; none where there is no scale that most share.

    A digit that changed in one lead's scale makes another ECG, which nothing in a file contradicts: exporters
    may store leads in several scales, but seldom a few of them.
    """
    scales = [channel.uv_per_count for channel in channels]
    common = sorted(scales)[len(scales) // 2]  # whichever most share is in the middle
    odd = tuple(
        channel.name for channel in channels if abs(channel.uv_per_count / common - 1.0) >= _SAME_SCALE
    )
    return odd if len(odd) <= len(channels) // 3 else ()


def _require_usable(channels: Sequence[Channel]) -> None:
    if not channels:
        raise FeedRefusedError("no channels in it; export it with its leads")
    if len({channel.counts.size for channel in channels}) != 1:
        raise FeedRefusedError("its leads have different lengths; export leads recorded simultaneously")
    if not channels[0].counts.size:
        raise FeedRefusedError("its leads hold no samples; export it again")
    for channel in channels:
        if not (np.isfinite(channel.uv_per_count) and channel.uv_per_count > 0.0):
            raise FeedRefusedError(
                f"sensitivity of lead {channel.name} is {channel.uv_per_count}, expected above 0; "
                "export it with its calibration"
            )
        if not np.isfinite(channel.offset_uv):
            raise FeedRefusedError(f"baseline of lead {channel.name} is not a number; export it again")


def _common_scale(channels: Sequence[Channel]) -> float:
    finest = min(channel.uv_per_count for channel in channels)
    if all(abs(channel.uv_per_count / finest - 1.0) < _SAME_SCALE for channel in channels):
        finest = channels[0].uv_per_count
    peak_uv = max(_peak_uv(channel) for channel in channels)
    needed = peak_uv / _INT16_PEAK
    if needed > max(finest, _COARSEST_UV):
        raise FeedRefusedError(
            f"its samples reach {peak_uv / 1000.0:.3g} mV, more than 16 bits hold at "
            f"{_COARSEST_UV:g} µV a unit; cut out what is no ECG, or check its sensitivity",
            RefusalReason.IMPLAUSIBLE_AMPLITUDE,
        )
    return max(finest, needed)


def _peak_uv(channel: Channel) -> float:
    extremes = (int(channel.counts.min()), int(channel.counts.max()))
    # Python's own floats: a product beyond them is infinite, and refused, without a warning.
    return max(abs(extreme * channel.uv_per_count + channel.offset_uv) for extreme in extremes)
