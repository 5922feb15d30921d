"""Where each lead of a printed 12-lead ECG stands on the paper, in millimetres."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.leads import LEADS_12

#: What carts print by default; 10 s then are 250 mm, and fit an A4 or Letter page across.
MM_PER_S: Final = 25.0
MM_PER_MV: Final = 10.0

#: Shown of a recording, s: what all layouts hold at 25 mm/s.
SHOWN_S: Final = 10.0

#: The lead that is shown in full below the others: P waves stand out in it.
RHYTHM_LEAD: Final = "II"

#: Room on the left for the calibration pulse: 5 mm wide, with 2 mm of baseline on either side, and a margin.
LEFT_MM: Final = 15.0
RIGHT_MM: Final = 5.0
TOP_MM: Final = 15.0
BOTTOM_MM: Final = 10.0

#: Two rows that touch overlap where a QRS is taller than half of this.
_ROW_MM: Final = {3: 30.0, 6: 25.0, 12: 20.0}


class Layout(StrEnum):
    """How the leads are arranged; the names are rows × columns."""

    STANDARD = "3x4"  # 2.5 s of each, and 10 s of the rhythm lead below
    TWO_COLUMNS = "6x2"  # 5 s of each
    ONE_COLUMN = "12x1"  # 10 s of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one piece of one lead stands.

    Attributes
    ----------
    start_s, end_s : float
        Of the recording; leads beside each other show what followed, not the same instant.
    left_mm, baseline_mm : float
        Where ``start_s`` and 0 mV lie, from the upper left corner.
    row : int
        From 0.
    """

    lead: str
    start_s: float
    end_s: float
    left_mm: float
    baseline_mm: float
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All places of a layout and the size of the paper, mm."""

    places: tuple[Place, ...]
    width_mm: float
    height_mm: float
    row_mm: float
    n_rows: int


def page_of(layout: Layout) -> Page:
    """Lay out the twelve leads.

    >>> page = page_of(Layout.STANDARD)
    >>> [place.lead for place in page.places if place.start_s == 0.0]
    ['I', 'II', 'III', 'II']
    >>> page.width_mm
    270.0
    """
    n_rows = int(layout.value.partition("x")[0])
    row_mm = _ROW_MM[n_rows]
    rows = [LEADS_12[row::n_rows] for row in range(n_rows)]
    if layout is Layout.STANDARD:
        rows.append((RHYTHM_LEAD,))
    places = [place for i, row in enumerate(rows) for place in _row(i, row, row_mm)]
    return Page(
        places=tuple(places),
        width_mm=LEFT_MM + SHOWN_S * MM_PER_S + RIGHT_MM,
        height_mm=TOP_MM + len(rows) * row_mm + BOTTOM_MM,
        row_mm=row_mm,
        n_rows=len(rows),
    )


def _row(row: int, leads: Sequence[str], row_mm: float) -> list[Place]:
    each_s = SHOWN_S / len(leads)
    return [
        Place(
            lead=lead,
            start_s=column * each_s,
            end_s=(column + 1) * each_s,
            left_mm=LEFT_MM + column * each_s * MM_PER_S,
            baseline_mm=TOP_MM + (row + 0.5) * row_mm,
            row=row,
        )
        for column, lead in enumerate(leads)
    ]
