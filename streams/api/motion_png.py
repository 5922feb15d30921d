"""Synthetic motion beside a normal one as PNG, both walls next to each other."""

from io import BytesIO
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from schemas.risk import MOTION_SAMPLES, Motion
from streams.api.motion_svg import WALLS, Wall, normal_curves, wave_words, waves_of

_SIZE_INCH: Final = (9.0, 3.6)
_DPI: Final = 120
_CURVE, _NORMAL = "#0b4f8a", "#8a8a8a"


def motion_png(motion: Motion) -> bytes:
    """Draw both walls' velocities over one cycle, cm/s; what is absent is said to be.

    Each call has a figure of its own and no global state: it may run in a thread.
    """
    figure = Figure(figsize=_SIZE_INCH, dpi=_DPI, layout="constrained")
    for place, wall in enumerate(WALLS):
        _draw(figure.add_subplot(1, len(WALLS), place + 1), motion, wall)
    written = BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def _draw(axes: Axes, motion: Motion, wall: Wall) -> None:
    share = np.arange(MOTION_SAMPLES) / MOTION_SAMPLES
    row = WALLS.index(wall)
    axes.plot(share, normal_curves()[row], color=_NORMAL, linestyle="--", label="normal reference")
    axes.plot(share, motion.velocities_cm_s[row], color=_CURVE, label="synthetic, from this ECG")
    axes.axhline(0.0, color="#bbbbbb", linewidth=0.8)
    axes.set_title(f"{wall.capitalize()} annulus", fontsize=10)
    axes.set_xlabel("share of the cycle, R to R", fontsize=8)
    axes.set_ylabel("cm/s", fontsize=8)
    axes.tick_params(labelsize=8)
    said = wave_words(waves_of(motion, wall)).partition(";")[0]
    axes.text(0.01, 0.02, said, transform=axes.transAxes, fontsize=7)
    axes.legend(fontsize=7, frameon=False, loc="upper right")
