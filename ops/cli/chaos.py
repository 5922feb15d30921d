"""``diastole chaos``: break everything on purpose, and see whether an alert is lost or invented."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.console import err, out
from ops.cli.setup import prepared, run
from streams.logs import configure_logs

app = typer.Typer(
    help="Break workers, Kafka, Redis and the network while ECGs flow, and judge what comes out.",
    no_args_is_help=True,
)

ResultsOption = Annotated[
    Path | None,
    typer.Option("--results", help="One JSON line a seed; default chaos/results.jsonl in DIASTOLE_HOME."),
]


@app.command("run")
def run_seeds(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 60,
    first_seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 1,
    ecgs: Annotated[
        int, typer.Option(min=1, help="Distinct ECGs a seed; repeats and poison come on top.")
    ] = 2000,
    faults: Annotated[int, typer.Option(min=0, help="Faults a seed.")] = 5,
    kinds: Annotated[str, typer.Option(help="Kinds of fault, separated by commas; all by default.")] = "",
    rate: Annotated[float, typer.Option(min=1.0, help="Arrivals a second.")] = 60.0,
    patience: Annotated[float, typer.Option(min=10.0, help="Longest wait for the last commit, s.")] = 300.0,
    results: ResultsOption = None,
) -> None:
    """Play seeds on Apache Kafka and Redis with two workers of each stage, and judge each.

    Goes on where it was interrupted: seeds that held are not played again. Exit code 1 when one does not.

    Example: diastole chaos run --seeds 60 --ecgs 2000 --faults 5
    """
    # Imported here: torch and Kafka's client take seconds, and most commands do without.
    from ops.chaos.campaign import Campaign, run_campaign

    settings = prepared()
    configure_logs(settings.log_format, "warning")  # what matters is said on the console
    home = settings.home.resolve()
    campaign = Campaign(
        home=home,
        seeds=range(first_seed, first_seed + seeds),
        results=results or home / "chaos" / "results.jsonl",
        ecgs=ecgs,
        faults=faults,
        kinds=tuple(kind.strip() for kind in kinds.split(",") if kind.strip()),
        rate_per_s=rate,
        patience_s=patience,
    )
    _leave_tidily()
    played = run(run_campaign(campaign, lambda said: out().print(said, markup=False, soft_wrap=True)))
    report(results)
    if not all(result.holds for result in played):
        raise typer.Exit(code=1)


@app.command("soak")
def soak_for(
    minutes: Annotated[float, typer.Option(min=0.5, help="How long.")] = 60.0,
    rate: Annotated[
        float, typer.Option(min=0.1, help="ECGs a second: half of what diastole bench says is sustained.")
    ] = 10.0,
    fault_every: Annotated[float, typer.Option(min=1.0, help="Seconds between two faults.")] = 30.0,
    folder: Annotated[
        Path | None,
        typer.Option(help="For samples, results and soak.png; default chaos/soak in DIASTOLE_HOME."),
    ] = None,
) -> None:
    """Run under steady load with faults for long: nothing may be lost, and nothing may grow.

    Faults that end workers are left out: those are for "chaos run". Samples memory, handles, threads, lag
    and latency every 5 s, and draws them. Exit code 1 when a play does not hold or something grows.
    """
    from ops.chaos.sampling import read_samples
    from ops.chaos.soak import Soak, growths_of, run_soak
    from ops.chaos.soak_plot import draw_soak
    from ops.chaos.soak_report import growth_table

    settings = prepared()
    configure_logs(settings.log_format, "warning")  # what matters is said on the console
    home = settings.home.resolve()
    soak = Soak(
        home=home,
        folder=folder or home / "chaos" / "soak",
        minutes=minutes,
        rate_per_s=rate,
        fault_every_s=fault_every,
    )
    _leave_tidily()
    played = run(run_soak(soak, lambda said: out().print(said, markup=False, soft_wrap=True)))
    found = growths_of(soak.samples)
    draw_soak(soak.folder / "soak.png", read_samples(soak.samples), found)
    out().print(growth_table(found))
    out().print(f"drawn in {soak.folder / 'soak.png'}", markup=False, soft_wrap=True)
    if any(each.grows for part in found.values() for each in part) or not all(r.holds for r in played):
        raise typer.Exit(code=1)


def _leave_tidily() -> None:
    """Let SIGTERM, and Ctrl-C's own signal that background jobs ignore, end the run and stop the cluster."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


@app.command("hostile")
def send_hostile(
    messages: Annotated[int, typer.Option(min=1, help="How many hostile messages.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same messages.")] = 1,
    patience: Annotated[float, typer.Option(min=10.0, help="Longest wait for the last commit, s.")] = 1800.0,
) -> None:
    """Send hostile messages to every topic that is read, sound ECGs among them, and see what each ends as.

    Starts Apache Kafka, Redis, one worker of every stage, delivery, API and watch of its own. Every message
    must end as one dead letter or one result, no process may end or grow. Exit code 1 when it does not hold.

    Example: diastole chaos hostile --messages 10000 --seed 1
    """
    from ops.chaos.hostile_report import hostile_report
    from ops.chaos.hostile_run import HostileRun, run_hostile

    settings = prepared()
    configure_logs(settings.log_format, "error")  # each hostile message is a warning to whoever reads it
    asked = HostileRun(home=settings.home.resolve(), messages=messages, seed=seed, patience_s=patience)
    account = run(run_hostile(asked, lambda said: out().print(said, markup=False, soft_wrap=True)))
    out().print(hostile_report(asked, account))
    if not account.verdict.holds:
        raise typer.Exit(code=1)


@app.command("report")
def report(results: ResultsOption = None) -> None:
    """Print what was played so far: faults survived by kind, alerts lost, invented and contradictory."""
    from ops.chaos.report import report_tables
    from ops.chaos.results import read_results

    path = results or prepared().home.resolve() / "chaos" / "results.jsonl"
    found = read_results(path)
    if not found:
        err().print(f"no results in {path}; play some: diastole chaos run", markup=False, soft_wrap=True)
        raise typer.Exit(code=1)
    for table in report_tables(found):
        out().print(table)
