"""A 12-lead ECG as a picture: SVG of the paper a cart would print, 25 mm/s and 10 mm/mV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np
import numpy.typing as npt

from models.leads import plan_leads
from schemas.leads import LEADS_12
from schemas.recorded import EcgRecorded
from streams.strip_layout import LEFT_MM, MM_PER_MV, MM_PER_S, SHOWN_S, Layout, Page, Place, page_of

_Mv = npt.NDArray[np.float64]

#: Points a second that are drawn: 0.05 mm apart, finer than a print head; a faster recording is thinned.
_POINTS_PER_S: Final = 500.0

#: Hundredths of a millimetre in which traces are written, as whole numbers.
_PER_MM: Final = 100.0

#: Grid in the red of ECG paper, by day and by night; one millimetre and five.
_STYLE: Final = """
.ecg-strip{--paper:#fffdfa;--fine:#f9dedb;--coarse:#e89c95;--ink:#1a1a1a;--said:#333;--span:#ffc83d}
@media (prefers-color-scheme:dark){
.ecg-strip{--paper:#171214;--fine:#302124;--coarse:#56343a;--ink:#f3efe9;--said:#cfc8c2;--span:#b98300}}
@media print{.ecg-strip{--paper:#fff;--ink:#000;--said:#000}}
.ecg-strip .paper{fill:var(--paper)}
.ecg-strip .fine{stroke:var(--fine);stroke-width:.1;fill:none}
.ecg-strip .coarse{stroke:var(--coarse);stroke-width:.22;fill:none}
.ecg-strip .trace{stroke:var(--ink);stroke-width:28;stroke-linejoin:round;stroke-linecap:round;fill:none}
.ecg-strip .mark{stroke:var(--ink);stroke-width:.28;fill:none}
.ecg-strip .span{fill:var(--span);fill-opacity:.28}
.ecg-strip text{fill:var(--said);font-family:Helvetica,Arial,sans-serif;font-size:3.4px}
.ecg-strip .lead{fill:var(--ink);font-size:4px;font-weight:600}
.ecg-strip .small{font-size:2.9px}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time that is shaded, in one lead or in all.

    Attributes
    ----------
    start_s, end_s : float
        From the start of the recording.
    label : str
        Told to who hovers over it, and to who has it read aloud.
    lead : str
        Empty shades all leads.
    """

    start_s: float
    end_s: float
    label: str = ""
    lead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripOptions:
    """How the strip is drawn.

    Attributes
    ----------
    heading : sequence of str
        Lines above the leads: who and when, where that is to be shown. Nothing about a patient is drawn
        that is not in here.
    """

    layout: Layout = Layout.STANDARD
    heading: Sequence[str] = ()
    spans: Sequence[Span] = ()


def strip_svg(ecg: EcgRecorded, options: StripOptions | None = None) -> str:
    """Draw the first 10 s of an ECG on paper.

    Each lead's median is put on the baseline, so that an electrode's offset does not push it off the paper;
    otherwise the samples are drawn as recorded, unfiltered. Leads that can be derived from others are.

    Returns
    -------
    str
        One ``<svg>`` element that needs nothing from elsewhere. It is sized in millimetres, so that it
        prints to scale, and follows the reader's light or dark scheme. The same ECG gives the same text.

    Examples
    --------
    >>> import numpy as np
    >>> from datetime import UTC, datetime
    >>> ecg = EcgRecorded(ecg_id="6ba7b810-9dad-51d1-80b4-00c04fd430c8", patient_id="P",
    ...     acquired_at=datetime(2026, 1, 1, tzinfo=UTC), sample_rate_hz=500.0, lead_names=LEADS_12,
    ...     uv_per_unit=1.0, samples=np.zeros((12, 5000), dtype=np.int16))
    >>> strip_svg(ecg).startswith("<svg")
    True
    """
    options = options or StripOptions()
    page = page_of(options.layout)
    leads_mv = twelve_leads_mv(ecg)
    key = ecg.ecg_id[:8]
    parts = [
        _opening(page, key),
        f'<title id="t-{key}">12-lead ECG</title>',
        f'<desc id="d-{key}">{escape(_description(ecg, options))}</desc>',
        f"<style>{_STYLE}</style>",
        _paper(page),
        *(_span(span, page) for span in options.spans),
        *(_trace(place, leads_mv, ecg.sample_rate_hz) for place in page.places),
        *(_marks(place, page) for place in page.places),
        *(_calibration(page, row) for row in range(page.n_rows)),
        _texts(page, ecg, options),
        "</svg>",
    ]
    return "\n".join(parts)


def twelve_leads_mv(ecg: EcgRecorded, seconds: float = SHOWN_S) -> Mapping[str, _Mv]:
    """Give the first ``seconds`` of each lead that is there or can be derived, its median at 0.

    Returns
    -------
    mapping
        From the lead's standard name to float64, (n,), mV, at the recording's own rate.
    """
    plan = plan_leads(ecg.lead_names)
    n_shown = int(seconds * ecg.sample_rate_hz)
    rows_mv = ecg.samples[:, :n_shown].astype(np.float64) * (ecg.uv_per_unit / 1000.0)
    leads_mv = plan.weights @ rows_mv  # (12, n_rows) @ (n_rows, n) → (12, n)
    centred = leads_mv - np.median(leads_mv, axis=1, keepdims=True)
    return {lead: row for lead, row in zip(LEADS_12, centred, strict=True) if lead not in plan.missing}


def _opening(page: Page, key: str) -> str:
    width, height = page.width_mm, page.height_mm
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ecg-strip" role="img" '
        f'aria-labelledby="t-{key} d-{key}" width="{width:g}mm" height="{height:g}mm" '
        f'viewBox="0 0 {width:g} {height:g}">'
    )


def _description(ecg: EcgRecorded, options: StripOptions) -> str:
    shown_s = min(ecg.samples.shape[1] / ecg.sample_rate_hz, SHOWN_S)
    how = (
        f"{shown_s:.1f} s of {len(ecg.lead_names)} leads recorded at {ecg.sample_rate_hz:g} Hz, "
        f"arranged {options.layout}, {MM_PER_S:g} mm a second and {MM_PER_MV:g} mm a millivolt."
    )
    spans = (
        f"{span.label}: {span.start_s:.2f} to {span.end_s:.2f} s." for span in options.spans if span.label
    )
    return " ".join([how, *spans])


def _paper(page: Page) -> str:
    width, height = page.width_mm, page.height_mm
    fine = "".join(f"M{x} 0V{height:g}" for x in range(int(width) + 1) if x % 5)
    fine += "".join(f"M0 {y}H{width:g}" for y in range(int(height) + 1) if y % 5)
    coarse = "".join(f"M{x} 0V{height:g}" for x in range(0, int(width) + 1, 5))
    coarse += "".join(f"M0 {y}H{width:g}" for y in range(0, int(height) + 1, 5))
    return (
        f'<rect class="paper" width="{width:g}" height="{height:g}"/>'
        f'<path class="fine" d="{fine}"/><path class="coarse" d="{coarse}"/>'
    )


def _trace(place: Place, leads_mv: Mapping[str, _Mv], rate_hz: float) -> str:
    """Draw one lead in its place; one sample more than its time, so that it meets its neighbour."""
    mv = leads_mv.get(place.lead)
    if mv is None:
        return f'<text class="small" x="{place.left_mm + 2:g}" y="{place.baseline_mm:g}">not recorded</text>'
    step = max(1, round(rate_hz / _POINTS_PER_S))
    first, last = round(place.start_s * rate_hz), round(place.end_s * rate_hz)
    shown_mv = mv[first : last + 1 : step]
    if not shown_mv.size:
        return ""
    x = (place.left_mm + np.arange(shown_mv.size) * (step / rate_hz) * MM_PER_S) * _PER_MM
    y = (place.baseline_mm - shown_mv * MM_PER_MV) * _PER_MM
    points = np.rint(np.stack([x, y], axis=1)).astype(np.int64)  # (n, 2)
    steps = " ".join(f"{dx} {dy}" for dx, dy in np.diff(points, axis=0).tolist())
    start_x, start_y = points[0].tolist()
    return (
        f'<path class="trace" transform="scale({1 / _PER_MM:g})" d="M{start_x} {start_y}l{steps}">'
        f"<title>{place.lead}</title></path>"
    )


def _marks(place: Place, page: Page) -> str:
    """Write the lead's name, and a tick where another lead ends."""
    y = place.baseline_mm
    name = (
        f'<text class="lead" x="{place.left_mm + 1.2:g}" y="{y - page.row_mm / 2 + 5:g}">{place.lead}</text>'
    )
    if place.start_s == 0.0:
        return name
    return f'{name}<path class="mark" d="M{place.left_mm:g} {y - 4:g}v3M{place.left_mm:g} {y + 1:g}v3"/>'


def _calibration(page: Page, row: int) -> str:
    """Draw the pulse of 1 mV and 200 ms by which paper is read."""
    baseline = next(place.baseline_mm for place in page.places if place.row == row)
    return f'<path class="mark" d="M{LEFT_MM - 10:g} {baseline:g}h2v-{MM_PER_MV:g}h5v{MM_PER_MV:g}h2"/>'


def _span(span: Span, page: Page) -> str:
    """Shade a span wherever the layout shows a part of it."""
    shaded = []
    for place in page.places:
        start_s, end_s = max(span.start_s, place.start_s), min(span.end_s, place.end_s)
        if start_s >= end_s or span.lead not in ("", place.lead):
            continue
        x = place.left_mm + (start_s - place.start_s) * MM_PER_S
        y = place.baseline_mm - page.row_mm / 2
        shaded.append(
            f'<rect class="span" x="{x:.2f}" y="{y:g}" width="{(end_s - start_s) * MM_PER_S:.2f}" '
            f'height="{page.row_mm:g}"><title>{escape(span.label)}</title></rect>'
        )
    return "".join(shaded)


def _texts(page: Page, ecg: EcgRecorded, options: StripOptions) -> str:
    lines = [
        f'<text x="5" y="{5 + 4.5 * i:g}">{escape(line)}</text>' for i, line in enumerate(options.heading)
    ]
    footer = f"{MM_PER_S:g} mm/s   {MM_PER_MV:g} mm/mV   {ecg.sample_rate_hz:g} Hz, unfiltered"
    y = page.height_mm - 3.0
    lines.append(f'<text class="small" x="5" y="{y:g}" xml:space="preserve">{footer}</text>')
    return "".join(lines)
