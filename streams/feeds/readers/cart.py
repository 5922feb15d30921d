"""The cart's own measurements, from numbers as sources write them."""

from collections.abc import Callable
from typing import Final

from schemas.recorded import CartStatement

#: Above 0 and at most this many: an interval or a rate of 0 is how several carts write "not measured", and
#: 29999 (SCP-ECG), 32767 and 65535 are codes for none.
_MAX_BPM: Final = 1000.0
_MAX_MS: Final = 10_000.0

#: Written where no axis could be determined: 999 and 29999 in SCP-ECG, 32767 where a field is 16 bits wide.
_MAX_AXIS_DEG: Final = 360.0


def cart_statement(
    *,
    heart_rate_bpm: str | float | None = None,
    p_duration_ms: str | float | None = None,
    pr_ms: str | float | None = None,
    qrs_ms: str | float | None = None,
    qt_ms: str | float | None = None,
    qtc_ms: str | float | None = None,
    p_axis_deg: str | float | None = None,
    qrs_axis_deg: str | float | None = None,
    t_axis_deg: str | float | None = None,
) -> CartStatement | None:
    """Keep what is a measurement; drop what is none: a word, a code for "not measured", an impossible number.

    Axes of 181° to 360° are brought to −179° to 0°, so that one direction has one number.

    Returns
    -------
    CartStatement or None
        None when nothing is left.

    >>> cart_statement(heart_rate_bpm="72", pr_ms="Failed", qt_ms=29999, qrs_axis_deg=270)
    ... # doctest: +ELLIPSIS
    CartStatement(heart_rate_bpm=72.0, ... qt_ms=None, ... qrs_axis_deg=-90.0, t_axis_deg=None)
    >>> cart_statement(pr_ms="") is None
    True
    """
    kept = CartStatement(
        heart_rate_bpm=_kept(heart_rate_bpm, _rate),
        p_duration_ms=_kept(p_duration_ms, _interval),
        pr_ms=_kept(pr_ms, _interval),
        qrs_ms=_kept(qrs_ms, _interval),
        qt_ms=_kept(qt_ms, _interval),
        qtc_ms=_kept(qtc_ms, _interval),
        p_axis_deg=_kept(p_axis_deg, _axis),
        qrs_axis_deg=_kept(qrs_axis_deg, _axis),
        t_axis_deg=_kept(t_axis_deg, _axis),
    )
    return None if kept == CartStatement() else kept


def _kept(written: str | float | None, bound: Callable[[float], float | None]) -> float | None:
    try:
        return None if written is None else bound(float(written))
    except ValueError:
        return None


def _rate(bpm: float) -> float | None:
    return bpm if 0.0 < bpm <= _MAX_BPM else None


def _interval(ms: float) -> float | None:
    return ms if 0.0 < ms <= _MAX_MS else None


def _axis(degrees: float) -> float | None:
    if not -_MAX_AXIS_DEG <= degrees <= _MAX_AXIS_DEG:
        return None
    # 0.0 is added so that −0 reads as 0
    return (180.0 - (180.0 - degrees) % 360.0) + 0.0
