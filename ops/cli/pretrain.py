"""``diastole pretrain``: from unlabelled ECGs to an encoder."""

from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.console import err
from ops.cli.training_setup import (
    DeviceOption,
    OutOption,
    QuickOption,
    ResumeOption,
    SeedOption,
    ThreadsOption,
    WorkersOption,
    data_identity,
    opened_run,
    print_metrics,
    say,
    shown_run,
    training_device,
)

if TYPE_CHECKING:
    from models.cohorts.featurized import Cohort
    from models.progress import Progress
    from models.training.run_folder import RunFolder

    #: Trains on a cohort, and leaves the encoder and the stage named beside it in the run folder.
    Training = tuple[str, Any, Callable[[Cohort, RunFolder, Progress], object]]

#: Share of the work that preparing the ECGs is, as progress tells it.
_PREPARING = 0.25


class Mains(StrEnum):
    """Frequency of the mains where the ECGs were recorded, Hz."""

    FIFTY = "50"
    SIXTY = "60"


def pretrain(
    ecgs: Annotated[
        str,
        typer.Option(
            help="Folder of ECG files (DICOM, WFDB, aECG), of PTB-XL, CODE-15 %, EchoNext or a paired "
            "cohort; or 'simulated'."
        ),
    ],
    run_path: OutOption = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="12_lead_ECGFounder.pth: learn to predict its embedding instead (distillation)."),
    ] = None,
    mains: Annotated[Mains, typer.Option(help="Hz; for the teacher's notch.")] = Mains.FIFTY,
    resume: ResumeOption = False,
    seed: SeedOption = 1,
    device: DeviceOption = None,
    workers: WorkersOption = 2,
    threads: ThreadsOption = 1,
    quick: QuickOption = False,
) -> None:
    """Pretrain the compact encoder on unlabelled ECGs.

    It learns to read what the ECGs and their headers tell themselves: measurements, rhythm, age, sex, and the
    median beat of all leads. No label is needed, and none is looked at. Of ECG files no patient identifier is
    kept: patients are numbered as they appear. It takes about 10 minutes per 16000 ECGs on two CPU cores.

    Example: diastole pretrain --ecgs exported-ecgs --out runs/encoder-1
    """
    # Imported here: torch takes seconds, and other commands do without.
    from models.cohorts.store import featurize_cohort
    from models.progress import part_of
    from models.training.encoder_file import ENCODER_FILE
    from models.training.pretraining import QUICK_ECGS
    from models.training.run_folder import RunConfiguration
    from ops.ecg_sources import open_ecgs
    from ops.training_progress import shown_progress

    on = training_device(device, threads)
    stage, plan, training = (
        _distillation(teacher, mains, seed, quick, on) if teacher else _pretraining(seed, quick, on)
    )
    n_simulated = QUICK_ECGS if quick else None
    with shown_progress(err()) as progress:
        source = open_ecgs(ecgs, n_simulated=n_simulated, seed=seed, progress=progress, refused=_say_refused)
    identity = data_identity({"ecgs": source})
    configuration = RunConfiguration(command="pretrain", plan=plan, seed=seed, data_hash=identity)
    run = opened_run(run_path, configuration, resume=resume, quick=quick)
    with shown_run(run) as progress:
        folder = run.path / "cohorts" / "ecgs"
        told = part_of(progress, 0.0, _PREPARING)
        cohort = featurize_cohort(source, folder, workers=workers, progress=told)
        training(cohort, run, part_of(progress, _PREPARING, 1.0))
    _print_ecgs(folder)
    found = run.stage(stage)
    title = f"trained on {found['trained_ecgs']} ECGs, best epoch {found['best_epoch']} of {found['epochs']}"
    print_metrics(title, found["metrics"])
    say(f"encoder in {run.path / ENCODER_FILE}")


def _pretraining(seed: int, quick: bool, on: Any) -> "Training":
    from models.training.pretraining import STAGE, pretrain, pretraining_plan

    plan = pretraining_plan(seed, quick=quick)
    return STAGE, plan, lambda cohort, run, progress: pretrain(plan, cohort, run, progress, on)


def _distillation(teacher: Path, mains: Mains, seed: int, quick: bool, on: Any) -> "Training":
    from dataclasses import asdict

    from models.founder_checkpoint import load_founder
    from models.founder_preprocessing import FounderNormalisation
    from models.training.distillation import STAGE, distil, distillation_plan

    full, normalise = load_founder(teacher), FounderNormalisation(float(mains.value))
    plan = distillation_plan(seed, quick=quick)
    said = {
        "teacher_sha256": sha256(teacher.read_bytes()).hexdigest(),
        "mains_hz": mains.value,
        **asdict(plan),
    }
    return STAGE, said, lambda cohort, run, progress: distil(plan, cohort, full, normalise, run, progress, on)


def _say_refused(path: Path, why: str) -> None:
    err().print(f"refused {path.name}: {why}", markup=False, soft_wrap=True)


def _print_ecgs(folder: Path) -> None:
    from models.cohorts.store import stored_state

    state = stored_state(folder)
    if state is not None:
        why = ", ".join(f"{reason} {each.n}" for reason, each in sorted(state.left_out.items()))
        say(f"{state.n_kept} of {state.n_rows} ECGs can be used" + (f"; left out: {why}" if why else ""))
