"""``diastole bench``: how fast the whole of it is on this machine."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.cli.console import err, out
from ops.cli.setup import prepared, run
from schemas.errors import ConfigurationError
from streams.assembly import build_codec
from streams.logs import configure_logs
from streams.stage import utc_now

if TYPE_CHECKING:
    from ops.services import BrokerKind


class BenchBroker(StrEnum):
    """On which broker."""

    EMBEDDED = "embedded"
    APACHE = "apache"
    BOTH = "both"


_KINDS: "Final[dict[BenchBroker, tuple[BrokerKind, ...]]]" = {
    BenchBroker.EMBEDDED: ("embedded",),
    BenchBroker.APACHE: ("apache",),
    BenchBroker.BOTH: ("embedded", "apache"),
}

#: Kafka's own minimum; ECGs two workers featurize in half a minute; a patient's points after a long stay.
_SHORTEST_SESSION_S: Final = 6.0
_SCALED_ECGS: Final = 3000
_POINTS_PER_PATIENT: Final = 100


def bench(
    broker: Annotated[BenchBroker, typer.Option(help="apache needs Java and Maven.")] = BenchBroker.EMBEDDED,
    rates: Annotated[str, typer.Option(help="ECG/s, separated by commas.")] = "20,50",
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of each run at a rate.")] = 20.0,
    backlog: Annotated[int, typer.Option(min=1, help="ECGs of the run that is as fast as it goes.")] = 500,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Where results go; default bench.json in DIASTOLE_HOME.")
    ] = None,
    preprocessing: Annotated[
        bool, typer.Option("--preprocessing", help="Only ECGFounder's preprocessing: as published, and ours.")
    ] = False,
    readers: Annotated[
        bool,
        typer.Option("--readers", help="Only the readers of feeds: ECGs a second and memory, by format."),
    ] = False,
    recovery: Annotated[
        bool,
        typer.Option(
            "--recovery",
            help="Only sizes and coming back: an ECG's cost, a second worker, a death, a million points.",
        ),
    ] = False,
    points: Annotated[
        int, typer.Option(min=10_000, help="With --recovery: points of the history, and alert states.")
    ] = 1_000_000,
) -> None:
    """Measure ECGs a second and latencies, by stage; or one part alone.

    Latencies are from when an ECG was due to its risk and to its alert. Simulated ECGs go through real
    workers; arrivals are Poisson and do not wait for the pipeline (open loop). Exit code 1 when ECGs were
    lost; a rate that is not sustained is said so and is no failure.
    """
    if preprocessing:
        _bench_preprocessing()
        return
    if readers:
        _bench_readers()
        return
    if recovery:
        run(_bench_recovery(points))
        return
    # Imported here: drawing ECGs takes scipy, which other commands need not wait for.
    from ops.bench import BenchPlan, run_bench
    from ops.bench.report import machine, print_report, write_json

    settings = prepared()
    configure_logs(settings.log_format, "warning")  # what matters is said on the console
    plan = BenchPlan(rates_per_s=parse_rates(rates), lasts_s=seconds, backlog=backlog)
    home, codec, on = settings.home.resolve(), build_codec(settings), machine()
    results = []
    for kind in _KINDS[broker]:
        results += run(run_bench(plan, kind, home, codec, lambda said: err().print(said, markup=False)))
    print_report(out(), on, results)
    path = json_file or home / "bench.json"
    write_json(path, utc_now(), on, results)
    out().print(f"written to {path}", markup=False, soft_wrap=True)
    if any(result.lost for result in results):
        raise typer.Exit(code=1)


def _bench_preprocessing() -> None:
    from ops.bench.preprocessing import compare, table_of

    with err().status("preprocessing the same ECGs in four ways"):
        comparison = compare()
    out().print(table_of(comparison))


def _bench_readers() -> None:
    from ops.bench.readers import bench_readers, table_of

    configure_logs("console", "warning")
    with err().status("reading ECGs") as status:
        speeds = bench_readers(say=lambda name: status.update(f"reading {name}"))
    out().print(table_of(speeds))


async def _bench_recovery(points: int) -> None:
    from ops.bench import recovery, restart, scaling, sizes

    settings = prepared()
    configure_logs(settings.log_format, "warning")
    home, codec = settings.home.resolve(), build_codec(settings)

    def say(said: str) -> None:
        err().print(said, markup=False)

    # Each is shown as soon as it is known: the whole takes long.
    out().print(sizes.table_of(await sizes.measure_sizes(home, codec, _SCALED_ECGS, say)))
    restarts = []
    for session_timeout_s in (settings.session_timeout_s, _SHORTEST_SESSION_S):
        restarts += await restart.measure_restarts(home, codec, session_timeout_s, say)
    out().print(restart.table_of(restarts))
    out().print(scaling.table_of(await scaling.measure_scaling(home, codec, _SCALED_ECGS, say)))
    plan = recovery.RecoveryPlan(points=points, patients=points // _POINTS_PER_PATIENT, states=points)
    out().print(recovery.table_of(await recovery.measure_recovery(plan, home, codec, say)))


def parse_rates(text: str) -> tuple[float, ...]:
    """Read rates separated by commas.

    Raises
    ------
    ConfigurationError
        When one is no number above 0.
    """
    try:
        rates = tuple(float(part) for part in text.split(","))
    except ValueError:
        rates = ()
    if not rates or not all(0.0 < rate < 10_000.0 for rate in rates):
        raise ConfigurationError(f"--rates {text}: write numbers above 0, like 20,50")
    return rates
