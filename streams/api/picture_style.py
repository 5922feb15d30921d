"""The style of motion curves that are shown outside the pages: in a board, a mail, a tab of their own."""

from typing import Final

#: The classes of :mod:`streams.api.motion_svg`, by day and by night.
_STYLE: Final = """
.motion{--ink:#1a1a1a;--faint:#767676;--grid:#dcdcdc;--curve:#0b4f8a;background:#fff}
@media (prefers-color-scheme:dark){
.motion{--ink:#f0f0f0;--faint:#a8a8a8;--grid:#3a3a3a;--curve:#7db8f0;background:#161616}}
.motion text{fill:var(--ink);font-family:Helvetica,Arial,sans-serif;font-size:11px}
.motion .tick,.motion .unit{fill:var(--faint);font-size:10px}
.motion .wall{font-weight:600;font-size:12px}
.motion path{fill:none}
.motion .grid{stroke:var(--grid);stroke-width:.7}
.motion .axis,.motion .doubt{stroke:var(--faint);stroke-width:1}
.motion .normal{stroke:var(--faint);stroke-width:1.5;stroke-dasharray:5 4}
.motion .curve{stroke:var(--curve);stroke-width:2}
"""


def standing_alone(svg: str) -> str:
    """Put the style into a motion picture, before its first child.

    >>> standing_alone('<svg class="motion"><path/></svg>').count("<style>")
    1
    """
    end = svg.index(">") + 1
    return f"{svg[:end]}<style>{_STYLE}</style>{svg[end:]}"
