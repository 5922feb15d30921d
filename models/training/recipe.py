"""The whole training: prepare the ECGs, train encoder, motion generator and ensemble, judge, bundle."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import Final

import safetensors.torch
import torch

from models.atomic import write_atomically
from models.bundle import MOTION_FILE, file_bytes, weight_files, write_bundle
from models.bundle import sha256 as sha256_of
from models.cohorts.featurized import Cohort
from models.cohorts.rows import RowSource
from models.cohorts.store import featurize_cohort, stored_sha256
from models.founder import EncoderConfig, Net1D
from models.heads_plan import HeadsPlan
from models.manifest import InputContract, Manifest, Threshold, TrainingRecord
from models.motion import MotionConfig, MotionGenerator
from models.progress import Progress, part_of
from models.training import statements
from models.training.ensemble_stage import OUT_OF_FOLD, EnsembleResult, Labelled, fit_and_judge
from models.training.given_encoder import GivenEncoder
from models.training.motion import MotionTraining, train_motion
from models.training.pretraining import Pretraining, pretrain
from models.training.run_folder import RunFolder
from models.training.sources import REGISTRY, Sizes, TrainingSources
from models.training.splits import holdout

MOTION_STAGE: Final = "motion"
ENSEMBLE_STAGE: Final = "ensemble"
BUNDLE_FOLDER: Final = "bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """All that decides the bundle, beside the ECGs.

    Attributes
    ----------
    sizes : Sizes
        Of the simulated cohorts; without meaning for a site's own.
    motion_validation_share : float
        Share of the patients with tissue Doppler who are kept out of the generator's training: it is stopped
        and its uncertainty calibrated on them.
    specificity : float
        Operating point of the threshold. Few alerts that are right, before many: at 0.9 one of ten patients
        without the phenotype would start with an alert.
    """

    bundle_version: str = "simulated-2"
    seed: int = 1
    sizes: Sizes = field(default_factory=Sizes)
    pretraining: Pretraining = field(default_factory=Pretraining)
    generator: MotionConfig = field(default_factory=MotionConfig)
    motion: MotionTraining = field(default_factory=MotionTraining)
    motion_validation_share: float = 0.15
    heads: HeadsPlan = field(default_factory=HeadsPlan)
    n_folds: int = 10
    specificity: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A bundle that was trained, and where it lies."""

    manifest: Manifest
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """The three learnt parts of a bundle, and how the networks are built."""

    encoder: Net1D
    encoder_config: EncoderConfig
    generator: MotionGenerator
    generator_config: MotionConfig
    judged: EnsembleResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where to train: results do not depend on ``workers``, and on ``device`` by rounding alone."""

    device: torch.device
    workers: int = 1


def train_bundle(
    plan: TrainingPlan,
    sources: TrainingSources,
    run: RunFolder,
    machine: Machine,
    progress: Progress,
    given: GivenEncoder | None = None,
) -> Trained:
    """Train a bundle into ``RUN/bundle``; what the run folder holds already is not done again.

    Parameters
    ----------
    given : GivenEncoder, optional
        An encoder that was pretrained before; without one it is pretrained here, on the registry.
    """
    named = {name: each for name, each in sources.by_name().items() if given is None or name != REGISTRY}
    cohorts = prepare(named, run.path, machine.workers, part_of(progress, 0.0, 0.25))
    encoder_config = given.config if given else plan.pretraining.encoder
    encoder = given.network if given else None
    if encoder is None:
        told = part_of(progress, 0.25, 0.60)
        encoder = pretrain(plan.pretraining, cohorts[REGISTRY], run, told, machine.device)
    generator = learn_motion(plan, cohorts["doppler"], run, part_of(progress, 0.60, 0.88), machine.device)
    judged = fit_and_judge(
        encoder,
        generator,
        labelled_cohorts(sources, cohorts, run.path),
        InputContract(),
        plan,
        part_of(progress, 0.88, 1.0),
        machine.device,
    )
    simulated = sources.is_simulated | ({"encoder": given.is_simulated} if given else {})
    record = TrainingRecord(
        cohort=f"encoder: {given.what}; motion and ensemble: {sources.what}" if given else sources.what,
        simulated_parts=tuple(part for part, is_simulated in simulated.items() if is_simulated),
        patients=judged.n_patients,
        seed=plan.seed,
        data_sha256=data_sha256(named, run.path),
        pretraining_ecgs=given.n_ecgs if given else len(cohorts[REGISTRY]),
        motion_patients=len(set(cohorts["doppler"].patient_keys.tolist())),
        recipe=recipe_of(plan, judged, given) | fingerprints(named, run.path),
    )
    learnt = Learnt(
        encoder=encoder,
        encoder_config=encoder_config,
        generator=generator,
        generator_config=plan.generator,
        judged=judged,
    )
    return bundle_up(plan, record, learnt, InputContract(), run.path / BUNDLE_FOLDER)


def prepare(named: Mapping[str, RowSource], run: Path, workers: int, progress: Progress) -> dict[str, Cohort]:
    """Featurize each set of ECGs into ``RUN/cohorts/NAME``, or open it where that is done."""
    total, done, out = sum(map(len, named.values())), 0, {}
    for name, source in named.items():
        tell = part_of(progress, done / total, (done + len(source)) / total)
        out[name] = featurize_cohort(source, cohort_folder(run, name), workers=workers, progress=tell)
        done += len(source)
    return out


def cohort_folder(run: Path, name: str) -> Path:
    """Where a run keeps a prepared cohort."""
    return run / "cohorts" / name


def learn_motion(
    plan: TrainingPlan, cohort: Cohort, run: RunFolder, progress: Progress, device: torch.device
) -> MotionGenerator:
    """Train the motion generator, or take the one that this run has already."""
    path = run.path / MOTION_FILE
    if run.is_complete(MOTION_STAGE):
        generator = MotionGenerator(plan.generator)
        generator.load_state_dict(safetensors.torch.load(path.read_bytes()), strict=True)
        return generator.eval()
    cohort = cohort.without_inputs()  # the generator reads beats, and the inputs are 80 kB an ECG
    kept_out = holdout(cohort.patient_keys, plan.motion_validation_share, plan.seed)
    generator, result = train_motion(
        plan.generator,
        plan.motion,
        cohort.rows(~kept_out),
        cohort.rows(kept_out),
        seed=plan.seed,
        device=device,
        run=run,
        progress=progress,
    )
    generator = generator.to("cpu").eval()
    write_atomically(path, file_bytes(generator))
    run.save_stage(MOTION_STAGE, {"best_epoch": result.best_epoch, "metrics": result.best})
    return generator


def labelled_cohorts(sources: TrainingSources, cohorts: dict[str, Cohort], run: Path) -> list[Labelled]:
    """Development cohort, and the external one where there is one, with where each row comes from."""
    named = sources.by_name()
    return [
        Labelled.of(
            name,
            cohorts[name],
            cohort_folder(run, name),
            what=what,
            is_simulated=named[name].provenance.is_simulated,
        )
        for name, what in (("development", OUT_OF_FOLD), ("external", sources.external_what))
        if name in cohorts
    ]


def data_sha256(named: Mapping[str, RowSource], run: Path) -> str:
    """One fingerprint of all ECGs that were trained on or judged by."""
    whole = new_sha256()
    for name in named:
        whole.update(f"{name} {stored_sha256(cohort_folder(run, name))}\n".encode())
    return whole.hexdigest()


def fingerprints(named: Mapping[str, RowSource], run: Path) -> dict[str, str]:
    """Fingerprint of each set of ECGs by itself, so that one alone can be compared."""
    return {f"ECGs of {name}": stored_sha256(cohort_folder(run, name)) for name in named}


def recipe_of(plan: TrainingPlan, judged: EnsembleResult, given: GivenEncoder | None) -> dict[str, str]:
    """Say in words and numbers how each part was trained."""
    pretrained = f"multi-task pretraining: {asdict(plan.pretraining)}"
    return {
        "encoder": given.recipe if given else pretrained,
        "motion": f"adversarial: {asdict(plan.motion)}",
        "ensemble": f"group-penalised bootstrapped heads: {asdict(plan.heads)}; penalties {judged.penalties}",
    }


def bundle_up(
    plan: TrainingPlan,
    record: TrainingRecord,
    learnt: Learnt,
    contract: InputContract,
    folder: Path,
) -> Trained:
    """Write the bundle's folder."""
    judged = learnt.judged
    files = weight_files(learnt.encoder, learnt.generator, judged.ensemble)
    manifest = Manifest(
        bundle_version=plan.bundle_version,
        files={name: sha256_of(content) for name, content in sorted(files.items())},
        encoder=learnt.encoder_config,
        motion=learnt.generator_config,
        heads=plan.heads,
        n_folds=plan.n_folds,
        threshold=Threshold(
            probability=judged.threshold,
            operating_point=f"specificity {plan.specificity:g} on the development cohort, out of fold",
        ),
        training=record,
        performance=judged.performance,
        motion_error=judged.motion_error,
        interval=statements.INTERVAL,
        intended_use=statements.intended_use(record),
        not_for_text=statements.not_for(record),
        limits=statements.limits(record),
        input=contract,
    )
    write_bundle(folder, manifest, files)
    return Trained(manifest=manifest, folder=folder)
