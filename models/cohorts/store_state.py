"""How far the work on a stored cohort has come: ``cohort.json``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from models.atomic import write_atomically
from models.cohorts.errors import CohortError
from models.cohorts.rows import Provenance
from models.features import COLUMN_NAMES

STATE_FILE: Final = "cohort.json"
#: Rises when the same rows would give other arrays or files: folders of an older one are refused.
FORMAT: Final = 1
#: How many of those left out for one reason are named.
_NAMED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Rows left out for one reason: how many, and keys of the first."""

    n: int = 0
    first_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What a folder holds.

    Attributes
    ----------
    n_rows, n_done, n_kept : int
        Rows of the source, of which so many are done, of which so many were usable.
    outcome_names : tuple of str
        Columns of the outcomes; known once anything is done.
    left_out : mapping of str to LeftOut
        By reason; with ``n_kept`` they add up to ``n_done``.
    sha256s : mapping of str to str
        Of each array by name; empty until all is done.
    """

    provenance: Provenance
    n_rows: int
    n_done: int = 0
    n_kept: int = 0
    outcome_names: tuple[str, ...] = ()
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    sha256s: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = COLUMN_NAMES
    format: int = FORMAT

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.sha256s)

    def after(
        self, stop: int, n_kept: int, outcome_names: tuple[str, ...], left_out: Sequence[tuple[str, str]]
    ) -> "StoreState":
        """Give the state after rows up to ``stop`` were added, ``n_kept`` of them usable."""
        counted = dict(self.left_out)
        for reason, key in left_out:
            before = counted.get(reason, LeftOut())
            counted[reason] = LeftOut(n=before.n + 1, first_keys=(*before.first_keys, key)[:_NAMED])
        return replace(
            self, n_done=stop, n_kept=self.n_kept + n_kept, outcome_names=outcome_names, left_out=counted
        )


def read_state(folder: Path) -> StoreState | None:
    """Read what a folder says it holds; None when it says nothing.

    Raises
    ------
    CohortError
        When ``cohort.json`` is damaged, or of another version.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != FORMAT or tuple(said["columns"]) != COLUMN_NAMES:
            raise CohortError(f"{path} was written by another version: delete {folder} and prepare it anew")
        return StoreState(
            provenance=Provenance(**said["provenance"]),
            n_rows=said["n_rows"],
            n_done=said["n_done"],
            n_kept=said["n_kept"],
            outcome_names=tuple(said["outcome_names"]),
            left_out={
                reason: LeftOut(n=each["n"], first_keys=tuple(each["first_keys"]))
                for reason, each in said["left_out"].items()
            },
            sha256s=said["sha256s"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CohortError(f"{path} is damaged: delete {folder} and prepare it anew") from error


def write_state(folder: Path, state: StoreState) -> None:
    """Say what a folder holds, atomically."""
    write_json(folder / STATE_FILE, {"is_complete": state.is_complete, **asdict(state)})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON for people and programs alike, atomically."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, f"{text}\n".encode())
