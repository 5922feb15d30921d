"""How the report looks: one style sheet, light and dark by the reader's choice, and light on paper."""

from typing import Final

_LIGHT: Final = """
  --paper: #ffffff; --panel: #f4f6f8; --ink: #16202a; --soft: #56636f; --line: #d6dce2; --link: #0b5cad;
  --motion: #8a5a00; --foundation: #1763ab; --ensemble: #b8340f; --high: #b3261e; --low: #1763ab;
  --good: #1b6e3c; --bad: #b3261e; --warn-back: #fff4d6; --warn-edge: #b7791f;
"""
_DARK: Final = """
  --paper: #11161b; --panel: #1a2129; --ink: #e8edf2; --soft: #9dabb8; --line: #333f4a; --link: #7ab8f5;
  --motion: #e3b34d; --foundation: #7ab8f5; --ensemble: #ff9472; --high: #ff8d85; --low: #7ab8f5;
  --good: #6fd198; --bad: #ff8d85; --warn-back: #3a2f12; --warn-edge: #e3b34d;
"""

_PAGE: Final = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans); }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
a { color: var(--link); }
p { max-width: 46rem; }
.notice { padding: .9rem 1.25rem; background: var(--warn-back); border-bottom: 3px solid var(--warn-edge); }
.notice p { max-width: 65.5rem; margin: 0 auto; }
.notice strong { display: block; font-size: 1.1rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 1.2rem 0 .8rem; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 3.2rem 0 .6rem; padding-top: 1rem;
     border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.data { display: block; font-size: .85rem; font-weight: 400; color: var(--soft); line-height: 1.5;
        margin-top: .25rem; }
.one { display: inline-block; }
nav { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1.1rem;
      margin: 1.4rem 0; }
nav ol { columns: 3 14rem; column-gap: 3rem; margin: 0; padding-left: 1.6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.2rem; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
ul.notes { font-size: .92rem; max-width: 46rem; padding-left: 1.2rem; }
ul.notes li { margin-bottom: .4rem; }
"""

_TABLES: Final = """
.scroll { overflow-x: auto; margin: 1rem 0 1.6rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; min-width: 100%; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { text-align: right; vertical-align: top; padding: .32rem .7rem;
         border-bottom: 1px solid var(--line); }
th:first-child { padding-left: 0; }
th[scope=row], td.words, th.words { text-align: left; }
th[scope=row] { font-weight: 400; min-width: 10rem; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom;
           border-bottom: 2px solid var(--line); }
tr.group th { font-weight: 600; padding-top: .9rem; }
td { white-space: nowrap; }
td.words { white-space: normal; min-width: 9rem; }
.met { color: var(--good); font-weight: 600; }
.missed { color: var(--bad); font-weight: 700; }
.unknown { color: var(--soft); }
"""

_BLOCKS: Final = """
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem;
         margin: 1.4rem 0; padding: 0; list-style: none; }
.tiles li { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
            padding: .8rem 1rem; }
.tiles b { display: block; font-size: 1.55rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tiles span { display: block; color: var(--soft); font-size: .83rem; line-height: 1.45; }
figure { margin: 1.4rem 0 1.8rem; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .88rem; max-width: 46rem; margin-top: .5rem; }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .5rem; }
  /* Panels side by side would be too small to read: they keep their size and scroll. */
  figure { overflow-x: auto; }
  figure svg { min-width: 44rem; }
}
"""

_PAPER: Final = """
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  h1, h2, h3 { break-inside: avoid; break-after: avoid; }
  h2 + p, h3 + p { break-after: avoid; }
  caption { break-after: avoid; }
  h2 { margin-top: 1.5rem; }
  figure, tr, .tiles li { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td { padding: .2rem .35rem; }
  th[scope=row], td.words { min-width: 0; }
"""

_SANS: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

STYLE: Final = (
    f":root {{ color-scheme: light dark; {_LIGHT} --sans: {_SANS}; }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}\n"
    f"{_PAGE}{_TABLES}{_BLOCKS}"
    f"@media print {{ :root {{ color-scheme: light; {_LIGHT} }} @page {{ margin: 14mm; }} {_PAPER} }}\n"
)
