"""``diastole bundle import-founder``: a bundle on the full ECGFounder encoder."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.console import err
from ops.cli.setup import prepared
from ops.cli.training_setup import (
    QUICK_SUFFIX,
    DeviceOption,
    ThreadsOption,
    WorkersOption,
    say,
    training_device,
)
from ops.training_progress import shown_progress


def import_founder(
    checkpoint: Annotated[
        Path, typer.Argument(help="12_lead_ECGFounder.pth, or a safetensors file of the same weights.")
    ],
    out_path: Annotated[
        Path | None, typer.Option("--out", help="Folder to build in; default in DIASTOLE_HOME.")
    ] = None,
    cohort: Annotated[
        Path | None, typer.Option(help="Folder of a paired cohort to fit the ensemble on; default simulated.")
    ] = None,
    base_path: Annotated[
        Path | None,
        typer.Option("--base", help="Bundle whose motion generator is taken; default the shipped."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Deals patients to the parts; default the seed of --base, so that the ensemble is not "
            "judged on patients whom the generator has seen.",
        ),
    ] = None,
    bundle_version: Annotated[str, typer.Option(help="Names the bundle in every assessment.")] = "founder-1",
    mains_hz: Annotated[float, typer.Option(help="Mains frequency of the ECGs, 50 or 60.")] = 50.0,
    device: DeviceOption = None,
    workers: WorkersOption = 2,
    threads: ThreadsOption = 2,
    quick: Annotated[bool, typer.Option("--quick", help="Few ECGs: to try it, not to use it.")] = False,
) -> None:
    """Build a bundle around the published ECGFounder checkpoint.

    The checkpoint must be the published one to the last key and shape. Motion comes from another bundle, the
    ensemble is fitted anew. On two CPU cores it takes about ten minutes, most of it cross-validation.

    Example: diastole bundle import-founder 12_lead_ECGFounder.pth --cohort our-echo-lab
    """
    # Imported here: torch takes seconds, and other commands do without.
    from models.bundle import DEFAULT_BUNDLE, load_bundle
    from models.training.founder_bundle import founder_plan, import_founder
    from models.training.paired_sources import paired_sources
    from models.training.plans import training_plan
    from models.training.recipe import Machine
    from models.training.sources import simulated_sources

    settings = prepared()
    base = load_bundle(base_path or settings.bundle or DEFAULT_BUNDLE)
    dealt = base.manifest.training.seed if seed is None else seed
    plan = founder_plan(mains_hz, seed=dealt, bundle_version=bundle_version, quick=quick)
    sizes = training_plan(plan.seed, quick=quick).sizes
    sources = paired_sources(cohort, plan.seed) if cohort else simulated_sources(sizes, plan.seed)
    folder = out_path or settings.home.resolve() / "runs" / f"import-founder{QUICK_SUFFIX if quick else ''}"
    machine = Machine(device=training_device(device, threads), workers=workers)
    with shown_progress(err()) as progress:
        built = import_founder(checkpoint, base, sources, plan, folder, machine, progress)
    say(f"bundle in {built.folder}")
    say(f"sha256 {built.manifest.sha256}")
