"""``diastole train``: from a cohort to a bundle."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from ops.cli.console import out
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
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from models.manifest import Performance

#: Shown of each model; subgroups are in the model card.
_SHOWN: Final = ("auc", "brier", "calibration_slope", "sensitivity", "specificity")


def train(
    cohort: Annotated[
        Path | None, typer.Option(help="Folder of a paired ECG–echo cohort; default a simulated one.")
    ] = None,
    alerted: Annotated[
        list[Path] | None,
        typer.Option(
            "--alerted",
            help="Folder of diastole alerts cohort, whose labelled ECGs the ensemble learns too; repeatable.",
        ),
    ] = None,
    run_path: OutOption = None,
    bundle_version: Annotated[
        str | None,
        typer.Option(help="Names the bundle in every assessment; default after the cohort's folder."),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="Run folder of diastole pretrain whose encoder is taken; default trains one."),
    ] = None,
    resume: ResumeOption = False,
    seed: SeedOption = 1,
    device: DeviceOption = None,
    workers: WorkersOption = 2,
    threads: ThreadsOption = 1,
    quick: QuickOption = False,
) -> None:
    """Train a bundle: encoder, motion generator and ensemble.

    Each is trained on patients of its own. The run folder holds configuration, learning curves, plots and
    checkpoints; interrupted, the same command with --resume goes on where it was. The simulated cohort takes
    about 20 minutes on two CPU cores. What a cohort's folder holds is in docs/paired-cohort.md.

    Example: diastole train --cohort our-echo-lab --out runs/our-1
    """
    if alerted and cohort is None:
        raise ConfigurationError("--alerted adds to a cohort of all comers: give that as --cohort FOLDER")
    # Imported here: torch takes seconds, and other commands do without.
    from models.training.given_encoder import given_encoder
    from models.training.paired_sources import paired_sources
    from models.training.plans import training_plan
    from models.training.recipe import Machine, train_bundle
    from models.training.run_folder import RunConfiguration
    from models.training.sources import simulated_sources

    machine = Machine(device=training_device(device, threads), workers=workers)
    version = bundle_version or (f"{cohort.resolve().name}-1" if cohort else None)
    plan = training_plan(seed, bundle_version=version, quick=quick)
    sources = paired_sources(cohort, seed, alerted or ()) if cohort else simulated_sources(plan.sizes, seed)
    given = given_encoder(encoder) if encoder else None
    identity = data_identity(sources.by_name()) + (f" encoder {given.sha256}" if given else "")
    configuration = RunConfiguration(command="train", plan=plan, seed=seed, data_hash=identity)
    run = opened_run(run_path, configuration, resume=resume, quick=quick)
    with shown_run(run) as progress:
        trained = train_bundle(plan, sources, run, machine, progress, given)
    manifest = trained.manifest
    out().print(performance_table(manifest.performance))
    if manifest.motion_error:
        print_metrics("error of the synthetic motion", manifest.motion_error)
    say(f"bundle {manifest.bundle_version}, threshold {manifest.threshold.probability}")
    say(f"bundle in {trained.folder}")
    say(f"sha256 {manifest.sha256}")
    say(f"to try it silently beside the one in force: DIASTOLE_SILENT_BUNDLE={trained.folder.resolve()}")
    say(f"to put it in force: DIASTOLE_BUNDLE={trained.folder.resolve()}")


def performance_table(performance: "Iterable[Performance]") -> Table:
    """Show how each model did on each cohort as a whole."""
    from models.manifest import ALL

    table = Table(box=None, title="performance", title_justify="left")
    for name in ("cohort", "model", "n", "events", *_SHOWN):
        table.add_column(name.replace("_", " "))
    for row in performance:
        if row.subgroup == ALL:
            numbers = [_number(getattr(row, name)) for name in _SHOWN]
            table.add_row(row.cohort, row.model, str(row.n), str(row.events), *numbers)
    return table


def _number(found: float | None) -> str:
    return "–" if found is None else f"{found:.3f}"
