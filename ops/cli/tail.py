"""``diastole tail``: look into a topic."""

from typing import Annotated

import typer

from ops.cli.setup import BrokerOption, prepared, run
from streams.assembly import build_codec
from streams.settings import Settings


def tail(
    topic: Annotated[
        str, typer.Argument(help="ecg.recorded.v1, ecg.risk.v1, ecg.alert.v1 … or one with .dlq.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    arrays: Annotated[
        bool, typer.Option("--arrays", help="With --json: samples too, not only their shape.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="All there is, then what comes.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
    broker: BrokerOption = None,
) -> None:
    """Print what arrives on a topic, until Ctrl-C.

    It joins no consumer group and changes nothing. It prints patient identifiers as the records carry them.

    Example: diastole tail ecg.alert.v1 --from-beginning --json
    """
    settings = prepared(broker=broker)
    run(_tail(topic, settings, as_json=as_json, arrays=arrays, from_beginning=from_beginning, count=count))


async def _tail(
    topic: str, settings: Settings, *, as_json: bool, arrays: bool, from_beginning: bool, count: int | None
) -> None:
    # Imported here: Kafka's client takes a third of a second, which other commands need not wait.
    from ops.rendering import json_line, text_line
    from ops.topic_reader import open_topic_reader

    printed = 0
    reading = open_topic_reader(settings.kafka, [topic], build_codec(settings), from_beginning=from_beginning)
    async with reading as reader:
        async for seen in reader:
            typer.echo(json_line(seen, with_arrays=arrays) if as_json else text_line(seen))
            printed += 1
            if count is not None and printed >= count:
                return
