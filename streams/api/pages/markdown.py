"""The little Markdown that a model card is written in, as blocks a template can lay out.

Headings, lists, tables, paragraphs; bold and code inside them. Everything is escaped.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

_BOLD: Final = re.compile(r"\*\*(.+?)\*\*")
_CODE: Final = re.compile(r"`([^`]+)`")
_CELLS: Final = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block.

    Attributes
    ----------
    lines : sequence of sequence of str
        HTML. Of a heading and a paragraph: one line of one; of a list: one in each; of a table: the head,
        then the rows, cell by cell.
    """

    kind: Literal["h1", "h2", "p", "list", "table"]
    lines: Sequence[Sequence[str]]


def blocks(markdown: str) -> list[Block]:
    r"""Read the blocks.

    >>> [block.kind for block in blocks("# A\n\ntext **b**\n\n- one\n- two\n")]
    ['h1', 'p', 'list']
    """
    return [_block(lines) for lines in _paragraphs(markdown)]


def _paragraphs(markdown: str) -> Iterator[list[str]]:
    lines: list[str] = []
    for line in [*markdown.splitlines(), ""]:
        if line.strip():
            lines.append(line)
        elif lines:
            yield lines
            lines = []


def _block(lines: list[str]) -> Block:
    first = lines[0]
    if first.startswith("## "):
        return Block(kind="h2", lines=[[inline(first[3:])]])
    if first.startswith("# "):
        return Block(kind="h1", lines=[[inline(first[2:])]])
    if first.startswith("- "):
        return Block(kind="list", lines=[[inline(line[2:])] for line in lines])
    if first.startswith("|"):
        return Block(kind="table", lines=[_row(line) for line in lines if not line.startswith("| ---")])
    return Block(kind="p", lines=[[inline(" ".join(lines))]])


def _row(line: str) -> list[str]:
    return [inline(cell.replace(r"\|", "|").strip()) for cell in _CELLS.split(line.strip())[1:-1]]


def inline(text: str) -> str:
    """Escape text and set what is bold or code.

    >>> inline("**a** <b> `c`")
    '<strong>a</strong> &lt;b&gt; <code>c</code>'
    """
    return _CODE.sub(r"<code>\1</code>", _BOLD.sub(r"<strong>\1</strong>", escape(text)))
