"""``diastole demo``: see the whole of it run, on this machine, in about a minute."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ops.cli.console import out
from ops.cli.setup import prepared, run
from streams.assembly import build_codec
from streams.logs import configure_logs

if TYPE_CHECKING:
    from ops.demo import DemoOutcome

_INTERRUPTED = 130

#: Running text is read in lines of about a hundred characters, however wide the log is.
_TEXT_WIDTH = 100

_HEADER = (
    "Diastole demo. Decision support for research, not a medical device. The shipped model was trained on "
    "simulated patients only: it has not been shown to work on real ones, and what it says about the real "
    "recordings below means nothing clinically."
)
_FOOTER = (
    "This showed the way from file to alert, and that nothing is lost on it. It did not show that the model "
    "finds diastolic dysfunction in real patients, nor that alerts help anyone: a site trains and evaluates "
    "its own model first."
)
_NEXT = (
    ("make demo KEEP=1", "the same, and it stays up to look into:"),
    ("diastole history show {patient}", "  one patient's risk over time"),
    ("diastole tail ecg.alert.v1", "  alerts as they come"),
    ("diastole bundle show", "the model, and what it is not for"),
    ("README.md", "your own ECGs, and running it for real"),
)


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep everything running and the ward playing, until Ctrl-C.")
    ] = False,
    beds: Annotated[int, typer.Option(min=3, max=200, help="Simulated patients.")] = 14,
    rounds: Annotated[int, typer.Option(min=2, max=1000, help="ECGs of each.")] = 22,
    rate: Annotated[float, typer.Option(min=0.1, help="ECGs published per second.")] = 14.0,
    apache: Annotated[
        bool, typer.Option("--apache", help="On Apache Kafka instead of the embedded broker.")
    ] = False,
    shared_ecg: Annotated[
        Path | None,
        typer.Option(help="Folder of more real recordings; default ../shared/ecg where it exists."),
    ] = None,
) -> None:
    """See it all run, in about a minute.

    Real files and a simulated ward go in, scores and alerts come out. Starts a broker, a Redis and the four
    workers, and stops them at the end. Exit code 0 only when every message ended exactly once and a patient
    who deteriorates was alerted about.
    """
    # Imported here: the clients of Kafka and Redis take half a second, which other commands need not wait.
    from ops.demo import DemoPlan, play_demo
    from ops.demo.view import open_view

    settings = prepared()
    configure_logs(settings.log_format, "warning")  # what matters is said on the console
    plan = DemoPlan(
        beds=beds,
        rounds=rounds,
        ecgs_per_s=rate,
        broker="apache" if apache else "embedded",
        keep=keep,
        shared_ecg=shared_ecg or _beside_checkout(),
    )
    console = out()
    console.print(Text(_HEADER, style="bold"), width=min(console.width, _TEXT_WIDTH))
    started_s = time.monotonic()
    with open_view(console) as view:
        outcome = run(play_demo(plan, settings.home.resolve(), build_codec(settings), view))
    _take_leave(console, outcome, time.monotonic() - started_s, keep=keep)


def _beside_checkout() -> Path | None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "ecg"
    return folder if folder.is_dir() else None


def _take_leave(console: Console, outcome: "DemoOutcome", took_s: float, *, keep: bool) -> None:
    if outcome.interrupted:
        console.print("Stopped before the play was over; everything it had started has ended.")
        raise typer.Exit(code=0 if keep else _INTERRUPTED)
    console.print(
        f"\nEverything has stopped after {took_s:.0f} s; the logs are in {outcome.home}/runs.", soft_wrap=True
    )
    if not outcome.holds:
        console.print("Something above did not hold: the logs say more.", style="bold red")
        raise typer.Exit(code=1)
    console.print("\nNext", style="bold")
    patient = outcome.history[0].patient_id
    for command, what in _NEXT:
        console.print(f"  {command.format(patient=patient):<34}{what}", markup=False, soft_wrap=True)
    console.print(Text(f"\n{_FOOTER}"), width=min(console.width, _TEXT_WIDTH))
