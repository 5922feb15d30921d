"""What our own use of the Kafka clients leaves open, logs, and says when they end."""

import asyncio
import gc
import logging
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from schemas.errors import ConfigurationError, RetriableError
from streams.adapters.kafka_app import TransportFailedError, build_app
from streams.adapters.kafka_probe import KafkaProbe
from streams.adapters.kafka_state import KafkaState
from streams.logs import configure_logs
from streams.message import Transport
from streams.settings import Settings

NOWHERE = "127.0.0.1:1"


class NoTransport(Transport):
    """Restoring sends nothing."""


async def test_a_state_that_cannot_be_restored_leaves_no_client_open() -> None:
    state = KafkaState(NOWHERE, "states", NoTransport())
    with pytest.raises(RetriableError):
        await state.restore({0})
    gc.collect()  # an open client warns when it is collected, and a warning fails the test


async def test_a_broker_that_is_not_there_leaves_no_client_open() -> None:
    probe = KafkaProbe(NOWHERE, "toys")
    with pytest.raises(RetriableError):
        await probe.require_topics(["in"])
    gc.collect()


def test_the_clients_stay_silent_at_every_level_for_they_quote_keys() -> None:
    configure_logs("json", "debug")
    try:
        assert not any(logging.getLogger(name).isEnabledFor(logging.ERROR) for name in ("aiokafka", "faust"))
    finally:
        configure_logs()


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (ConfigurationError("the registry refused"), ConfigurationError),
        (AttributeError("x"), AttributeError),
        (KafkaConnectionError(), TransportFailedError),
    ],
)
async def test_what_taking_a_message_in_raised_keeps_its_name(
    reason: Exception, said: type[Exception], tmp_path: Path
) -> None:
    async def on_event(event: object) -> None:
        return None

    app = build_app("toys", "in", on_event, Settings(home=tmp_path, broker=NOWHERE))
    ended = asyncio.create_task(app.until_ended(asyncio.Event()))
    await app.crash(reason)
    with pytest.raises(said):
        await asyncio.wait_for(ended, 10)
