"""``diastole study``: every row of the published study's results, on simulated cohorts or on a site's own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ops.cli.console import err, out
from ops.cli.setup import prepared
from ops.cli.training_setup import QUICK_SUFFIX, WorkersOption, say
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.study.inputs import StudySources
    from models.study.marks import Mark
    from models.study.study import StudyInputs

_VERDICT: Final = {True: ("met", "green"), False: ("MISSED", "bold red"), None: ("not known", "yellow")}

CohortOption = Annotated[
    Path | None,
    typer.Option(
        "--cohort",
        help="Folder of the paired ECG–echo cohort that the bundle was trained on: judged on its parts "
        "development and external, which neither encoder nor motion generator has seen.",
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(min=0, help="Seed under which --cohort was dealt into parts; default the bundle's."),
]
DevelopmentOption = Annotated[
    Path | None,
    typer.Option(
        "--development",
        help="Folder of a paired cohort to judge out of fold, none of which the bundle was trained on: its "
        "part development where the column split names parts, else all rows.",
    ),
]
ExternalOption = Annotated[
    Path | None,
    typer.Option(
        "--external",
        help="Folder of another, for the bundle as it is: its part external, or all rows, likewise. Needs "
        "--development.",
    ),
]
EchoNextOption = Annotated[Path | None, typer.Option("--echonext", help="Folder of EchoNext.")]
Code15Option = Annotated[Path | None, typer.Option("--code15", help="Folder of CODE-15 %.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Folders to judge a bundle on, each as the option of its name says."""

    cohort: Path | None = None
    development: Path | None = None
    external: Path | None = None
    echonext: Path | None = None
    code15: Path | None = None


def study(
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle folder; default DIASTOLE_BUNDLE or the shipped one.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Where the report goes, and what was scored; default in DIASTOLE_HOME."),
    ] = None,
    cohort: CohortOption = None,
    seed: SeedOption = None,
    development: DevelopmentOption = None,
    external: ExternalOption = None,
    echonext: EchoNextOption = None,
    code15: Code15Option = None,
    workers: WorkersOption = 2,
    quick: Annotated[bool, typer.Option("--quick", help="Some hundreds of simulated ECGs each.")] = False,
) -> None:
    """Judge a bundle by every row of the published study.

    Without a path on simulated cohorts of the published sizes; with any, on what is given and on nothing
    simulated beside it. What was scored is kept: interrupted, the same command goes on. Writes study.html,
    which needs no other file, and study.json. A mark that is missed is said and is no failure: exit code 0.
    The published sizes take about half an hour on two CPU cores. What a paired cohort's folder holds is in
    docs/paired-cohort.md.

    Example: diastole study --bundle runs/our-1/bundle --cohort our-echo-lab --code15 code-15
    """
    # Imported here: torch takes seconds, and other commands do without.
    import torch

    from models.bundle import DEFAULT_BUNDLE, load_bundle
    from models.study.inputs import gather
    from ops.training_progress import shown_progress

    if seed is not None and cohort is None:
        raise ConfigurationError("--seed says how --cohort was dealt into parts: give both, or leave it out")
    # Beside the processes that prepare, a second thread of the one that scores only waits for its core.
    torch.set_num_threads(1)
    settings = prepared()
    judged = load_bundle(bundle or settings.bundle or DEFAULT_BUNDLE)
    sources = chosen_sources(
        Paths(cohort=cohort, development=development, external=external, echonext=echonext, code15=code15),
        seed=judged.manifest.training.seed if seed is None else seed,
        is_quick=quick,
    )
    into = folder or settings.home.resolve() / "study" / f"{judged.version}{QUICK_SUFFIX if quick else ''}"
    with shown_progress(err()) as progress:
        inputs = gather(judged, sources, into / "scored", workers=workers, progress=progress)
    report(inputs, into)


def report(inputs: "StudyInputs", folder: Path) -> None:
    """Judge scored cohorts, write both files and print the marks; one that is missed is said."""
    from models.study.marks import marks
    from models.study.report import write_report
    from models.study.study import run_study

    with err().status("judging"):
        result = run_study(inputs)
        paths = write_report(inputs, result, folder)
    reached = marks(result)
    out().print(marks_table(inputs.bundle_version, reached))
    for line in (*verdict(reached), *(f"written to {path}" for path in paths)):
        say(line)


def marks_table(bundle_version: str, reached: "Sequence[Mark]") -> Table:
    """Show each mark with what was found, and of what data."""
    from models.study.tables import mark_found

    table = Table(title=f"study of bundle {bundle_version}", title_justify="left", box=SIMPLE_HEAD)
    for heading, side in (("mark", "left"), ("data", "left"), ("wanted", "right"), ("found", "right")):
        table.add_column(heading, justify="right" if side == "right" else "left")
    table.add_column("")
    for mark in reached:
        said, style = _VERDICT[mark.is_met]
        table.add_row(mark.name, mark.cohort.heading, mark.wanted, mark_found(mark), Text(said, style=style))
    return table


def verdict(reached: "Sequence[Mark]") -> tuple[str, ...]:
    """Say in words how many marks are met, and whether the data were of patients."""
    from models.study.json_form import SIMULATED_WARNING

    met, missed = (sum(mark.is_met is which for mark in reached) for which in (True, False))
    unknown = len(reached) - met - missed
    parts = [f"{met} of {len(reached)} marks met", f"{missed} MISSED" if missed else "none missed"]
    parts += [f"{unknown} not known"] if unknown else []
    warning = (SIMULATED_WARNING,) if any(mark.cohort.is_simulated for mark in reached) else ()
    return (", ".join(parts), *warning)


def chosen_sources(given: Paths, *, seed: int, is_quick: bool) -> "StudySources":
    """Open what is to be judged: what is given, or else simulated cohorts.

    Parameters
    ----------
    seed : int
        Under which ``given.cohort`` was dealt into parts.

    Raises
    ------
    ConfigurationError
        When the options contradict each other, or a cohort is not as its layout says.
    """
    from models.study.inputs import simulated_study

    if given == Paths():
        return simulated_study(is_quick=is_quick)
    if is_quick:
        raise ConfigurationError("--quick is for simulated cohorts: leave it out where paths are given")
    if given.cohort and (given.development or given.external):
        raise ConfigurationError(
            "--cohort has parts of its own to judge: leave out --development and --external, or give these "
            "in its place"
        )
    if given.external and not given.development:
        raise ConfigurationError(
            "--external needs --development: what the ensemble is compared with is fitted there"
        )
    from models.cohorts.code15 import Code15
    from models.cohorts.echonext import EchoNext

    labelled = _of_cohort(given.cohort, seed) if given.cohort else _of_folders(given)
    return replace(
        labelled,
        diseases=EchoNext(given.echonext) if given.echonext else None,
        outcomes=Code15(given.code15, first_exam_only=True) if given.code15 else None,
    )


def _of_cohort(folder: Path, seed: int) -> "StudySources":
    from models.study.inputs import StudySources
    from models.training.paired_sources import paired_sources

    parts = paired_sources(folder, seed)
    return StudySources(
        development=parts.development, external=parts.external, external_what=parts.external_what
    )


def _of_folders(given: Paths) -> "StudySources":
    from models.study.inputs import StudySources
    from models.training.paired_sources import DEVELOPMENT, EXTERNAL, paired_part

    return StudySources(
        development=paired_part(given.development, DEVELOPMENT) if given.development else None,
        external=paired_part(given.external, EXTERNAL) if given.external else None,
    )
