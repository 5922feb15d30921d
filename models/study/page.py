"""Pieces of a page: headings that say what the data were, tables, figures. All text is escaped here."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from models.study.facts import CohortFacts
from models.study.figures.style import Drawn
from models.study.page_style import STYLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table to be shown.

    Attributes
    ----------
    caption : str
        What its numbers are.
    columns : tuple of str
        Headings; the first is that of the rows.
    rows : sequence of tuple of str
        Cells as text; a row with one cell is a heading over those below it.
    words : tuple of int
        Columns, beside the first, that hold words: set flush left.
    """

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: tuple[int, ...] = ()


def heading(level: int, text: str, facts: Sequence[CohortFacts], *, anchor: str = "") -> str:
    """Write a heading with what the data below it were.

    Raises
    ------
    ValueError
        When it would not say so.
    """
    if not facts:
        raise ValueError(f"heading {text!r} says nothing of its data")
    # One line each would push the content of a page with six cohorts out of sight.
    each_said = (f'<span class="one">{escape(each.heading)}</span>' for each in facts)
    said = f'<span class="data">{" · ".join(each_said)}</span>'
    identity = f' id="{anchor}"' if anchor else ""
    return f"<h{level}{identity}>{escape(text)}{said}</h{level}>"


def paragraph(text: str) -> str:
    """Write a paragraph."""
    return f"<p>{escape(text)}</p>"


def notes(texts: Sequence[str]) -> str:
    """Write a list of remarks."""
    return '<ul class="notes">' + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def table(of: Table) -> str:
    """Write a table that scrolls by itself where the page is too narrow."""
    kinds = ["words" if i == 0 or i in of.words else "" for i in range(len(of.columns))]
    head = "".join(
        f'<th scope="col"{_kind(kind)}>{escape(column)}</th>'
        for column, kind in zip(of.columns, kinds, strict=True)
    )
    body = "".join(_row(row, kinds) for row in of.rows)
    # It can be reached and scrolled with the keyboard alone.
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(of.caption)}"><table>'
        f"<caption>{escape(of.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def figure(of: Drawn) -> str:
    """Write a figure with its caption."""
    return f"<figure>{of.svg}<figcaption>{escape(of.caption)}</figcaption></figure>"


def tiles(entries: Sequence[tuple[str, str]]) -> str:
    """Write the few numbers a reader came for: each with what it is."""
    return (
        '<ul class="tiles">'
        + "".join(f"<li><b>{escape(number)}</b><span>{escape(what)}</span></li>" for number, what in entries)
        + "</ul>"
    )


def definitions(entries: Sequence[tuple[str, str]]) -> str:
    """Write terms with what they stand for."""
    return (
        "<dl>"
        + "".join(f"<dt>{escape(term)}</dt><dd>{escape(what)}</dd>" for term, what in entries)
        + "</dl>"
    )


def contents(entries: Sequence[tuple[str, str]]) -> str:
    """Write links to anchors of the page."""
    links = "".join(f'<li><a href="#{anchor}">{escape(text)}</a></li>' for anchor, text in entries)
    return f'<nav aria-label="contents"><ol>{links}</ol></nav>'


def page(title: str, notice: tuple[str, str], body: Sequence[str]) -> str:
    """Write the whole page: one file that needs nothing else and runs nothing."""
    first, rest = notice
    joined = "\n".join(body)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<div class="notice" role="note"><p><strong>{escape(first)}</strong> {escape(rest)}</p></div>\n'
        f"<main>\n{joined}\n</main>\n</body>\n</html>\n"
    )


def _row(row: tuple[str, ...], kinds: list[str]) -> str:
    if len(row) == 1:
        over = f'<th scope="rowgroup" class="words" colspan="{len(kinds)}">{escape(row[0])}</th>'
        return f'<tr class="group">{over}</tr>'
    first, *cells = row
    written = "".join(
        f"<td{_kind(kind)}>{_cell(cell)}</td>" for cell, kind in zip(cells, kinds[1:], strict=True)
    )
    return f'<tr><th scope="row">{escape(first)}</th>{written}</tr>'


def _cell(text: str) -> str:
    """Write a cell; a verdict gets its colour, beside the word that says it."""
    verdict = {
        "met": ("met", "✓ met"),
        "missed": ("missed", "✗ MISSED"),
        "not known": ("unknown", "not known"),
    }
    if text in verdict:
        kind, said = verdict[text]
        return f'<span class="{kind}">{said}</span>'
    return escape(text)


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
