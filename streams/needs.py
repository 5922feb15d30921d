"""What a stage needs before it can run: Kafka, its topics, and whatever its own start asks for."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from schemas.errors import DiastoleError
from streams.adapters.kafka_probe import KafkaProbe
from streams.retry import GivenUpError, Retrying
from streams.rights import route_rights
from streams.stage import Stage
from streams.topology import Route


class StartUnfinishedError(DiastoleError):
    """The worker was told to stop and something that starts does not end."""

    code = "START_UNFINISHED"


async def await_needs(
    stage: Stage[Any],
    route: Route,
    probe: KafkaProbe,
    retrying: Retrying,
    stop: asyncio.Event,
    budget_s: float,
) -> bool:
    """Wait until everything is there; False when ``stop`` was set before that.

    Faust itself would print a traceback for each of these and end.

    Parameters
    ----------
    budget_s : float
        Once ``stop`` is set, longest time for what is being tried to end.

    Raises
    ------
    ConfigurationError
        When waiting will not help.
    StartUnfinishedError
        When the budget did not suffice; the thread of whatever was tried may still run.
    """
    needs = asyncio.create_task(_needs(stage, route, probe, retrying, stop))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({needs, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not needs.done():
        retrying.give_up()
        await asyncio.wait({needs}, timeout=budget_s)
    if not needs.done():
        needs.cancel()
        raise StartUnfinishedError(f"told to stop, and starting has not ended in {budget_s:.0f} s")
    try:
        await needs
    except GivenUpError:
        return False
    return not stop.is_set()


async def _needs(
    stage: Stage[Any], route: Route, probe: KafkaProbe, retrying: Retrying, stop: asyncio.Event
) -> None:
    named = (route.consumes, route.dead_letters, route.produces, route.remembers)
    topics = [topic for topic in named if topic is not None]
    steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        # First, since Kafka hides the topics on which we have no right at all.
        ("connect", partial(probe.require_rights, route_rights(route))),
        ("connect", partial(probe.require_topics, topics)),
    ]
    if route.remembers is not None:
        same = partial(probe.require_equal_partitions, route.remembers, beside=route.consumes)
        steps.append(("connect", same))
        steps.append(("connect", partial(probe.require_compacted, route.remembers)))
    steps.append(("start", stage.start))
    for what, attempt in steps:
        if stop.is_set():
            # Told while the step before was under way, which then succeeded.
            raise GivenUpError
        await retrying.until_done(what, attempt)
