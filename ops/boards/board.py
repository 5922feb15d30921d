"""A board: panels laid out in rows, variables, annotations, links; and the mark of its content.

Grafana says of a board that somebody saved it, not what it was before. So every board carries a tag with the
digest of what we wrote (``content:…``). Where the digest of what is there differs from the tag that is there,
somebody edited the board by hand; where the two agree but differ from ours, ours is newer.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from ops.boards.panels import Panel

#: Of Grafana 11.0; later ones read it and raise it in memory. A higher one would be refused by none, but
#: promises forms of panels that 11 does not know.
_SCHEMA_VERSION: Final = 39

#: 24 columns make a row.
COLUMNS: Final = 24

_MARK: Final = "content:"

#: 48 bits: hand edits are told apart from our own content, not defended against.
_DIGEST_HEX_DIGITS: Final = 12

#: What a board is. Anything else is Grafana's: id, version, and what it adds when it reads.
_OWN: Final = (
    "title",
    "description",
    "tags",
    "refresh",
    "time",
    "timezone",
    "templating",
    "annotations",
    "links",
    "panels",
)
_OWN_OF_PANEL: Final = (
    "id",
    "type",
    "title",
    "description",
    "datasource",
    "gridPos",
    "targets",
    "fieldConfig",
    "options",
    "transformations",
    "links",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels side by side.

    Attributes
    ----------
    height : int
        In Grafana's units of 30 pixels.
    panels : sequence of (Panel, int)
        Each with its width in 24ths of the board.
    """

    height: int
    panels: Sequence[tuple[Panel, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board as we want it.

    Attributes
    ----------
    uid : str
        At most 40 characters; links and updates go by it.
    since : str
        Start of the time shown at first, such as ``now-30d``.
    refresh : str
        How often it is read again, such as ``30s``.
    """

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    since: str
    refresh: str
    variables: Sequence[Mapping[str, Any]] = ()
    annotations: Sequence[Mapping[str, Any]] = ()
    links: Sequence[Mapping[str, Any]] = ()

    def model(self) -> dict[str, Any]:
        """Write it as Grafana's dashboard JSON, without id and version; each time anew."""
        content = {
            "title": self.title,
            "description": self.description,
            "tags": ["diastole"],
            "refresh": self.refresh,
            "time": {"from": self.since, "to": "now"},
            "timezone": "browser",
            "templating": {"list": [dict(each) for each in self.variables]},
            "annotations": {"list": [dict(each) for each in self.annotations]},
            "links": [dict(each) for each in self.links],
            "panels": list(_placed(self.rows)),
        }
        marked = {**content, "tags": ["diastole", f"{_MARK}{digest(content)}"]}
        return deepcopy({"uid": self.uid, "schemaVersion": _SCHEMA_VERSION, "editable": True, **marked})


def _placed(rows: Sequence[Row]) -> Iterable[Panel]:
    number, top = 0, 0
    for row in rows:
        left = 0
        for each, width in row.panels:
            number += 1
            place = {"x": left, "y": top, "w": width, "h": row.height}
            yield {"id": number, "gridPos": place, **each}
            left += width
        top += row.height


def own_content(model: Mapping[str, Any]) -> dict[str, Any]:
    """Take out of a board as Grafana has it what we would write, the mark apart."""
    content = {key: model[key] for key in _OWN if model.get(key) is not None}
    content["tags"] = sorted(tag for tag in content.get("tags", []) if not tag.startswith(_MARK))
    content["panels"] = [
        {key: each[key] for key in _OWN_OF_PANEL if each.get(key) is not None}
        for each in content.get("panels", [])
    ]
    annotations = content.get("annotations", {}).get("list", [])
    # Grafana adds its own list of annotations to every board.
    content["annotations"] = {"list": [each for each in annotations if not each.get("builtIn")]}
    return content


def mark_of(model: Mapping[str, Any]) -> str | None:
    """Return the digest a board carries; None when it is none of ours."""
    marks = [tag.removeprefix(_MARK) for tag in model.get("tags") or [] if tag.startswith(_MARK)]
    return marks[0] if len(marks) == 1 else None


def digest(content: Mapping[str, Any]) -> str:
    """Digest what :func:`own_content` returns; of the same content always the same."""
    written = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()[:_DIGEST_HEX_DIGITS]
