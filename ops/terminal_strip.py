"""An ECG drawn in a terminal: braille where it can be shown, plain characters where not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.strip_layout import Layout, Place, page_of

_Mv = npt.NDArray[np.float64]
_Dots = npt.NDArray[np.bool_]

#: Bit of each dot of a braille character (Unicode 15, block 2800): four rows of two.
_BRAILLE_BITS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE: Final = 0x2800

#: With fewer columns a lead of four beside each other has too few dots for a beat: then one lead a line.
_WIDE: Final = 100

#: Lines of the tallest lead.
_MOST_LINES: Final = 6

#: Smaller swings are not blown up to fill the lines, mV: a flat lead is to look flat.
_LEAST_MV: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Charset:
    """Characters to draw with.

    Attributes
    ----------
    columns, rows : int
        Dots of one character.
    """

    columns: int
    rows: int
    is_braille: bool

    def text(self, dots: _Dots) -> list[str]:
        """Write dots, (n_rows, n_columns) in whole characters, as lines."""
        n_lines, n_chars = dots.shape[0] // self.rows, dots.shape[1] // self.columns
        # (lines · rows, chars · columns) → (lines, chars, rows, columns)
        cells = dots.reshape(n_lines, self.rows, n_chars, self.columns).swapaxes(1, 2)
        return ["".join(self._char(cell) for cell in line).rstrip() for line in cells]

    def _char(self, cell: _Dots) -> str:
        if not cell.any():
            return " "
        if self.is_braille:
            return chr(_BRAILLE + int(np.sum(np.asarray(_BRAILLE_BITS)[cell])))
        if cell.sum() > 1:
            return "|"
        return "'-."[int(np.flatnonzero(cell[:, 0])[0])]


BRAILLE: Final = Charset(columns=2, rows=4, is_braille=True)
PLAIN: Final = Charset(columns=1, rows=3, is_braille=False)


def charset_for(encoding: str) -> Charset:
    """Choose what a terminal of this encoding can show.

    >>> charset_for("utf-8").is_braille, charset_for("latin-1").is_braille
    (True, False)
    """
    try:
        chr(_BRAILLE).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return BRAILLE


def draw(leads_mv: Mapping[str, _Mv], rate_hz: float, width: int, charset: Charset) -> list[str]:
    """Draw the leads as lines of at most ``width`` characters, all at one gain.

    Where there is room, as on paper (2.5 s of four leads beside each other, the rhythm lead below), else
    10 s of one lead after the other.

    Parameters
    ----------
    leads_mv : mapping
        From lead to float64, (n,), mV, baseline at 0, as :func:`streams.strip.twelve_leads_mv` gives.
    """
    places = page_of(Layout.STANDARD if width >= _WIDE else Layout.ONE_COLUMN).places
    rows = [[place for place in places if place.row == row] for row in range(places[-1].row + 1)]
    mv_per_dot = _mv_per_dot(rows, leads_mv, rate_hz, charset)
    lines: list[str] = []
    for row in rows:
        n_chars = (width - len(row)) // len(row)
        pieces = [_piece(place, leads_mv.get(place.lead), rate_hz) for place in row]
        top, bottom = _extent(pieces)
        blocks = [_block(mv, (top, bottom), mv_per_dot, n_chars, charset) for mv in pieces]
        lines += _labelled(row, blocks, n_chars)
    return lines


def scale_text(leads_mv: Mapping[str, _Mv], rate_hz: float, width: int, charset: Charset) -> str:
    """Say how tall a character is."""
    places = page_of(Layout.STANDARD if width >= _WIDE else Layout.ONE_COLUMN).places
    rows = [[place for place in places if place.row == row] for row in range(places[-1].row + 1)]
    mv = _mv_per_dot(rows, leads_mv, rate_hz, charset) * charset.rows
    return f"a line is {mv:.2f} mV"


def _piece(place: Place, mv: _Mv | None, rate_hz: float) -> _Mv:
    if mv is None:
        return np.zeros(0)
    return mv[round(place.start_s * rate_hz) : round(place.end_s * rate_hz)]


def _extent(pieces: Sequence[_Mv]) -> tuple[float, float]:
    """Highest and lowest of some pieces, mV; both 0 when there is nothing."""
    there = [piece for piece in pieces if piece.size]
    top = max((float(piece.max()) for piece in there), default=0.0)
    return top, min((float(piece.min()) for piece in there), default=0.0)


def _mv_per_dot(
    rows: Sequence[Sequence[Place]], leads_mv: Mapping[str, _Mv], rate_hz: float, charset: Charset
) -> float:
    extents = [_extent([_piece(place, leads_mv.get(place.lead), rate_hz) for place in row]) for row in rows]
    swing_mv = max(max(top - bottom for top, bottom in extents), _LEAST_MV)
    return swing_mv / (_MOST_LINES * charset.rows - 1)


def _block(
    mv: _Mv, extent: tuple[float, float], mv_per_dot: float, n_chars: int, charset: Charset
) -> list[str]:
    """Draw one piece: in each column of dots all that lies between its lowest and highest sample."""
    top, bottom = extent
    n_lines = int((top - bottom) / mv_per_dot) // charset.rows + 1
    dots = np.zeros((n_lines * charset.rows, n_chars * charset.columns), dtype=bool)
    before: _Mv = np.zeros(0)
    for column, of_column in enumerate(np.array_split(mv, dots.shape[1])):
        if not of_column.size:
            continue
        joined = np.concatenate([before, of_column])
        high, low = ((top - limit) / mv_per_dot for limit in (joined.max(), joined.min()))
        dots[round(high) : round(low) + 1, column] = True
        before = of_column[-1:]
    return charset.text(dots)


def _labelled(row: Sequence[Place], blocks: Sequence[list[str]], n_chars: int) -> Iterator[str]:
    """Put blocks beside each other under the names of their leads."""
    yield " ".join(place.lead.ljust(n_chars) for place in row).rstrip()
    for line in zip(*blocks, strict=True):
        yield " ".join(piece.ljust(n_chars) for piece in line).rstrip()
