"""A 12-lead strip as PNG, for where SVG is not shown: mail, Grafana panels, the EHR."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from schemas.recorded import EcgRecorded
from streams.strip import StripOptions, twelve_leads_mv
from streams.strip_layout import LEFT_MM, MM_PER_MV, MM_PER_S, Page, Place, page_of

#: 150 dots an inch: 6 a millimetre, about a thousand across a phone, and a small file.
_DPI: Final = 150
_MM_PER_INCH: Final = 25.4
_POINTS_PER_MM: Final = 72 / _MM_PER_INCH

_PAPER, _FINE, _COARSE, _INK, _SPAN = "#fffdfa", "#f9dedb", "#e89c95", "#1a1a1a", "#ffc83d"

_Mv = npt.NDArray[np.float64]


def strip_png(ecg: EcgRecorded, options: StripOptions | None = None) -> bytes:
    """Draw what :func:`streams.strip.strip_svg` draws, to the same scale.

    Each call has a figure of its own and no global state: it may run in a thread.
    """
    options = options or StripOptions()
    page = page_of(options.layout)
    figure = Figure(figsize=(page.width_mm / _MM_PER_INCH, page.height_mm / _MM_PER_INCH), dpi=_DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, page.width_mm)
    axes.set_ylim(page.height_mm, 0)
    axes.add_patch(Rectangle((0, 0), page.width_mm, page.height_mm, color=_PAPER, linewidth=0))
    axes.add_collection(_grid(page, 1, _FINE, 0.10))
    axes.add_collection(_grid(page, 5, _COARSE, 0.22))
    for rectangle in _shades(page, options):
        axes.add_patch(rectangle)
    leads_mv = twelve_leads_mv(ecg)
    traces = [_trace(place, leads_mv, ecg.sample_rate_hz) for place in page.places]
    pulses = [_pulse(page, row) for row in range(page.n_rows)]
    drawn = [line for line in (*traces, *pulses) if len(line)]
    axes.add_collection(LineCollection(drawn, colors=_INK, linewidths=0.28 * _POINTS_PER_MM))
    for place in page.places:
        y = place.baseline_mm - page.row_mm / 2 + 5
        axes.text(place.left_mm + 1.2, y, place.lead, color=_INK, fontsize=4 * _POINTS_PER_MM, weight="bold")
        if place.lead not in leads_mv:
            axes.text(place.left_mm + 2, place.baseline_mm, "not recorded", fontsize=2.9 * _POINTS_PER_MM)
    for i, line in enumerate(options.heading):
        axes.text(5, 5 + 4.5 * i, line, fontsize=3.4 * _POINTS_PER_MM)
    said = f"{MM_PER_S:g} mm/s   {MM_PER_MV:g} mm/mV   {ecg.sample_rate_hz:g} Hz"
    axes.text(5, page.height_mm - 3, said, fontsize=2.9 * _POINTS_PER_MM)
    written = BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def _grid(page: Page, every_mm: int, colour: str, width_mm: float) -> LineCollection:
    width, height = page.width_mm, page.height_mm
    lines = [[(float(x), 0.0), (float(x), height)] for x in range(0, int(width) + 1, every_mm)]
    lines += [[(0.0, float(y)), (width, float(y))] for y in range(0, int(height) + 1, every_mm)]
    return LineCollection(lines, colors=colour, linewidths=width_mm * _POINTS_PER_MM)


def _trace(place: Place, leads_mv: Mapping[str, _Mv], rate_hz: float) -> list[tuple[float, float]]:
    mv = leads_mv.get(place.lead)
    if mv is None:
        return []
    first, last = round(place.start_s * rate_hz), round(place.end_s * rate_hz)
    shown_mv = mv[first : last + 1]
    x = place.left_mm + np.arange(shown_mv.size) / rate_hz * MM_PER_S
    y = place.baseline_mm - shown_mv * MM_PER_MV
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _pulse(page: Page, row: int) -> list[tuple[float, float]]:
    """Draw the pulse of 1 mV and 200 ms by which paper is read."""
    y = next(place.baseline_mm for place in page.places if place.row == row)
    x, top = LEFT_MM - 10, y - MM_PER_MV
    return [(x, y), (x + 2, y), (x + 2, top), (x + 7, top), (x + 7, y), (x + 9, y)]


def _shades(page: Page, options: StripOptions) -> Sequence[Rectangle]:
    return [
        Rectangle(
            (place.left_mm + (start_s - place.start_s) * MM_PER_S, place.baseline_mm - page.row_mm / 2),
            (end_s - start_s) * MM_PER_S,
            page.row_mm,
            color=_SPAN,
            alpha=0.28,
            linewidth=0,
        )
        for span in options.spans
        for place in page.places
        if span.lead in ("", place.lead)
        and (start_s := max(span.start_s, place.start_s)) < (end_s := min(span.end_s, place.end_s))
    ]
