"""From sources of ECGs to what the study judges: prepare, embed, cross-validate, score."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from models.bundle import Bundle
from models.cohorts.rows import RowSource
from models.cohorts.simulated_cohorts import code_like, development, echonext_like, external
from models.cohorts.store import featurize_cohort
from models.features import AGE, COLUMN_NAMES, SEX
from models.progress import Progress, part_of
from models.scorer import Extractor
from models.scoring import ExtractedArrays, extract
from models.study.estimate import FloatArray
from models.study.labelled import labelled_cohort
from models.study.motion_cohort import motion_cohort
from models.study.scored import DiseaseCohort, MotionCohort, OutcomeCohort, ScoredCohort
from models.study.streamed import ScoredRows, score_rows
from models.study.study import StudyInputs
from models.training.ensemble_stage import OUT_OF_FOLD, Labelled, inputs_of
from models.training.sources import ANOTHER_POPULATION
from models.training.variants import ENSEMBLE, fitted_on_all, judged_out_of_fold, probability
from models.training.worsening import Inputs

#: Of what the study itself draws, its bootstrap samples.
_SEED: Final = 1
#: Of an external cohort that says nothing else of itself.
_ANOTHER_COHORT: Final = "another paired cohort, judged by the ensemble as it is"
_MEASURED: Final = "_measured"
_FLAG: Final = "_flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySources:
    """Whom to study; each may be missing.

    Attributes
    ----------
    development, external : RowSource or None
        With the phenotype's label; nothing of the bundle but its ensemble may have seen the former, and
        nothing at all the latter.
    diseases : RowSource or None
        With flags of structural heart disease.
    outcomes : RowSource or None
        With follow-up, one ECG a patient.
    external_what : str
        Who those of ``external`` are, and how they are judged.
    is_quick : bool
        Whether they are smaller than published.
    """

    development: RowSource | None = None
    external: RowSource | None = None
    diseases: RowSource | None = None
    outcomes: RowSource | None = None
    external_what: str = _ANOTHER_COHORT
    is_quick: bool = False


def simulated_study(*, is_quick: bool = False, seed: int = 1) -> StudySources:
    """Draw simulated cohorts of the published sizes, or of some hundreds of ECGs each."""
    if is_quick:
        return StudySources(
            development=development(300, seed),
            external=external(300, seed),
            diseases=echonext_like(1200, 600, seed),
            outcomes=code_like(2000, seed),
            external_what=ANOTHER_POPULATION,
            is_quick=True,
        )
    return StudySources(
        development=development(seed=seed),
        external=external(seed=seed),
        diseases=echonext_like(seed=seed),
        outcomes=code_like(seed=seed),
        external_what=ANOTHER_POPULATION,
    )


def gather(
    bundle: Bundle,
    sources: StudySources,
    folder: Path,
    *,
    workers: int = 1,
    progress: Progress,
) -> StudyInputs:
    """Score every cohort by the bundle, and by what it is compared with.

    On the development cohort heads are fitted as the bundle's were, by its plan, folds and seed, and judged
    out of fold on its own embedding and motion; on the external one the bundle's ensemble is judged as it
    is, and what it is compared with is fitted on the development cohort.

    Parameters
    ----------
    folder : pathlib.Path
        Keeps prepared and scored ECGs; an interrupted study goes on there.
    workers : int
        Processes that prepare ECGs.
    """
    labelled = _labelled(sources, folder, workers, part_of(progress, 0.0, 0.05))
    scored, motion = _judge_labelled(bundle, labelled, part_of(progress, 0.05, 0.15))
    diseases = outcomes = None
    if sources.diseases is not None:
        rows = score_rows(bundle, sources.diseases, folder, workers, part_of(progress, 0.15, 0.4))
        diseases = _diseases(sources.diseases, rows)
    if sources.outcomes is not None:
        rows = score_rows(bundle, sources.outcomes, folder, workers, part_of(progress, 0.4, 1.0))
        outcomes = _outcomes(sources.outcomes, rows, bundle.manifest.threshold.probability)
    record = bundle.manifest.training
    return StudyInputs(
        bundle_version=bundle.version,
        bundle_sha256=bundle.sha256,
        trained_on=f"{record.cohort} ({record.patients} patients)",
        development=scored.get("development"),
        external=scored.get("external"),
        diseases=diseases,
        outcomes=outcomes,
        motion=motion,
        is_quick=sources.is_quick,
        seed=_SEED,
    )


def _labelled(sources: StudySources, folder: Path, workers: int, progress: Progress) -> dict[str, Labelled]:
    given = (
        ("development", sources.development, OUT_OF_FOLD),
        ("external", sources.external, sources.external_what),
    )
    out = {}
    for i, (name, source, what) in enumerate(given):
        if source is not None:
            kept_in, tell = folder / name, part_of(progress, i / len(given), (i + 1) / len(given))
            cohort = featurize_cohort(source, kept_in, workers=workers, progress=tell)
            is_simulated = source.provenance.is_simulated
            out[name] = Labelled.of(name, cohort, kept_in, what=what, is_simulated=is_simulated)
    return out


def _judge_labelled(
    bundle: Bundle, labelled: Mapping[str, Labelled], progress: Progress
) -> tuple[dict[str, ScoredCohort], tuple[MotionCohort, ...]]:
    manifest = bundle.manifest
    extractor = Extractor(bundle.encoder, bundle.motion, manifest.input).eval()
    found = {name: extract(extractor, each.cohort) for name, each in labelled.items()}
    shown = {name: inputs_of(each.cohort, found[name]) for name, each in labelled.items()}
    chances: dict[str, Mapping[str, FloatArray]] = {}
    with threadpool_limits(1, user_api="blas"):  # matrices this small are slower on several cores
        if "development" in labelled:
            first = labelled["development"]
            given = (
                shown["development"],
                first.label,
                first.cohort.patient_keys,
                manifest.heads,
                manifest.training.seed,
            )
            out_of_fold = judged_out_of_fold(*given, manifest.n_folds, progress)
            chances["development"] = {model: each.probability for model, each in out_of_fold.items()}
            if "external" in labelled:
                fitted = fitted_on_all(*given)
                compared = {model: probability(head, shown["external"]) for model, head in fitted.items()}
                chances["external"] = compared | {ENSEMBLE: _of_bundle(bundle, shown["external"])}
    threshold = manifest.threshold.probability
    scored = {
        name: labelled_cohort(each.told, each.cohort, each.places, chances[name], threshold)
        for name, each in labelled.items()
        if name in chances
    }
    return scored, _motion(labelled, found)


def _of_bundle(bundle: Bundle, shown: Inputs) -> FloatArray:
    of_heads, _ = bundle.ensemble(*shown.tensors())
    log_odds = of_heads.detach().double().mean(dim=1).numpy()
    chances: FloatArray = 1.0 / (1.0 + np.exp(-log_odds))
    return chances


def _motion(
    labelled: Mapping[str, Labelled], found: Mapping[str, ExtractedArrays]
) -> tuple[MotionCohort, ...]:
    cohorts = (
        motion_cohort(each.told, each.cohort, found[name], is_external=name == "external")
        for name, each in labelled.items()
    )
    return tuple(cohort for cohort in cohorts if cohort is not None)


def _diseases(source: RowSource, rows: ScoredRows) -> DiseaseCohort:
    flags = [name for name in rows.outcomes if name.endswith(_FLAG)]
    return DiseaseCohort(
        name=source.provenance.name,
        what="the probability of the high-risk phenotype as a score for structural heart disease",
        is_simulated=source.provenance.is_simulated,
        n_patients=len(np.unique(rows.patient_keys)),
        patient_keys=rows.patient_keys,
        flags={name: rows.outcomes[name] for name in flags},
        is_measured={
            name: rows.outcomes[name + _MEASURED] == 1.0
            for name in flags
            if name + _MEASURED in rows.outcomes
        },
        probability={ENSEMBLE: rows.probability},
        n_not_scored=sum(rows.left_out.values()),
    )


def _outcomes(source: RowSource, rows: ScoredRows, threshold: float) -> OutcomeCohort:
    """Those whose follow-up is known: by cause where the source has causes, else all-cause and called so."""
    has_causes = bool(np.isfinite(rows.outcomes.get("event", np.array([np.nan]))).any())
    event = rows.outcomes["event" if has_causes else "death_all_cause"]
    years = rows.outcomes["follow_up_years"]
    known = np.isfinite(event) & np.isfinite(years)
    sex = rows.features[known, COLUMN_NAMES.index(SEX)].astype(np.float64)
    return OutcomeCohort(
        name=source.provenance.name,
        what="first ECG of each patient, followed until death or the end of follow-up",
        is_simulated=source.provenance.is_simulated,
        n_patients=int(known.sum()),
        is_high=rows.probability[known] >= threshold,
        years=years[known],
        event=event[known].astype(np.int64),
        event_names=("death of heart failure", "death of another cause")
        if has_causes
        else ("death of any cause",),
        are_causes_known=has_causes,
        covariates={
            "age_years": rows.features[known, COLUMN_NAMES.index(AGE)].astype(np.float64),
            "is_male": np.where(np.isnan(sex), np.nan, (sex > 0).astype(np.float64)),
        },
        n_not_scored=sum(rows.left_out.values()) + int((~known).sum()),
    )
