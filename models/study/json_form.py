"""The study as JSON: every number found, the marks, and the published figures beside them."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from models.study.marks import marks
from models.study.published import PUBLISHED, SOURCES
from models.study.study import StudyResult

#: What a reader must know before any number.
SIMULATED_WARNING: Final = "Simulated data say nothing of patients."
#: More digits differ between machines by the order of their sums.
_DIGITS: Final = 8


def study_json(result: StudyResult) -> str:
    """Write a study as strict JSON: NaN and infinity are null, numbers have 8 significant digits."""
    document = {
        "warning": SIMULATED_WARNING if any(cohort.is_simulated for cohort in result.cohorts) else None,
        "marks": marks(result),
        "study": result,
        "published": PUBLISHED,
        "published_sources": SOURCES,
        "published_are": "text of third parties, on other data and by another model; not verified",
    }
    return json.dumps(_plain(document), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _plain(thing: Any) -> Any:
    if is_dataclass(thing) and not isinstance(thing, type):
        return {each.name: _plain(getattr(thing, each.name)) for each in fields(thing)}
    if isinstance(thing, Mapping):
        return {str(key): _plain(part) for key, part in thing.items()}
    if isinstance(thing, (tuple, list)):
        return [_plain(part) for part in thing]
    if isinstance(thing, float):
        return float(f"{thing:.{_DIGITS}g}") if math.isfinite(thing) else None
    return thing
