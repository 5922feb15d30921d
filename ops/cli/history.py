"""``diastole history``: one patient's risk over time, and making the cache anew."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ops.bars import sparkline
from ops.cli.console import err, out
from ops.cli.setup import BrokerOption, prepared, run
from ops.rendering import decimal, reason_words
from schemas.risk import Phenotype
from streams.assembly import build_codec, build_history
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.history import HistoryPoint
    from streams.rebuild import RebuildCounts

app = typer.Typer(help="Show a patient's risk over time; rebuild the cache.", no_args_is_help=True)

_STYLE: Final = {Phenotype.HIGH: "bold red", Phenotype.LOW: "green", Phenotype.NOT_SCORED: "yellow"}

#: "0.20–0.40", which must not wrap where there are 80 columns.
_INTERVAL: Final = 9

RedisOption = Annotated[str | None, typer.Option("--redis", help="Redis URL; default DIASTOLE_REDIS_URL.")]


@app.command("show")
def show(
    patient_id: Annotated[str, typer.Argument(metavar="PATIENT", help="The site's patient identifier.")],
    last: Annotated[int, typer.Option(min=1, help="At most so many of the newest.")] = 50,
    redis: RedisOption = None,
) -> None:
    """Show one patient's risk over time.

    In order of acquisition; what was not scored is shown as such. Identifiers that were merged are shown as
    one patient, whichever of them is given. Exit code 1 when there is nothing.
    """
    identifiers, points = run(_read(patient_id, prepared(redis_url=redis)))
    points = points[-last:]
    if len(identifiers) > 1:
        out().print(united_text(identifiers), markup=False, soft_wrap=True)
    if not points:
        out().print(f"no assessments of {patient_id} in the history", markup=False)
        raise typer.Exit(code=1)
    console = out()
    console.print(history_table(identifiers[0], points))
    console.print(
        Text.assemble("risk 0 to 1, × not scored:  ", sparkline(point.probability for point in points)),
        soft_wrap=True,
    )


@app.command("rebuild")
def rebuild(broker: BrokerOption = None, redis: RedisOption = None) -> None:
    """Fill the history in Redis from Kafka.

    Reads ecg.risk.v1 and ecg.patient-link.v1 from their beginning, as after a loss of Redis. The lists of
    wards come back with it. Doing it again changes nothing.
    """
    counts, links = run(_rebuild(prepared(broker=broker, redis_url=redis)))
    out().print(f"history rebuilt: {counts.kept} assessments kept of {counts.read} messages read")
    if links.read:
        out().print(f"{links.kept} merges of patients kept of {links.read} messages read")
    if counts.undecodable or links.undecodable:
        out().print(f"{counts.undecodable + links.undecodable} messages are neither and were left out")
        raise typer.Exit(code=1)


async def _rebuild(settings: Settings) -> "tuple[RebuildCounts, RebuildCounts]":
    # Imported here, as below: other commands need not wait for the clients of Kafka and Redis.
    from streams.rebuild import rebuild_history, rebuild_links

    history = build_history(settings)
    console = err()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("history", total=None)

        def on_progress(counts: "RebuildCounts") -> None:
            progress.update(task, total=counts.due, completed=counts.read)

        try:
            codec = build_codec(settings)
            counts = await rebuild_history(settings.kafka, codec, history, on_progress=on_progress)
            return counts, await rebuild_links(settings.kafka, codec, history)
        finally:
            await history.close()


async def _read(patient_id: str, settings: Settings) -> "tuple[tuple[str, ...], list[HistoryPoint]]":
    history = build_history(settings)
    try:
        return await history.identifiers(patient_id), await history.read(patient_id)
    finally:
        await history.close()


def united_text(identifiers: "Sequence[str]") -> str:
    """Say which identifiers are one patient, the one in use today first."""
    return f"{identifiers[0]} is one patient with {', '.join(identifiers[1:])} (merged)"


def history_table(patient_id: str, points: "Sequence[HistoryPoint]") -> Table:
    """Lay assessments out, one a row; e' is the mean of both walls, and — stands for what there is not."""
    table = Table(
        title=Text(f"risk history of {patient_id}"),
        title_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for heading in ("acquired (UTC)", "phenotype"):
        table.add_column(heading, no_wrap=True)
    for heading in ("risk", "e'\ncm/s", "e'/a'", "HR\n/min", "PR\nms", "QRS\nms", "QTc\nms"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("90 % CI,\nor why\nnot", min_width=_INTERVAL)
    for point in points:
        table.add_row(
            f"{point.acquired_at:%Y-%m-%d %H:%M}",
            Text(point.phenotype.replace("_", " "), style=_STYLE[point.phenotype]),
            decimal(point.probability, 2),
            decimal(point.e_prime_cm_s, 1),
            decimal(point.e_over_a, 2),
            *(decimal(m, 0) for m in (point.heart_rate_bpm, point.pr_ms, point.qrs_ms, point.qtc_ms)),
            Text(_interval_or_reasons(point)),
        )
    return table


def _interval_or_reasons(point: "HistoryPoint") -> str:
    if point.probability is None:
        return reason_words(point.not_scored_reasons)
    if point.probability_low is None or point.probability_high is None:
        return ""
    return f"{point.probability_low:.2f}–{point.probability_high:.2f}"
