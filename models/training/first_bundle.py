"""Train the bundle that Diastole ships: ``python -m models.training.first_bundle OUT``.

Simulate a cohort; train the encoder on one part of it, the heads on a second, calibrate and choose the
threshold on a third, and judge on a fourth. No patient is in two parts.
"""

import sys
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.bundle import ENCODER_FILE, HEADS_FILE, file_bytes, sha256, write_bundle
from models.founder import COMPACT, EncoderConfig, Net1D
from models.fusion import Heads
from models.manifest import Manifest, Threshold, TrainingRecord
from models.training.cohort import N_FINDINGS, Cohort, Progress, collect, visits
from models.training.encoder import EncoderTraining, embed, train_encoder
from models.training.featurizer import featurize_one
from models.training.heads import HeadsTraining, calibrate, fit_heads, logistic_regression
from models.training.judge import auc, brier, sensitivity_specificity, threshold_at_specificity

Array = npt.NDArray[np.float64]

INTENDED_USE = (
    "Research, evaluation and demonstration of Diastole: from a resting 12-lead ECG of an adult, an "
    "estimate of the probability of a simulated high-risk diastolic-dysfunction phenotype."
)
NOT_FOR = (
    "Not for diagnosis, treatment or any decision about a patient: this model was trained on simulated ECGs "
    "alone and has not been shown to work on patients. It does not replace echocardiography."
)
LIMITS = (
    "Trained on simulated data only; not shown to work on patients.",
    "The label is a rule on simulated echo findings with noise, not a clinical diagnosis.",
    "Not for people under 18, paced rhythms, or ECGs of unacceptable quality: these are not scored.",
    "Right-heart disease, bundle-branch block, infarction and drugs are not in the simulated cohort.",
    "The interval covers the fitting of the heads, not the encoder, and not how real ECGs differ.",
)
INTERVAL = (
    "90 %: 5th to 95th percentile over heads fitted on bootstrap samples of patients; encoder held fixed."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleTraining:
    """All that decides the bundle.

    Attributes
    ----------
    n_encoder, n_heads, n_calibration, n_test : int
        Patients drawn for each part.
    specificity : float
        Operating point of the threshold. Few alerts that are right, before many: at 0.9 one of ten patients
        without the phenotype would start with an alert.
    """

    bundle_version: str = "simulated-compact-1"
    seed: int = 1
    n_encoder: int = 5000
    n_heads: int = 2000
    n_calibration: int = 1000
    n_test: int = 1000
    specificity: float = 0.95
    config: EncoderConfig = field(default_factory=lambda: replace(COMPACT, n_outputs=1 + N_FINDINGS))
    encoder: EncoderTraining = field(default_factory=EncoderTraining)
    heads: HeadsTraining = field(default_factory=HeadsTraining)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """The cohort, cut into parts that share no patient."""

    encoder: Cohort
    heads: Cohort
    calibration: Cohort
    test: Cohort


def train(plan: BundleTraining, out: Path, progress: Progress) -> Manifest:
    """Train a bundle and write it.

    Parameters
    ----------
    out : Path
        Folder of the bundle; made where it is missing.
    progress : callable
        Told what is being done, and how far it has come, 0 to 1.

    Returns
    -------
    Manifest
        With metrics on the test part. The same plan gives the same bundle on the same machine and threads.
    """
    parts = cut(simulate(plan, progress), plan)
    encoder = train_encoder(plan.config, plan.encoder, parts.encoder, plan.seed, progress)
    manifest, files = fuse(plan, encoder, parts)
    write_bundle(out, manifest, files)
    return manifest


def fuse(plan: BundleTraining, encoder: Net1D, parts: Parts) -> tuple[Manifest, dict[str, bytes]]:
    """Fit, calibrate and judge heads on a trained encoder: the manifest, and the files it lists."""
    label = parts.heads.is_high_risk.astype(np.float64)
    heads = fit_heads(embed(encoder, parts.heads), parts.heads.features, label, plan.heads, plan.seed)
    embedding = embed(encoder, parts.calibration)
    _calibrate(heads, mean_log_odds(heads, embedding, parts.calibration), parts.calibration)
    calibrated = probability(mean_log_odds(heads, embedding, parts.calibration))
    chosen = threshold_at_specificity(parts.calibration.is_high_risk, calibrated, plan.specificity)
    judged = probability(mean_log_odds(heads, embed(encoder, parts.test), parts.test))
    files = {ENCODER_FILE: file_bytes(encoder), HEADS_FILE: file_bytes(heads)}
    return _manifest(plan, files, chosen, metrics(parts.test, judged, chosen)), files


def simulate(plan: BundleTraining, progress: Progress) -> Cohort:
    """Draw the whole cohort of a plan."""
    n = plan.n_encoder + plan.n_heads + plan.n_calibration + plan.n_test
    return collect(visits(plan.seed, n), n, featurize_one, progress)


def cut(cohort: Cohort, plan: BundleTraining) -> Parts:
    """Cut a cohort in the plan's proportions; one patient has one row, so parts share none."""
    sizes = np.array([plan.n_encoder, plan.n_heads, plan.n_calibration, plan.n_test])
    borders = np.round(np.append(0, np.cumsum(sizes)) / sizes.sum() * len(cohort)).astype(int).tolist()
    encoder, heads, calibration, test = (cohort.rows(start, stop) for start, stop in pairwise(borders))
    return Parts(encoder=encoder, heads=heads, calibration=calibration, test=test)


def mean_log_odds(heads: Heads, embedding: torch.Tensor, cohort: Cohort) -> Array:
    """Log-odds of the mean head: float64, (n,)."""
    log_odds, _ = heads(embedding, torch.from_numpy(cohort.features))
    mean: Array = log_odds.mean(dim=1).numpy().astype(np.float64)
    return mean


def probability(log_odds: Array) -> Array:
    """Log-odds → probability."""
    out: Array = 1.0 / (1.0 + np.exp(-log_odds))
    return out


def metrics(test: Cohort, judged: Array, threshold: float) -> dict[str, float]:
    """Judge on patients the model has not seen; 4 decimals."""
    label = test.is_high_risk.astype(np.float64)
    sensitivity, specificity = sensitivity_specificity(label, judged, threshold)
    found = {
        "auc": auc(label, judged),
        "brier": brier(label, judged),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "prevalence": float(label.mean()),
        "patients": float(len(test)),
    }
    return {name: round(number, 4) for name, number in found.items()}


def _calibrate(heads: Heads, log_odds: Array, cohort: Cohort) -> None:
    label = cohort.is_high_risk.astype(np.float64)
    slope, offset = logistic_regression(log_odds[:, None], label, penalty=0.0)
    calibrate(heads, float(slope[0]), offset)


def _manifest(
    plan: BundleTraining, files: dict[str, bytes], threshold: float, measured: dict[str, float]
) -> Manifest:
    n = plan.n_encoder + plan.n_heads + plan.n_calibration + plan.n_test
    return Manifest(
        bundle_version=plan.bundle_version,
        files={name: sha256(content) for name, content in sorted(files.items())},
        encoder=plan.config,
        n_heads=plan.heads.n_heads,
        threshold=Threshold(
            probability=threshold,
            operating_point=f"specificity {plan.specificity:g} on the calibration part of the cohort",
        ),
        training=TrainingRecord(
            cohort="models.cohorts.simulated, one ECG and one echo a patient",
            is_simulated=True,
            patients=n,
            seed=plan.seed,
        ),
        metrics=measured,
        interval=INTERVAL,
        intended_use=INTENDED_USE,
        not_for_text=NOT_FOR,
        limits=LIMITS,
    )


def main() -> None:
    """Train the shipped bundle into the folder given."""
    torch.set_num_threads(1)  # the sums then have one order, and the bundle one hash
    manifest = train(BundleTraining(), Path(sys.argv[1]), _report)
    sys.stdout.write(f"\n{manifest.bundle_version} {manifest.sha256}\n{manifest.metrics}\n")


def _report(what: str, done: float) -> None:
    sys.stdout.write(f"\r{done:6.1%} {what:40s}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
