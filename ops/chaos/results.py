"""Results of seeds: one JSON line each, so that a campaign goes on where it was interrupted."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """What became of one seed.

    Attributes
    ----------
    ecgs, faults : int
        Sizes it was played with: another size is another play.
    injected : tuple of dict
        Kind, what it did, when and how long, of each fault.
    kept_in : str
        Folder with logs and differences of a seed that failed.
    history_s : float
        How long after the last commit the history was complete and read, s.
    restarts : int
        How often the supervisor or a fault started a worker again.
    """

    seed: int
    ecgs: int
    faults: int
    holds: bool
    seconds: float
    published_s: float
    injected: tuple[dict[str, Any], ...] = ()
    totals: dict[str, int] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()
    contradictory: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    redis_was_emptied: bool = False
    history_s: float = 0.0
    restarts: int = 0
    kept_in: str = ""

    @property
    def identity(self) -> tuple[int, int, int]:
        """Which play it is."""
        return self.seed, self.ecgs, self.faults


def append_result(path: Path, result: SeedResult) -> None:
    """Add a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(result)) + "\n")


def read_results(path: Path) -> list[SeedResult]:
    """Read all lines; of a play that was repeated the last one. A line cut short by a crash is left out."""
    if not path.exists():
        return []
    results: dict[tuple[int, int, int], SeedResult] = {}
    for row in _rows(path.read_text(encoding="utf-8").splitlines()):
        fields: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in row.items()}
        result = SeedResult(**fields)
        results[result.identity] = result
    return list(results.values())


def _rows(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue
