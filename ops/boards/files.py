"""The same as files, for a Grafana that is provisioned from folders, as in compose.

After a change of the boards: ``python -m ops.boards.files ops/grafana``. A test holds the files to the code.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.boards.catalogue import Catalogue, catalogue
from ops.boards.places import FOLDER_TITLE, FOLDER_UID, Places
from streams.policy import load_policy

#: Where compose keeps the token of the read API: Grafana reads the file by itself.
_TOKEN: str = "$__env{GRAFANA_API_TOKEN}"  # noqa: S105 (where it is, not what)
_BOARDS: str = "/etc/grafana/boards"

#: Rules in files name their folder by its title, and make one of another uid where boards are not there yet.
_RULES_FOLDER: str = "Diastole alarms"


def provisioning_files(wanted: Catalogue) -> dict[str, str]:
    """Write every file, by its path below the folder."""
    files = {
        f"boards/{board.uid.removeprefix('diastole-')}.json": _json(board.model()) for board in wanted.boards
    }
    files["provisioning/dashboards/boards.yml"] = _yaml({"providers": [_provider()]})
    files["provisioning/datasources/diastole.yml"] = _yaml({"datasources": _sources(wanted)})
    files["provisioning/alerting/rules.yml"] = _yaml({"groups": [_group(wanted.rules)]})
    return files


def write(folder: Path, wanted: Catalogue) -> list[Path]:
    """Write the files below a folder, over those that are there."""
    written = []
    for name, text in provisioning_files(wanted).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _provider() -> dict[str, Any]:
    return {
        "name": "diastole",
        "type": "file",
        "folder": FOLDER_TITLE,
        "folderUid": FOLDER_UID,
        "allowUiUpdates": False,
        "options": {"path": _BOARDS},
    }


def _sources(wanted: Catalogue) -> list[dict[str, Any]]:
    secret = {"secureJsonData": {"bearerToken": _TOKEN}}
    return [
        {**source.content, "editable": False, **(secret if source.needs_token else {})}
        for source in wanted.sources
    ]


def _group(rules: Mapping[str, Any]) -> dict[str, Any]:
    left_out = {"orgID", "folderUID", "ruleGroup"}
    return {
        "orgId": 1,
        "name": rules["title"],
        "folder": _RULES_FOLDER,
        "interval": f"{rules['interval']}s",
        "rules": [
            {key: part for key, part in rule.items() if key not in left_out} for rule in rules["rules"]
        ],
    }


def _json(model: Mapping[str, Any]) -> str:
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


def _yaml(content: Mapping[str, Any]) -> str:
    heading = "# Written by: python -m ops.boards.files ops/grafana\n"
    return heading + yaml.safe_dump(
        {"apiVersion": 1, **content}, sort_keys=False, allow_unicode=True, width=110
    )


if __name__ == "__main__":
    for path in write(Path(sys.argv[1]), catalogue(Places(), load_policy())):
        print(path)
