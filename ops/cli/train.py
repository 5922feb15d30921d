"""``diastole train``: from a cohort to a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.training_setup import (
    DeviceOption,
    OutOption,
    QuickOption,
    ResumeOption,
    SeedOption,
    ThreadsOption,
    WorkersOption,
    data_identity,
    flat,
    opened_run,
    print_metrics,
    say,
    shown_run,
    training_device,
)


def train(
    cohort: Annotated[
        Path | None, typer.Option(help="Folder of a paired ECG–echo cohort; default a simulated one.")
    ] = None,
    run_path: OutOption = None,
    resume: ResumeOption = False,
    seed: SeedOption = 1,
    device: DeviceOption = None,
    workers: WorkersOption = 2,
    threads: ThreadsOption = 1,
    quick: QuickOption = False,
) -> None:
    """Train a bundle: encoder, motion generator and ensemble.

    Each is trained on patients of its own. The run folder holds configuration, learning curves, plots and
    checkpoints; interrupted, the same command with --resume goes on where it was.

    Example: diastole train --cohort our-echo-lab --out runs/our-1
    """
    # Imported here: torch takes seconds, and other commands do without.
    from models.training.paired_sources import paired_sources
    from models.training.plans import training_plan
    from models.training.recipe import Machine, train_bundle
    from models.training.run_folder import RunConfiguration
    from models.training.sources import simulated_sources
    from ops.rendering import plain

    machine = Machine(device=training_device(device, threads), workers=workers)
    plan = training_plan(seed, quick=quick)
    sources = paired_sources(cohort, seed) if cohort else simulated_sources(plan.sizes, seed)
    identity = data_identity(sources.by_name())
    configuration = RunConfiguration(command="train", plan=plan, seed=seed, data_hash=identity)
    run = opened_run(run_path, configuration, resume=resume)
    with shown_run(run) as progress:
        trained = train_bundle(plan, sources, run, machine, progress)
    manifest = trained.manifest
    print_metrics(f"bundle {manifest.bundle_version}", flat(plain(manifest.performance)))
    say(f"bundle in {trained.folder}")
    say(f"sha256 {manifest.sha256}")
