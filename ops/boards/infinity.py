"""Queries of the read API through the Infinity data source, such that what is missing stays missing.

All of them use the *backend* parser with every column typed. Typed ``number``, a JSON null becomes an empty
cell of a nullable column, and so does a column without any number; the frontend parsers, and untyped columns,
guess. A column is called what its field is called: people's names for it are display names of the panel.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from ops.boards.places import API

Kind = Literal["string", "number", "timestamp", "boolean"]
Columns = Mapping[str, Kind]

#: Grafana writes the time range of the board in here.
FROM: Final = "${__from:date:iso}"
TO: Final = "${__to:date:iso}"
IN_RANGE: Final[Mapping[str, str]] = {"since": FROM, "until": TO}


def query(
    path: str,
    columns: Columns,
    *,
    root: str = "",
    params: Mapping[str, str] | None = None,
    computed: Mapping[str, str] | None = None,
    ref: str = "A",
) -> dict[str, Any]:
    """Ask the read API.

    Parameters
    ----------
    path : str
        Below the API's address, such as ``/v1/wards``.
    columns : mapping of str to Kind
        Field of each row, and what it holds. A time is ISO 8601 with its zone.
    root : str
        Where the rows are in the answer (gjson); empty: the answer is the row, or the rows.
    computed : mapping of str to str
        Name and expression of further numbers, made of ``columns``; only of fields that are never null.
    """
    return {
        "refId": ref,
        "datasource": API,
        "type": "json",
        "source": "url",
        "parser": "backend",
        "format": "table",
        "url": path,
        "url_options": {"method": "GET", "data": "", "params": _pairs(params or {})},
        "root_selector": root,
        "columns": [column(name, kind) for name, kind in columns.items()],
        "computed_columns": [
            {"selector": expression, "text": name, "type": "number"}
            for name, expression in (computed or {}).items()
        ],
        "filters": [],
    }


def column(name: str, kind: Kind) -> dict[str, str]:
    """Take one field of each row, under its own name."""
    return {"selector": name, "text": name, "type": kind}


def _pairs(params: Mapping[str, str]) -> Sequence[dict[str, str]]:
    return [{"key": key, "value": text} for key, text in params.items()]
