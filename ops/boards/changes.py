"""What would have to change, as a pure comparison of what is there with what is wanted."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops.boards.alert_rules import mark_of_rule, own_rule
from ops.boards.board import digest, mark_of, own_content
from ops.boards.data_sources import FINGERPRINT, Source, fingerprint, mark_of_source, own_source
from ops.boards.places import FOLDER_TITLE


class Standing(StrEnum):
    """How a thing in Grafana stands to ours."""

    MISSING = "missing"
    SAME = "same"
    OLDER = "older"  # ours, as we wrote it some time
    EDITED = "edited by hand"
    FROM_FILES = "provisioned from files"


class Sort(StrEnum):
    """What it is; in the order in which one refers to the other."""

    FOLDER = "folder"
    SOURCE = "data source"
    BOARD = "board"
    RULES = "alert rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing, and what would be done about it.

    Attributes
    ----------
    found : mapping or None
        As Grafana has it.
    lines : tuple of str
        What differs, as a unified diff; empty when nothing does. Holds no secret.
    """

    sort: Sort
    uid: str
    title: str
    standing: Standing
    found: Mapping[str, Any] | None = None
    lines: tuple[str, ...] = ()

    def is_due(self, *, force: bool) -> bool:
        """Whether applying writes it."""
        return self.standing in (Standing.MISSING, Standing.OLDER) or (
            force and self.standing is Standing.EDITED
        )


def compare_folder(uid: str, found: Mapping[str, Any] | None) -> Change:
    """Compare the folder, which is nothing but its title."""
    there = None if found is None else {"title": found.get("title")}
    ours = {"title": FOLDER_TITLE}
    standing = _standing(there, ours, is_as_written=False)
    return _change(Sort.FOLDER, uid, FOLDER_TITLE, standing, found, there, ours)


def compare_source(source: Source, found: Mapping[str, Any] | None) -> Change:
    """Compare a data source; that its token is another one shows as another fingerprint."""
    there = None if found is None else own_source(found)
    ours: dict[str, Any] = dict(source.content)
    is_as_written = there is not None and mark_of_source(found or {}) == digest(there)
    if source.token and (known := fingerprint(source.token)):
        has = ((found or {}).get("jsonData") or {}).get(FINGERPRINT)
        ours["token"] = "as given"  # noqa: S105 (a word)
        if there is not None:
            there = {**there, "token": "as given" if has == known else "another, or none"}
    standing = _standing(there, ours, is_as_written=is_as_written)
    if standing is not Standing.SAME and (found or {}).get("readOnly"):
        standing = Standing.FROM_FILES
    return _change(Sort.SOURCE, source.uid, str(source.content["name"]), standing, found, there, ours)


def compare_board(model: Mapping[str, Any], found: Mapping[str, Any] | None, folder_uid: str) -> Change:
    """Compare a board, and the folder it is in."""
    ours = {**own_content(model), "folder": folder_uid}
    there, is_as_written = None, False
    if found is not None:
        meta, content = found.get("meta", {}), own_content(found["dashboard"])
        there = {**content, "folder": meta.get("folderUid") or ""}
        is_as_written = mark_of(found["dashboard"]) == digest(content) and there["folder"] == folder_uid
    standing = _standing(there, ours, is_as_written=is_as_written)
    if standing is not Standing.SAME and (found or {}).get("meta", {}).get("provisioned"):
        standing = Standing.FROM_FILES
    return _change(Sort.BOARD, str(model["uid"]), str(model["title"]), standing, found, there, ours)


def compare_rules(group: Mapping[str, Any], found: Mapping[str, Any] | None) -> Change:
    """Compare the whole group; a rule of it that is not ours counts as edited by hand."""
    ours = _group_content(group)
    there, is_as_written = None, False
    if found is not None and found.get("rules"):
        there = _group_content(found)
        is_as_written = all(mark_of_rule(rule) == digest(own_rule(rule)) for rule in found["rules"])
    standing = _standing(there, ours, is_as_written=is_as_written)
    return _change(Sort.RULES, str(group["title"]), str(group["title"]), standing, found, there, ours)


def _group_content(group: Mapping[str, Any]) -> dict[str, Any]:
    rules = {rule["uid"]: own_rule(rule) for rule in group["rules"]}
    return {"interval": group["interval"], "rules": rules}


def _standing(there: Mapping[str, Any] | None, ours: Mapping[str, Any], *, is_as_written: bool) -> Standing:
    if there is None:
        return Standing.MISSING
    if there == ours:
        return Standing.SAME
    return Standing.OLDER if is_as_written else Standing.EDITED


def _change(
    sort: Sort,
    uid: str,
    title: str,
    standing: Standing,
    found: Mapping[str, Any] | None,
    there: Mapping[str, Any] | None,
    ours: Mapping[str, Any],
) -> Change:
    lines = () if standing is Standing.SAME else tuple(_diff(there, ours))
    return Change(sort=sort, uid=uid, title=title, standing=standing, found=found, lines=lines)


def _diff(there: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> Iterable[str]:
    before = [] if there is None else _lines(there)
    return difflib.unified_diff(before, _lines(ours), "in Grafana", "wanted", lineterm="", n=2)


def _lines(content: Mapping[str, Any]) -> Sequence[str]:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
