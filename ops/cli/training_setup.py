"""What ``train`` and ``pretrain`` have in common: options, opening a run, showing it, and ending it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from ops.cli.console import err, out
from ops.cli.setup import prepared
from streams.stage import utc_now

if TYPE_CHECKING:
    import torch

    from models.cohorts.rows import RowSource
    from models.progress import Progress
    from models.training.run_folder import RunConfiguration, RunFolder

OutOption = Annotated[
    Path | None, typer.Option("--out", help="Run folder; default in DIASTOLE_HOME, named by the command.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run that the folder holds.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed trains the same model.")]
DeviceOption = Annotated[
    str | None, typer.Option(help="cpu, cuda or cuda:1; default CUDA where there is one.")
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes that prepare ECGs.")]
ThreadsOption = Annotated[
    int, typer.Option(min=1, help="Threads that train on the CPU; 1 sums in the same order everywhere.")
]
QuickOption = Annotated[bool, typer.Option("--quick", help="Few ECGs and epochs: to try it, not to use it.")]

#: Ends the names of folders that a trial fills, so that it is not in the way of the real run.
QUICK_SUFFIX: Final = "-quick"


def training_device(asked: str | None, threads: int) -> "torch.device":
    """Choose the device, and how many threads compute on a CPU.

    Raises
    ------
    ConfigurationError
        When the device is not there.
    """
    import torch

    from models.training.devices import pick_device

    torch.set_num_threads(threads)
    return pick_device(asked)


def data_identity(sources: "Mapping[str, RowSource]") -> str:
    """Name the ECGs of a run before they are read: SHA-256 over what their sources say of themselves."""
    said = [f"{name} {len(source)} {source.provenance}" for name, source in sorted(sources.items())]
    return sha256("\n".join(said).encode()).hexdigest()


def opened_run(
    path: Path | None, configuration: "RunConfiguration", *, resume: bool, quick: bool
) -> "RunFolder":
    """Open the run folder; without a path one in DIASTOLE_HOME that command, seed and ``quick`` name.

    Raises
    ------
    RunFolderError
        When it holds something else, or a run and ``resume`` is not set.
    """
    from models.training.run_folder import open_run

    name = f"{configuration.command}-{configuration.seed}{QUICK_SUFFIX if quick else ''}"
    folder = path or prepared().home.resolve() / "runs" / name
    return open_run(folder, configuration, started_at=utc_now(), resume=resume)


@contextmanager
def shown_run(run: "RunFolder") -> "Iterator[Progress]":
    """Show a run's progress; say how to go on when it is interrupted, and draw its curves when it is done."""
    from models.training.plots import draw_learning_curves
    from ops.training_progress import shown_progress

    try:
        with shown_progress(err()) as progress:
            yield progress
    except KeyboardInterrupt:
        err().print(f"interrupted: with --resume --out {run.path} it goes on", markup=False, soft_wrap=True)
        raise
    for path in draw_learning_curves(run):
        say(f"learning curves in {path}")
    run.finish(utc_now())


def print_metrics(title: str, metrics: Mapping[str, float | None]) -> None:
    """Print named numbers, one a line."""
    say(title)
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(justify="right")
    for name, number in metrics.items():
        table.add_row(name, "–" if number is None else f"{number:.3f}")
    out().print(table)


def say(line: str) -> None:
    """Print one line of the result, whatever is in it."""
    out().print(line, markup=False, soft_wrap=True)
