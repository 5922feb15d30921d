"""``diastole topics``: make the topics, say where they differ, and who needs which right."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ops.cli.console import out
from ops.cli.setup import BrokerOption, prepared, run
from ops.rendering import counted
from schemas.errors import ConfigurationError
from streams.settings import Settings

if TYPE_CHECKING:
    from ops.topic_diff import Difference

app = typer.Typer(help="Create the topics on the broker, and compare them.", no_args_is_help=True)

PartitionsOption = Annotated[
    int | None, typer.Option(min=1, help="Of every topic; default DIASTOLE_PARTITIONS.")
]
ReplicationOption = Annotated[int, typer.Option(min=1, help="Copies of every topic; 3 on a real cluster.")]


class RightsForm(Enum):
    """How rights are written."""

    table = "table"
    kafka_acls = "kafka-acls"
    redis_acl = "redis-acl"


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


@app.command("rights")
def rights(
    stage: Annotated[
        str | None,
        typer.Option("--stage", help="Of one part: infer, feed-http, api …; default all."),
    ] = None,
    form: Annotated[
        RightsForm, typer.Option("--format", help="For people, for Kafka's tool, or for Redis's ACL file.")
    ] = RightsForm.table,
    broker: BrokerOption = None,
) -> None:
    """Say which rights at Kafka and Redis each part needs, and print the lines that grant them.

    Nothing is granted: the lines are for whoever may. Example: diastole topics rights --format kafka-acls
    """
    from ops.access_lines import kafka_acls, redis_acl, rights_rows
    from ops.access_rules import access_rules

    rules = access_rules()
    if stage is not None and stage not in rules:
        raise ConfigurationError(f"no part {stage!r}; there are {', '.join(rules)}")
    parts = [rules[stage]] if stage is not None else list(rules.values())
    if form is RightsForm.table:
        _print_rights(rights_rows(parts))
        return
    server = prepared(broker=broker).broker
    lines = redis_acl(parts) if form is RightsForm.redis_acl else kafka_acls(parts, server)
    for line in lines:
        out().print(line, markup=False, highlight=False, soft_wrap=True)


def _print_rights(rows: Sequence[tuple[str, str, str]]) -> None:
    table = Table("part", "may", "on", box=None)
    for row in rows:
        table.add_row(*row)
    out().print(table)


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
