"""Risk before and after as a bar from 0 to 1, small enough for a row."""

from typing import Final

_WIDTH, _HEIGHT, _MARGIN = 160.0, 18.0, 6.0
_MIDDLE: Final = _HEIGHT / 2
_OPENING: Final = (
    f'<svg xmlns="http://www.w3.org/2000/svg" class="risk-bar" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" '
    'aria-hidden="true" focusable="false">'
)


def risk_bar_svg(
    *,
    after: float,
    threshold: float,
    before: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """Draw the bar: threshold as a tick, interval as a band, before hollow, after filled.

    The numbers stand beside it in text, so it is hidden from readers of text.
    """
    parts = [
        _OPENING,
        _band("track", 0.0, 1.0, 4.0),
        _band("track-high", threshold, 1.0, 4.0),
        f'<path class="cut" d="M{_x(threshold):.1f} {_MIDDLE - 6:g}v12"/>',
    ]
    if low is not None and high is not None:
        parts.append(_band("interval", low, high, 8.0))
    if before is not None:
        parts.append(f'<path class="move" d="M{_x(before):.1f} {_MIDDLE:g}H{_x(after):.1f}"/>')
        parts.append(f'<circle class="before" cx="{_x(before):.1f}" cy="{_MIDDLE:g}" r="3.5"/>')
    parts.append(f'<circle class="after" cx="{_x(after):.1f}" cy="{_MIDDLE:g}" r="5"/></svg>')
    return "".join(parts)


def _band(name: str, low: float, high: float, tall: float) -> str:
    return (
        f'<rect class="{name}" x="{_x(low):.1f}" y="{_MIDDLE - tall / 2:g}" '
        f'width="{_x(high) - _x(low):.1f}" height="{tall:g}" rx="{tall / 2:g}"/>'
    )


def _x(risk: float) -> float:
    return _MARGIN + risk * (_WIDTH - 2 * _MARGIN)
