"""Bringing a Grafana to what is wanted: compare, write what is due, compare again. Twice does nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from ops.boards.catalogue import Catalogue
from ops.boards.changes import (
    Change,
    Sort,
    Standing,
    compare_board,
    compare_folder,
    compare_rules,
    compare_source,
)
from ops.boards.grafana import Grafana, GrafanaRefusedError
from ops.boards.places import FOLDER_TITLE, FOLDER_UID
from schemas.errors import ConfigurationError

_MESSAGE = "diastole boards apply"


async def changes(grafana: Grafana, wanted: Catalogue) -> list[Change]:
    """Compare everything, in the order in which it would be written.

    Raises
    ------
    GrafanaUnavailableError, GrafanaDeniedError, GrafanaRefusedError
    """
    found = [compare_folder(FOLDER_UID, await grafana.folder(FOLDER_UID))]
    found += [compare_source(each, await grafana.source(each.uid)) for each in wanted.sources]
    for board in wanted.boards:
        found.append(compare_board(board.model(), await grafana.board(board.uid), FOLDER_UID))
    found.append(compare_rules(wanted.rules, await grafana.rules(FOLDER_UID, wanted.rules["title"])))
    return found


async def apply(
    grafana: Grafana, wanted: Catalogue, planned: Sequence[Change], *, force: bool
) -> list[Change]:
    """Write what is due of the plan, and return what was written.

    After a failure in between, what was written stays; applying again goes on with the rest.

    Parameters
    ----------
    force : bool
        Also write over what was edited by hand.

    Raises
    ------
    ConfigurationError
        Before anything is written: the read API's data source has no token and none is given.
    GrafanaUnavailableError, GrafanaDeniedError, GrafanaRefusedError
        Also when Grafana keeps something other than it was sent, so that hand edits could not be told.
    """
    due = [change for change in planned if change.is_due(force=force)]
    _require_token(wanted, due)
    for change in due:
        await _write(grafana, wanted, change)
    if due:
        await _require_kept(grafana, wanted, due)
    return due


def _require_token(wanted: Catalogue, due: Sequence[Change]) -> None:
    missing = {change.uid for change in due if change.standing is Standing.MISSING}
    for source in wanted.sources:
        if source.needs_token and source.uid in missing and not source.token:
            raise ConfigurationError(
                "Grafana needs a token of the read API: make one with diastole token new grafana --for care, "
                "write it into a file, and give that with --api-token-file"
            )


async def _write(grafana: Grafana, wanted: Catalogue, change: Change) -> None:
    found = change.found or {}
    match change.sort:
        case Sort.FOLDER:
            await _write_folder(grafana, change)
        case Sort.SOURCE:
            source = next(each for each in wanted.sources if each.uid == change.uid)
            body = source.body(change.found)
            write = grafana.create_source if change.found is None else grafana.update_source
            await write(body)
        case Sort.BOARD:
            board = next(each for each in wanted.boards if each.uid == change.uid)
            await grafana.save_board(board.model(), FOLDER_UID, _version(found), _MESSAGE)
        case Sort.RULES:
            await grafana.save_rules(wanted.rules)


async def _write_folder(grafana: Grafana, change: Change) -> None:
    if change.found is None:
        await grafana.create_folder(change.uid, FOLDER_TITLE)
    else:
        await grafana.rename_folder(change.uid, FOLDER_TITLE, int(change.found.get("version", 1)))


def _version(found: Mapping[str, Any]) -> int | None:
    version = found.get("dashboard", {}).get("version")
    return None if version is None else int(version)


async def _require_kept(grafana: Grafana, wanted: Catalogue, due: Sequence[Change]) -> None:
    written = {(change.sort, change.uid) for change in due}
    for change in await changes(grafana, wanted):
        if (change.sort, change.uid) in written and change.standing is not Standing.SAME:
            raise GrafanaRefusedError(
                f"Grafana keeps {change.sort} {change.uid} in another form than it was sent, so edits by "
                "hand could not be told from it; see: diastole boards diff, and report Grafana's version"
            )
