"""``diastole demo``: see the whole of it run, on this machine, in about a minute."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ops.cli.console import out
from ops.cli.history import history_table, sparkline
from ops.cli.setup import prepared, run
from ops.demo import DemoOutcome, DemoPlan, play_demo
from ops.demo.summary import summary_table
from ops.demo.view import open_view
from ops.services import BrokerKind
from streams.assembly import build_codec
from streams.logs import configure_logs

_HEADER = (
    "Diastole demo. Research decision support, not a medical device. The model was trained on simulated "
    "patients only: it has not been shown to find diastolic dysfunction in real ones, and its scores of the "
    "real recordings below mean nothing clinically."
)
_FOOTER = (
    "What this showed: the flow from file to alert, and that nothing is lost on the way. What it did not "
    "show: any clinical validity. A site trains and evaluates its own bundle first; `diastole bundle show` "
    "says what this one is."
)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep running after the play, until Ctrl-C.")] = False,
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
    """Start everything, publish real files and a simulated ward, show scores and alerts, check the counts.

    Exit code 0 only when every message ended exactly once and at least one alert was raised.
    """
    settings = prepared()
    configure_logs(settings.log_format, "warning")  # what matters is said on the console
    kind: BrokerKind = "apache" if apache else "embedded"
    plan = DemoPlan(
        beds=beds,
        rounds=rounds,
        ecgs_per_s=rate,
        broker=kind,
        keep=keep,
        shared_ecg=shared_ecg or _beside_checkout(),
    )
    console = out()
    console.print(Text(_HEADER, style="bold"), soft_wrap=not console.is_terminal)
    started_s = time.monotonic()
    with open_view(console) as view:
        outcome = run(play_demo(plan, settings.home.resolve(), build_codec(settings), view))
    _conclude(console, outcome, time.monotonic() - started_s)
    if not outcome.holds:
        raise typer.Exit(code=1)


def _beside_checkout() -> Path | None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "ecg"
    return folder if folder.is_dir() else None


def _conclude(console: Console, outcome: DemoOutcome, took_s: float) -> None:
    if outcome.history:
        console.print(history_table(outcome.history[0].patient_id, outcome.history[-8:]))
        console.print(
            f"whole history, × not scored: {sparkline(outcome.history)}", markup=False, soft_wrap=True
        )
    console.print(summary_table(outcome.ledger))
    if not outcome.ledger.alerts:
        console.print(
            "no alert was raised, although patients deteriorated: something is wrong", style="bold red"
        )
    console.print(f"took {took_s:.0f} s. {_FOOTER}", markup=False, soft_wrap=not console.is_terminal)
