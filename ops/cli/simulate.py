"""``diastole simulate``: a ward of simulated patients, published as it records."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from ops.cli.console import err, out
from ops.cli.durations import parse_duration
from ops.cli.setup import BrokerOption, prepared, run
from streams.assembly import build_codec
from streams.settings import Settings
from streams.stage import utc_now

if TYPE_CHECKING:
    from ops.ward import Round


def simulate(
    beds: Annotated[int, typer.Option(min=1, max=10_000, help="Patients.")] = 50,
    every: Annotated[str, typer.Option(help="Time between two ECGs of one bed, e.g. 10s, 6h.")] = "10s",
    for_: Annotated[
        str | None, typer.Option("--for", help="How long, in ward time; without it, until Ctrl-C.")
    ] = None,
    speedup: Annotated[
        float, typer.Option(min=0.001, help="Ward seconds per second; above 1 needs --for.")
    ] = 1.0,
    rise: Annotated[str, typer.Option(help="How long a deterioration takes, in ward time.")] = "21d",
    faults: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of recordings that go wrong.")
    ] = 0.04,
    seed: Annotated[int, typer.Option(min=0, help="The same seed plays the same patients.")] = 1,
    broker: BrokerOption = None,
) -> None:
    """Publish the ECGs of a simulated ward.

    Its patients are stable or deteriorate, and some recordings go wrong. With --speedup the ward's past is
    played, so that its last ECG is acquired now.

    Example, six weeks in one minute: diastole simulate --beds 12 --every 2d --for 42d --speedup 60000
    """
    # Imported here: scipy takes a second, which other commands need not wait.
    from ops.ward import Round

    lasts = None if for_ is None else parse_duration(for_)
    plan = Round(every=parse_duration(every), lasts=lasts, speedup=speedup)
    count = run(_simulate(beds, plan, parse_duration(rise), faults, seed, prepared(broker=broker)))
    out().print(f"published {count} ECGs of {beds} simulated patients")


async def _simulate(
    beds: int, plan: "Round", rise: timedelta, fault_rate: float, seed: int, settings: Settings
) -> int:
    from models.cohorts.simulated import Ward
    from ops.ward import run_ward
    from streams.feeds.publish import open_publisher

    now = utc_now()
    played = plan.lasts * (1.0 - 1.0 / plan.speedup) if plan.lasts else timedelta(0)
    started_at = now - played
    ward = Ward(beds=beds, seed=seed, since=started_at, fault_rate=fault_rate, rise=rise)
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed} ECGs"), TimeElapsedColumn())
    async with open_publisher(settings.kafka, build_codec(settings)) as publisher:
        console = err()
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(f"{beds} beds", total=None)
            return await run_ward(
                ward,
                plan,
                publisher,
                started_at=started_at,
                now=utc_now,
                on_published=lambda: progress.advance(task),
            )
