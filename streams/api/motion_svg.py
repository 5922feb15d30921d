"""Synthetic motion of the mitral annulus beside a normal one: velocity curves of one cycle, cm/s.

The normal curve is drawn from published ranges of adults, by the shapes of
:mod:`models.cohorts.tissue_doppler`; it is nobody's, and labelled as a reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from models.cohorts.tissue_doppler import Velocities, velocity_curves
from schemas.risk import MOTION_SAMPLES, Motion

Wall = Literal["septal", "lateral"]
WALLS: Final[tuple[Wall, Wall]] = ("septal", "lateral")

#: Normal ranges of adults, cm/s; septal, lateral (Nagueh et al., JASE 2016;29:277, and 2025).
NORMAL_CM_S: Final = {
    "s": {"septal": (6.0, 10.0), "lateral": (6.0, 12.0)},
    "e": {"septal": (7.0, 13.0), "lateral": (10.0, 16.0)},
    "a": {"septal": (7.0, 12.0), "lateral": (7.0, 12.0)},
}
_NORMAL_RR_MS: Final = 860.0  # 70 beats a minute

_WIDTH, _HEIGHT = 400.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 12.0, 26.0, 34.0
#: Least velocity shown up and down, cm/s: what a normal heart needs, so that a weak one looks weak.
_SHOWN_CM_S: Final = (-17.0, 13.0)
#: Share of the cycle before which no diastolic wave is looked for: ejection ends at about 0.4.
_DIASTOLE_FROM: Final = 0.38

_Curve = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """One measured wave of one wall.

    Attributes
    ----------
    name : str
        ``s′``, ``e′``, ``a′``.
    speed_cm_s, sd_cm_s : float or None
        Magnitude and its standard deviation; None where the wave is absent.
    """

    name: str
    speed_cm_s: float | None
    sd_cm_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    low: float
    high: float

    def x(self, sample: float) -> float:
        return _LEFT + sample / MOTION_SAMPLES * (_WIDTH - _LEFT - _RIGHT)

    def y(self, cm_s: float) -> float:
        return _TOP + (self.high - cm_s) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


@cache
def normal_curves() -> _Curve:
    """Draw the reference: middles of the normal ranges at 70 a minute; float32, (2, 128), cm/s."""
    middle = {wave: tuple(sum(ranges[wall]) / 2.0 for wall in WALLS) for wave, ranges in NORMAL_CM_S.items()}
    curves = velocity_curves(
        Velocities(
            s_prime_cm_s=(middle["s"][0], middle["s"][1]),
            e_prime_cm_s=(middle["e"][0], middle["e"][1]),
            a_prime_cm_s=(middle["a"][0], middle["a"][1]),
            rr_ms=_NORMAL_RR_MS,
            s_onset_ms=62.0,
            s_end_ms=362.0,
            e_onset_ms=434.0,
            e_duration_ms=165.0,
            a_onset_ms=738.0,
        )
    )
    curves.flags.writeable = False
    return curves


def waves_of(motion: Motion, wall: Wall) -> tuple[Wave, Wave, Wave]:
    """Collect s′, e′ and a′ of one wall."""
    s, e, a = (
        Wave(
            name=f"{letter}′",
            speed_cm_s=getattr(motion, f"{letter}_prime_{wall}_cm_s"),
            sd_cm_s=getattr(motion, f"{letter}_prime_{wall}_sd_cm_s"),
        )
        for letter in "sea"
    )
    return s, e, a


def motion_svg(motion: Motion, wall: Wall, *, cycle_ms: float | None = None, key: str = "motion") -> str:
    """Draw one wall's curve over the normal one, its waves labelled with value and uncertainty.

    Parameters
    ----------
    cycle_ms : float or None
        RR interval; None leaves the time axis in shares of the cycle.
    key : str
        Makes the ids of this picture its own on a page.

    Returns
    -------
    str
        One ``<svg>`` whose classes are those of the pages' style sheet. A wave that is absent is said to be,
        in words.
    """
    curve, normal = motion.velocities_cm_s[WALLS.index(wall)], normal_curves()[WALLS.index(wall)]
    low = min(_SHOWN_CM_S[0], float(curve.min()) - 3.0)
    scale = _Scale(low=low, high=max(_SHOWN_CM_S[1], float(curve.max()) + 3.0))
    waves, ident = waves_of(motion, wall), f"{key}-{wall}"
    parts = [
        _opening(ident),
        f'<title id="t-{ident}">Synthetic velocity of the {wall} mitral annulus</title>',
        f'<desc id="d-{ident}">{escape(wave_words(waves))}</desc>',
        _axes(scale, cycle_ms),
        f'<text class="wall" x="{_LEFT:g}" y="15">{wall.capitalize()}</text>',
        f'<path class="normal" d="{_path(scale, normal)}"/>',
        f'<path class="curve" d="{_path(scale, curve)}"/>',
        *_labels(scale, curve, waves),
        _absent(waves),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def _opening(ident: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="motion" role="img" '
        f'aria-labelledby="t-{ident} d-{ident}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}">'
    )


def wave_words(waves: Sequence[Wave]) -> str:
    """Say the waves in words, those that are absent too."""
    said = []
    for wave in waves:
        if wave.speed_cm_s is None:
            said.append(f"{wave.name} absent")
        else:
            doubt = "" if wave.sd_cm_s is None else f" ± {wave.sd_cm_s:.1f}"
            said.append(f"{wave.name} {wave.speed_cm_s:.1f}{doubt} cm/s")
    return ", ".join(said) + "; beside it the curve of a normal reference."


def _axes(scale: _Scale, cycle_ms: float | None) -> str:
    left, right, base = _LEFT, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    speeds = range(-(-int(scale.low) // 5) * 5, int(scale.high) + 1, 5)
    rows = "".join(
        f'<path class="{"axis" if speed == 0 else "grid"}" d="M{left:g} {scale.y(speed):.1f}H{right:g}"/>'
        f'<text class="tick" x="{left - 6:g}" y="{scale.y(speed) + 4:.1f}" text-anchor="end">'
        f"{_signed(speed)}</text>"
        for speed in speeds
    )
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    columns = "".join(
        f'<text class="tick" x="{scale.x(share * MOTION_SAMPLES):.1f}" y="{base + 15:g}" '
        f'text-anchor="middle">{_at(share, cycle_ms)}</text>'
        for share in shares
    )
    unit = "share of the cycle, R to R" if cycle_ms is None else "ms from R"
    return (
        f'{rows}{columns}<text class="unit" x="{left - 6:g}" y="15" text-anchor="end">cm/s</text>'
        f'<text class="unit" x="{right:g}" y="{base + 29:g}" text-anchor="end">{unit}</text>'
    )


def _at(share: float, cycle_ms: float | None) -> str:
    return f"{share:g}" if cycle_ms is None else f"{share * cycle_ms:.0f}"


def _signed(speed: int) -> str:
    return f"−{-speed}" if speed < 0 else str(speed)


def _path(scale: _Scale, curve: _Curve) -> str:
    steps = (f"{scale.x(i):.1f} {scale.y(float(cm_s)):.1f}" for i, cm_s in enumerate(curve))
    return f"M{'L'.join(steps)}"


def _labels(scale: _Scale, curve: _Curve, waves: Sequence[Wave]) -> list[str]:
    """Label the peaks, s′ above its own, the others below."""
    labels = []
    for wave, sample in zip(waves, peaks_of(curve, waves), strict=True):
        if wave.speed_cm_s is None or sample is None:
            continue
        is_up = wave.name == "s′"
        cm_s = wave.speed_cm_s if is_up else -wave.speed_cm_s
        x, y = scale.x(sample), scale.y(cm_s)
        doubt = ""
        if wave.sd_cm_s is not None:
            above, below = scale.y(cm_s + wave.sd_cm_s), scale.y(cm_s - wave.sd_cm_s)
            doubt = (
                f'<path class="doubt" d="M{x:.1f} {above:.1f}V{below:.1f}M{x - 4:.1f} {above:.1f}h8'
                f'M{x - 4:.1f} {below:.1f}h8"/>'
            )
            y = above if is_up else below
        labels.append(
            f'{doubt}<text class="wave" x="{x:.1f}" y="{y - 6 if is_up else y + 14:.1f}" '
            f'text-anchor="middle">{wave.name} {wave.speed_cm_s:.1f}</text>'
        )
    return labels


def peaks_of(curve: _Curve, waves: Sequence[Wave]) -> tuple[int | None, int | None, int | None]:
    """Find at which sample each wave stands: where the curve, on its side of zero, is closest to it."""
    s, e, a = waves
    start = int(_DIASTOLE_FROM * MOTION_SAMPLES)
    troughs = [
        i
        for i in range(start, MOTION_SAMPLES - 1)
        if curve[i] < 0 and curve[i - 1] >= curve[i] < curve[i + 1]
    ]
    at_e = _closest(curve, range(start, MOTION_SAMPLES), e.speed_cm_s, troughs)
    after = range((at_e or start) + 4, MOTION_SAMPLES)
    at_a = _closest(curve, after, a.speed_cm_s, [i for i in troughs if i in after])
    at_s = None if s.speed_cm_s is None else int(np.argmin(np.abs(curve - s.speed_cm_s)))
    return at_s, at_e, at_a


def _closest(curve: _Curve, samples: range, speed_cm_s: float | None, troughs: Sequence[int]) -> int | None:
    if speed_cm_s is None or not len(samples):
        return None
    # A shoulder is no trough of its own; then any sample after the earlier wave may be it.
    return min(troughs or samples, key=lambda i: abs(float(curve[i]) + speed_cm_s))


def _absent(waves: Sequence[Wave]) -> str:
    names = [wave.name for wave in waves if wave.speed_cm_s is None]
    if not names:
        return ""
    why = ": no late wave, as in atrial fibrillation" if names == ["a′"] else ""
    return (
        f'<text class="absent" x="{_WIDTH - _RIGHT:g}" y="15" text-anchor="end">'
        f"{', '.join(names)} absent{why}</text>"
    )
