"""How figures look, and how one becomes SVG: deterministic, with its text as text, in the page's colours.

Matplotlib writes fixed colours. Ours are stand-ins, one for each role, which are replaced by the page's CSS
variables: so that one figure is right in light, in dark and in print.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.study.facts import CohortFacts
from models.study.scored import ENSEMBLE, FOUNDATION, MOTION

#: Roles, and the stand-in colour of each; the page defines ``--ink`` and so on.
INK, SOFT, LINE = "#010101", "#020202", "#030303"
HIGH, LOW = "#040404", "#050505"
MODEL_COLOUR: Final = {MOTION: "#060606", FOUNDATION: "#070707", ENSEMBLE: "#080808"}
_VARIABLES: Final = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    HIGH: "--high",
    LOW: "--low",
    MODEL_COLOUR[MOTION]: "--motion",
    MODEL_COLOUR[FOUNDATION]: "--foundation",
    MODEL_COLOUR[ENSEMBLE]: "--ensemble",
}
#: Told apart in black and white too.
MODEL_DASHES: Final[dict[str, Any]] = {MOTION: (0, (1.2, 1.4)), FOUNDATION: (0, (5, 2)), ENSEMBLE: "solid"}
MODEL_TITLE: Final = {MOTION: "motion only", FOUNDATION: "foundation only", ENSEMBLE: "ensemble"}

_RC: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "figure.facecolor": "none",
    "lines.solid_capstyle": "round",
}
#: CSS pixels a point.
_PIXELS: Final = 4 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure ready for the page.

    Attributes
    ----------
    name : str
        Unique within the page; prefixes every id of the SVG.
    caption : str
        What is shown and how to read it.
    svg : str
        One ``<svg>`` element with a title and a description for those who cannot see it.
    """

    name: str
    caption: str
    svg: str


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Draw in the study's style; ``name`` makes the ids matplotlib draws by hash the same each time."""
    style: Any = {**_RC, "svg.hashsalt": name}
    with mpl.rc_context(style):
        yield


def panels(n: int, *, width: float = 5.2, height: float = 4.0, **subplots: Any) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels side by side; inches of 72 points each."""
    figure = Figure(figsize=(width * n, height), layout="constrained")
    axes = figure.subplots(1, n, squeeze=False, **subplots)
    return figure, list(axes[0])


def panel_title(axes: Axes, facts: CohortFacts, what: str = "") -> None:
    """Say above a panel whose data it shows: a figure is soon without its page."""
    name, _, rest = facts.heading.partition(": ")
    axes.set_title(what or name, fontweight="bold", pad=22)
    said = f"{name}: {rest}" if what else rest
    style: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(said, (0, 1), (0, 8), color=SOFT, fontsize=9, **style)


def drawn(figure: Figure, name: str, *, title: str, description: str, caption: str) -> Drawn:
    """Write a figure as SVG for a page."""
    out = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    # Tight: panels of equal aspect leave room, and what is annotated outside of a panel takes some.
    figure.savefig(
        out, format="svg", metadata=nothing, transparent=True, bbox_inches="tight", pad_inches=0.05
    )
    return Drawn(name=name, caption=caption, svg=_for_page(out.getvalue(), name, title, description))


def _for_page(svg: str, name: str, title: str, description: str) -> str:
    """Make of a file a part of a page: own ids, the page's colours and font, a title that is read aloud."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r"(font: (?:[a-z0-9]+ )*?[\d.]+px) [^;\"]+", r"\1 var(--sans)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    view_box, width = re.search(r'viewBox="[^"]+"', svg), re.search(r'width="([\d.]+)pt"', svg)
    if view_box is None or width is None:
        raise ValueError(f"{name}: matplotlib wrote an SVG without a size")
    opening = (
        f'<svg {view_box[0]} style="max-width: {float(width[1]) * _PIXELS:.0f}px" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
    )
    return opening + svg[svg.index(">") + 1 :].strip()
