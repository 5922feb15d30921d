"""What differs between two bundles, by what their manifests say."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.card import NOT_KNOWN, auc_text, number_text
from models.manifest import Manifest, Performance

#: In this order; what is not listed follows.
_FIRST: Final = ("training", "threshold", "eligibility", "input", "encoder", "motion", "heads", "n_folds")
#: Compared as metrics are, or the same for both.
_APART: Final = ("performance", "motion_error", "manifest_format")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing two bundles say, side by side.

    Attributes
    ----------
    is_metric : bool
        Whether it is how the bundle did; shown even where both did alike.
    """

    name: str
    first: str
    second: str
    is_metric: bool = False

    @property
    def differs(self) -> bool:
        """Whether the two do not say the same."""
        return self.first != self.second


def compare_manifests(first: Manifest, second: Manifest) -> list[Line]:
    """Compare what two bundles say: their metrics side by side, and all else that differs.

    Returns
    -------
    list of Line
        Metrics by cohort, subgroup and model, then motion errors, then what differs, hashes last.
    """
    metrics = _side_by_side(_metrics(first), _metrics(second), is_metric=True)
    rest = _side_by_side(_flat(first), _flat(second), is_metric=False)
    return [*metrics, *(line for line in rest if line.differs)]


def _side_by_side(first: Mapping[str, str], second: Mapping[str, str], *, is_metric: bool) -> Iterator[Line]:
    for name in dict.fromkeys([*first, *second]):
        yield Line(
            name=name,
            first=first.get(name, NOT_KNOWN),
            second=second.get(name, NOT_KNOWN),
            is_metric=is_metric,
        )


def _metrics(manifest: Manifest) -> dict[str, str]:
    out: dict[str, str] = {}
    for row in manifest.performance:
        where = f"{row.cohort}, {row.subgroup}, {row.model}"
        out |= {f"{where}: {name}": text for name, text in _numbers(row).items() if text != NOT_KNOWN}
    return out | {f"motion: {name}": number_text(error) for name, error in manifest.motion_error.items()}


def _numbers(row: Performance) -> dict[str, str]:
    return {
        "n": str(row.n),
        "AUC": auc_text(row),
        "Brier": number_text(row.brier),
        "slope": number_text(row.calibration_slope),
        "intercept": number_text(row.calibration_intercept),
        "sensitivity": number_text(row.sensitivity),
        "specificity": number_text(row.specificity),
    }


def _flat(manifest: Manifest) -> dict[str, str]:
    fields = {name: part for name, part in dataclasses.asdict(manifest).items() if name not in _APART}
    ordered = {name: fields.pop(name) for name in _FIRST} | fields
    files = ordered.pop("files")
    return dict(_leaves({**ordered, "sha256": {"bundle": manifest.sha256, **files}}, ""))


def _leaves(fields: Mapping[str, Any], within: str) -> Iterator[tuple[str, str]]:
    for name, entry in fields.items():
        if isinstance(entry, Mapping):
            yield from _leaves(entry, f"{within}{name}.")
        elif isinstance(entry, tuple):
            yield f"{within}{name}", ", ".join(map(str, entry))
        else:
            yield f"{within}{name}", str(entry)
