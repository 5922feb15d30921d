"""``diastole topics``: make the topics."""

from typing import Annotated

import typer

from ops.cli.console import out
from ops.cli.setup import BrokerOption, prepared, run

app = typer.Typer(help="Create the topics on the broker.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``apply`` a subcommand while it is the only one."""


@app.command("apply")
def apply(
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Of every topic; default DIASTOLE_PARTITIONS.")
    ] = None,
    replication: Annotated[int, typer.Option(min=1, help="Copies of every topic; 3 on a real cluster.")] = 1,
    broker: BrokerOption = None,
) -> None:
    """Create the topics that are missing.

    Applying again changes nothing. Example, on a cluster: diastole topics apply --replication 3
    """
    # Imported here: Kafka's client takes a third of a second, which other commands need not wait.
    from ops.topics import apply_topics

    settings = prepared(broker=broker, partitions=partitions)
    applied = run(apply_topics(settings.kafka, settings.partitions, replication))
    for name in applied.created:
        out().print(f"created {name}", highlight=False)
    out().print(f"{len(applied.created)} created, {len(applied.existing)} were there", highlight=False)
