"""``diastole topics``: make the topics, and say where they are not as they should be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.console import out
from ops.cli.setup import BrokerOption, prepared, run
from ops.rendering import counted
from streams.settings import Settings

if TYPE_CHECKING:
    from ops.topic_diff import Difference

app = typer.Typer(help="Create the topics on the broker, and compare them.", no_args_is_help=True)

PartitionsOption = Annotated[
    int | None, typer.Option(min=1, help="Of every topic; default DIASTOLE_PARTITIONS.")
]
ReplicationOption = Annotated[int, typer.Option(min=1, help="Copies of every topic; 3 on a real cluster.")]


@app.command("apply")
def apply(
    partitions: PartitionsOption = None,
    replication: ReplicationOption = 1,
    alter: Annotated[
        bool, typer.Option("--alter", help="Also set right the settings of topics that were there.")
    ] = False,
    broker: BrokerOption = None,
) -> None:
    """Create the topics that are missing.

    Applying again changes nothing. With --alter, settings that differ are set, one by one; what else a site
    set stays, and so do partitions. Example, on a cluster: diastole topics apply --replication 3
    """
    # Imported here: Kafka's client takes a third of a second, which other commands need not wait.
    from ops.topics import apply_topics

    settings = prepared(broker=broker, partitions=partitions)
    applied = run(apply_topics(settings.kafka, settings.partitions, replication))
    for name in applied.created:
        out().print(f"created {name}", highlight=False)
    out().print(f"{len(applied.created)} created, {len(applied.existing)} were there", highlight=False)
    if alter:
        _compare(settings, replication, alter=True)


@app.command("diff")
def diff(
    partitions: PartitionsOption = None,
    replication: ReplicationOption = 1,
    broker: BrokerOption = None,
) -> None:
    """Say which topics are missing or not as they should be, and change nothing.

    Exit code 1 when there is a difference. Example: diastole topics diff --replication 3
    """
    if _compare(prepared(broker=broker, partitions=partitions), replication, alter=False):
        raise typer.Exit(code=1)


def _compare(settings: Settings, replication: int, *, alter: bool) -> int:
    from ops.topic_diff import compare_topics
    from ops.topics import topic_specs

    specs = topic_specs(settings.partitions, replication)
    found = run(compare_topics(settings.kafka, specs, alter=alter))
    for each in found:
        done = "altered " if alter and each.can_be_altered else ""
        out().print(f"{done}{each.says}", markup=False, soft_wrap=True)
    if not found:
        out().print("every topic is as it should be", highlight=False)
    elif not alter:
        can = "; diastole topics apply --alter sets right what can be" if _can_be_mended(found) else ""
        out().print(f"{counted(len(found), 'difference')}{can}", highlight=False)
    return len(found)


def _can_be_mended(found: "Sequence[Difference]") -> bool:
    return any(each.can_be_altered or not each.setting for each in found)
