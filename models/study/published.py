"""The published figures, as data, to stand beside ours.

All are text of third parties, read and not verified. None of them is of the data or the model judged here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: By the short name that figures refer to.
SOURCES: Final[Mapping[str, str]] = {
    "abstract": (
        "Jamthikar, Sengupta et al., abstract at the ASE 2026 Scientific Sessions (JASE), as reported by "
        "Conexiant and MDSpire, 27 June 2026"
    ),
    "preprint": "sibling preprint, medRxiv 10.64898/2026.06.17.26355897",
    "kagiyama": "Kagiyama et al., JACC 2020",
    "echonext": "EchoNext data set, PhysioNet: its own model for structural heart disease",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published figure.

    Attributes
    ----------
    name : str
        Names it among ours.
    what : str
        Of what it is, and of how many patients.
    value : float or None
        None where only a range is published.
    low, high : float or None
        A range over diseases or models, or an interval; None where none is published.
    source : str
        A key of ``SOURCES``.
    """

    name: str
    what: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    source: str = "abstract"


PUBLISHED: Final = (
    Published(name="auc_development", what="AUC of the ensemble, development, 1 012 patients", value=0.86),
    Published(name="auc_external", what="AUC of the ensemble, external, 956 patients", value=0.85),
    Published(
        name="nri", what="net reclassification over the foundation model alone, kind not stated", value=0.54
    ),
    Published(
        name="auc_diseases",
        what="AUC for structural heart diseases, EchoNext, 100 000 ECGs of 36 286 patients",
        low=0.74,
        high=0.83,
    ),
    Published(
        name="rate_high",
        what="4-year heart-failure death at high risk, CODE-15 %, 233 770 patients",
        value=0.085,
    ),
    Published(name="rate_low", what="the same at low risk", value=0.030),
    Published(
        name="hazard",
        what="subdistribution hazard ratios for heart-failure death, CODE-15 %; Gray's p < 0.001",
        low=5.5,
        high=9.5,
        source="preprint",
    ),
    Published(
        name="auc_motion",
        what="AUC of the model on synthetic tissue Doppler, phenogroups",
        value=0.82,
        source="preprint",
    ),
    Published(
        name="auc_ecg", what="AUC of the model on the raw ECG, phenogroups", value=0.87, source="preprint"
    ),
    Published(
        name="e_prime_internal",
        what="mean absolute error of e' from the ECG, internal, cm/s",
        value=1.46,
        source="kagiyama",
    ),
    Published(name="e_prime_external", what="the same, external, cm/s", value=1.93, source="kagiyama"),
    Published(
        name="auc_any_disease",
        what="AUROC of a model trained on it for any structural heart disease",
        value=0.82,
        source="echonext",
    ),
)

_BY_NAME: Final = {each.name: each for each in PUBLISHED}


def published(name: str) -> Published:
    """Return a published figure by its name."""
    return _BY_NAME[name]
