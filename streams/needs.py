"""What a stage needs before it can run: Kafka, its topics, and whatever its own start asks for."""

import asyncio
from functools import partial
from typing import Any

from streams.adapters.kafka_probe import KafkaProbe
from streams.retry import GivenUpError, Retrying
from streams.stage import Stage
from streams.topology import Route, dead_letter_topic


async def await_needs(
    stage: Stage[Any], route: Route, probe: KafkaProbe, retrying: Retrying, stop: asyncio.Event
) -> bool:
    """Wait until everything is there; False when ``stop`` was set before that.

    Faust itself would print a traceback for each of these and end.

    Raises
    ------
    ConfigurationError
        When waiting will not help.
    """
    needs = asyncio.create_task(_needs(stage, route, probe, retrying))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({needs, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not needs.done():
        retrying.give_up()
    try:
        await needs
    except GivenUpError:
        return False
    return not stop.is_set()


async def _needs(stage: Stage[Any], route: Route, probe: KafkaProbe, retrying: Retrying) -> None:
    named = (route.consumes, dead_letter_topic(route.consumes), route.produces, route.remembers)
    topics = [topic for topic in named if topic is not None]
    await retrying.until_done("connect", partial(probe.require_topics, topics))
    if route.remembers is not None:
        same = partial(probe.require_equal_partitions, route.remembers, beside=route.consumes)
        await retrying.until_done("connect", same)
    await retrying.until_done("start", stage.start)
