"""The folder of a training run: its configuration, learning curves, results of its stages, checkpoints.

::

    config.json            what decides the outcome: command, plan, seed, hash of the ECGs, versions
    curves.jsonl           one line per task and epoch
    checkpoints/TASK.pt    where a task goes on after an interruption
    stages/STAGE.json      what a finished stage found; a stage that has one is not done again
    plots/                 learning curves
"""

import json
import math
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch

from models.atomic import write_atomically
from schemas.errors import ConfigurationError

CONFIG_FILE: Final = "config.json"
CURVES_FILE: Final = "curves.jsonl"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


class RunFolderError(ConfigurationError):
    """A run folder cannot be used; the message says what differs and what to do."""

    code: ClassVar[str] = "RUN_FOLDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfiguration:
    """What decides the outcome of a run, beside the code.

    Attributes
    ----------
    command : str
        E.g. ``train``.
    plan : object
        A frozen dataclass of plain values, or a mapping.
    data_hash : str
        Names the ECGs; may be empty where the plan alone decides them.
    """

    command: str
    plan: Any
    seed: int
    data_hash: str

    def frozen(self) -> dict[str, Any]:
        """Return the whole as JSON can hold it, with the versions of what computes."""
        plan = self.plan if isinstance(self.plan, Mapping) else asdict(self.plan)
        whole = {
            "command": self.command,
            "plan": plan,
            "seed": self.seed,
            "data_hash": self.data_hash,
            "versions": versions(),
        }
        plain: dict[str, Any] = json.loads(json.dumps(whole, default=str))
        return plain


def versions() -> dict[str, str]:
    """Versions that a run's numbers depend on."""
    major, minor, _ = platform.python_version_tuple()
    return {"python": f"{major}.{minor}", "numpy": np.__version__, "torch": str(torch.__version__)}


class RunFolder:
    """A run folder that is open; made by :func:`open_run`."""

    def __init__(self, path: Path, configuration_hash: str) -> None:
        self.path = path
        #: SHA-256 of the frozen configuration: every checkpoint names it.
        self.configuration_hash = configuration_hash

    def checkpoint(self, task: str) -> Path:
        """Where the checkpoint of a task lies."""
        return self.path / "checkpoints" / f"{_checked(task)}.pt"

    def append_curve(self, task: str, epoch: int, row: Mapping[str, float]) -> None:
        """Add one epoch of a task; ``epoch`` counts from 1."""
        with (self.path / CURVES_FILE).open("a", encoding="utf-8") as file:
            file.write(_line(task, epoch, row))

    def reset_curve(self, task: str, rows: Sequence[Mapping[str, float]]) -> None:
        """Replace all epochs of a task: what is on disk may be ahead of a checkpoint, or behind."""
        others = [line for line in self._lines() if json.loads(line)["task"] != task]
        own = [_line(task, i + 1, row) for i, row in enumerate(rows)]
        if others or own or (self.path / CURVES_FILE).exists():
            write_atomically(self.path / CURVES_FILE, "".join([*others, *own]).encode())

    def curves(self) -> dict[str, list[dict[str, float]]]:
        """Rows of each task by epoch, with ``epoch`` in each; NaN where a measure is undefined."""
        out: dict[str, list[dict[str, float]]] = {}
        for line in self._lines():
            row = json.loads(line)
            task = row.pop("task")
            out.setdefault(task, []).append({k: math.nan if v is None else v for k, v in row.items()})
        return out

    def is_complete(self, stage: str) -> bool:
        """Whether a stage has left its result."""
        return self._stage(stage).exists()

    def save_stage(self, stage: str, result: Mapping[str, Any]) -> None:
        """Say that a stage is complete, with what it found: plain values; NaN is kept as null."""
        write_atomically(self._stage(stage), _json(_finite(result)))

    def stage(self, stage: str) -> dict[str, Any]:
        """Return what a complete stage found.

        Raises
        ------
        RunFolderError
            When it is not complete, or its file is damaged.
        """
        return _read(self._stage(stage))

    def finish(self, at: datetime) -> None:
        """Note when the run was done, the first time."""
        config = _read(self.path / CONFIG_FILE)
        if config["finished_at"] is None:
            write_atomically(self.path / CONFIG_FILE, _json({**config, "finished_at": at.isoformat()}))

    def _stage(self, stage: str) -> Path:
        return self.path / "stages" / f"{_checked(stage)}.json"

    def _lines(self) -> list[str]:
        path = self.path / CURVES_FILE
        whole = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        return [line for line in whole if line.endswith("\n")]  # the last one may have been cut off


def open_run(
    path: Path, configuration: RunConfiguration, *, started_at: datetime, resume: bool = False
) -> RunFolder:
    """Begin a run in a new folder, or go on with one of the same configuration.

    Parameters
    ----------
    started_at : datetime
        Aware; kept from the first time.
    resume : bool
        Whether a run that is there already may be continued.

    Raises
    ------
    RunFolderError
        When the folder holds something else, a run of another configuration (the message names what
        differs), or a run and ``resume`` is not set.
    """
    wanted = configuration.frozen()
    config = path / CONFIG_FILE
    if config.exists():
        found = _read(config)
        _require_same(path, {name: found.get(name) for name in wanted}, wanted)
        if not resume:
            raise RunFolderError(f"{path} holds a run already: resume it, or choose another folder")
    elif path.exists() and any(path.iterdir()):
        raise RunFolderError(f"{path} holds files but no run: choose an empty folder or a new one")
    else:
        write_atomically(config, _json({**wanted, "started_at": started_at.isoformat(), "finished_at": None}))
    return RunFolder(path, sha256(_json(wanted)).hexdigest())


def _require_same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differing = [
        f"{name} is {was!r} there and {now!r} now" for name, was, now in _differences("", found, wanted)
    ]
    if differing:
        raise RunFolderError(
            f"{path} holds a run of another configuration: {'; '.join(differing)}. "
            "Ask for the same again, or choose another folder"
        )


def _differences(name: str, found: Any, wanted: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            yield from _differences(f"{name}.{key}".lstrip("."), found.get(key), wanted.get(key))
    elif found != wanted:
        yield name, found, wanted


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a file of a run: use small letters, digits, - and _")
    return name


def _line(task: str, epoch: int, row: Mapping[str, float]) -> str:
    numbers = {name: float(number) if math.isfinite(number) else None for name, number in row.items()}
    return json.dumps({"task": _checked(task), "epoch": epoch, **numbers}) + "\n"


def _finite(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {name: _finite(part) for name, part in found.items()}
    if isinstance(found, list | tuple):
        return [_finite(part) for part in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: it is missing or damaged") from error
    if not isinstance(content, dict):
        raise RunFolderError(f"{path} is not as this program writes it")
    return content
