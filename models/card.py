"""The model card of a bundle: what it is, on what it was trained, how it did, and what it is not for."""

from collections.abc import Iterable, Sequence
from typing import Final

from models.manifest import ALL, LEARNT_PARTS, Manifest, Performance

#: Said of a number that could not be computed.
NOT_KNOWN: Final = "–"

_PERFORMANCE_HEADS: Final = (
    "cohort",
    "patients",
    "model",
    "n",
    "events",
    "AUC (95 %)",
    "Brier",
    "slope",
    "intercept",
    "sensitivity",
    "specificity",
)


def model_card(manifest: Manifest) -> str:
    """Write the model card: Markdown, whose first line says what the bundle was trained on."""
    sections = (
        ("Intended use", [manifest.intended_use]),
        ("Not for", [manifest.not_for_text, *_eligibility(manifest)]),
        ("Limits", _list(manifest.limits)),
        ("Training data", _training(manifest)),
        ("Performance", _performance(manifest, of_all=True)),
        ("Subgroups", _performance(manifest, of_all=False)),
        ("Synthetic motion against tissue Doppler", _motion_error(manifest)),
        ("Threshold and interval", _threshold(manifest)),
        ("Model", _model(manifest)),
        ("Integrity", _integrity(manifest)),
    )
    lines = [f"**{headline(manifest)}**", "", f"# Model card: {manifest.bundle_version}", ""]
    for title, body in sections:
        lines += [f"## {title}", "", *body, ""]
    return "\n".join(lines)


def headline(manifest: Manifest) -> str:
    """Say in one line what the bundle was trained on, before anything else."""
    record = manifest.training
    if record.is_all_simulated:
        how, unproven = "trained on simulated data only", True
    elif record.is_simulated:
        parts = " and ".join(record.simulated_parts)
        how, unproven = f"trained on simulated data in part ({parts}): {record.cohort}", True
    else:
        how, unproven = f"trained on: {record.cohort}", False
    ending = "; it has not been shown to work on patients" if unproven else ""
    return f"The bundle {manifest.bundle_version} was {how}{ending}."


def auc_text(row: Performance) -> str:
    """Write an AUC with its interval.

    >>> auc_text(Performance(cohort="c", subgroup="all", model="m", n=9, events=3, auc=0.861))
    '0.861'
    """
    if row.auc is None or row.auc_low is None or row.auc_high is None:
        return number_text(row.auc)
    return f"{row.auc:.3f} ({row.auc_low:.3f}–{row.auc_high:.3f})"


def number_text(number: float | None) -> str:
    """Write a number with three decimals, or that there is none."""
    return NOT_KNOWN if number is None else f"{number:.3f}"


def _training(manifest: Manifest) -> list[str]:
    record = manifest.training
    facts = {
        "cohort": record.cohort,
        "trained on simulated data": ", ".join(record.simulated_parts) or "no part",
        "patients with a label (ensemble)": record.patients,
        "unlabelled ECGs (encoder)": record.pretraining_ecgs,
        "patients with tissue Doppler (motion)": record.motion_patients,
        "seed": record.seed,
        "SHA-256 of the ECGs": f"`{record.data_sha256}`",
        **{_recipe_name(part): words for part, words in record.recipe.items()},
    }
    return _list(f"{name}: {fact}" for name, fact in facts.items())


def _recipe_name(part: str) -> str:
    """Name a line of the recipe: what is no learnt part is a fingerprint of ECGs."""
    return f"recipe of the {part}" if part in LEARNT_PARTS else f"SHA-256 of the {part}"


def _performance(manifest: Manifest, *, of_all: bool) -> list[str]:
    rows = [row for row in manifest.performance if (row.subgroup == ALL) == of_all]
    if not rows:
        return ["Not measured."]
    return _table(_PERFORMANCE_HEADS, [_performance_cells(row) for row in rows])


def _performance_cells(row: Performance) -> list[str]:
    numbers = (
        row.brier,
        row.calibration_slope,
        row.calibration_intercept,
        row.sensitivity,
        row.specificity,
    )
    counted = [row.cohort, row.subgroup, row.model, str(row.n), str(row.events)]
    return [*counted, auc_text(row), *map(number_text, numbers)]


def _motion_error(manifest: Manifest) -> list[str]:
    if not manifest.motion_error:
        return ["Not measured."]
    rows = [[name, number_text(error)] for name, error in manifest.motion_error.items()]
    return _table(("measured", "error"), rows)


def _threshold(manifest: Manifest) -> list[str]:
    threshold = manifest.threshold
    return _list(
        (
            f"HIGH from a probability of {threshold.probability:g} on: {threshold.operating_point}",
            f"Interval: {manifest.interval}",
        )
    )


def _eligibility(manifest: Manifest) -> list[str]:
    paced = "allowed" if manifest.eligibility.paced_allowed else "not scored"
    young = f"Under {manifest.eligibility.min_age_years:g} years: not scored."
    return ["", f"{young} Paced: {paced}. Waveforms of unacceptable quality: not scored."]


def _model(manifest: Manifest) -> list[str]:
    contract, encoder = manifest.input, manifest.encoder
    leads = f"{contract.samples} samples at {contract.sample_rate_hz} Hz of {', '.join(contract.leads)}"
    return _list(
        (
            f"input: {leads}, {contract.unit}; {contract.band}; normalisation {contract.normalisation}",
            f"encoder: Net1D, {sum(encoder.blocks)} blocks, embedding of {encoder.n_features}",
            "motion: a conditional generator from the median beat to tissue-Doppler curves of two sites",
            f"ensemble: {manifest.n_heads} heads on motion, embedding, measurements, age and sex",
        )
    )


def _integrity(manifest: Manifest) -> list[str]:
    rows = [[name, f"`{digest}`"] for name, digest in manifest.files.items()]
    return _table(("what", "SHA-256"), [["bundle", f"`{manifest.sha256}`"], *rows])


def _list(entries: Iterable[str]) -> list[str]:
    return [f"- {_cell(entry)}" for entry in entries]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(_cell(cell).replace("|", r"\|") for cell in line) + " |" for line in lines]


def _cell(text: str) -> str:
    """One line, whatever it was."""
    return " ".join(text.split())
