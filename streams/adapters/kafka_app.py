"""The Faust app of one stage, built in a factory so that importing starts nothing.

Every setting that is not Faust's default says what the default would do.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.exceptions import ConsumerNotStarted, FaustError
from mode.exceptions import MaxRestartsExceeded
from mode.supervisors import CrashingSupervisor

from schemas.errors import DiastoleError
from streams.access import KafkaAccess
from streams.adapters.header_names import bear_any_header_name
from streams.adapters.prompt_fetch import PromptTransport
from streams.settings import Settings

#: Handles one fetched Faust event; returns when there is room for the next.
OnEvent = Callable[[Any], Awaitable[None]]


#: What the Kafka client itself ends with; anything else was raised by what handles its messages.
_KAFKA_TROUBLE = (FaustError, KafkaError, OSError, MaxRestartsExceeded)


class TransportFailedError(DiastoleError):
    """Faust gave up; a fresh process may do better."""

    code = "TRANSPORT_FAILED"


class StageApp(faust.App):
    """A Faust app that tells its stage the moment partitions begin to be taken away.

    Faust's own signal for that is sent only after it has waited for everything in flight, without a limit; a
    stage that is held up by an unreachable Redis would hold up the whole group.

    Attributes
    ----------
    on_rebalance_begins : callable or None
        Called in the event loop before Faust clears its buffers: messages from these still follow.
    on_rebalance_done : callable or None
        Called in the event loop before the first message of the new assignment is fetched.
    """

    on_rebalance_begins: Callable[[], None] | None = None
    on_rebalance_done: Callable[[], None] | None = None

    def on_rebalance_start(self) -> None:
        """Tell the stage; Faust calls this in the consumer's thread."""
        super().on_rebalance_start()
        if self.on_rebalance_begins is not None:
            self.loop.call_soon_threadsafe(self.on_rebalance_begins)

    @property
    def flows(self) -> bool:
        """Whether the group has settled and messages are being fetched."""
        return bool(self.started and not self.rebalancing and self.flow_control.is_active())

    def known_ends(self, topic: str) -> dict[int, int]:
        """Partitions of one topic that this worker owns now, each with the end it last saw when fetching."""
        try:
            owned = [tp for tp in self.consumer.assignment() if tp.topic == topic]
        except ConsumerNotStarted:
            return {}
        return {tp.partition: self.consumer.highwater(tp) or 0 for tp in owned}

    def forget_all(self) -> None:
        """Stop waiting for messages that are not acknowledged; without this, Faust's stop waits without end.

        Their offsets stay uncommitted, so they are fetched again by whoever gets their partitions.
        """
        try:
            self.consumer.unacked.clear()
        except ConsumerNotStarted:
            return

    def forget_unacknowledged(self) -> None:
        """Make stopping wait for no message: Faust would wait for each without a limit."""
        with suppress(ConsumerNotStarted):
            self.consumer.unacked.clear()

    async def until_ended(self, stop: asyncio.Event) -> None:
        """Return when ``stop`` is set.

        Raises
        ------
        TransportFailedError
            When the app ended by itself.
        Exception
            What taking a message in raised, under its own name.
        """
        if await self.wait_for_stopped(stop.wait()):
            if isinstance(self.crash_reason, Exception) and not isinstance(self.crash_reason, _KAFKA_TROUBLE):
                raise self.crash_reason
            reason = type(self.crash_reason).__name__ if self.crash_reason else "stopped by itself"
            raise TransportFailedError(f"the Kafka client ended ({reason}); the supervisor should restart")


def build_app(group: str, consumes: str, on_event: OnEvent, settings: Settings) -> StageApp:
    """Build the app that hands every message of one topic, undecoded, to ``on_event``.

    Nothing is acknowledged by Faust itself: the stage does it once everything a message caused is durable.
    """
    bear_any_header_name()
    app = StageApp(group, **_configuration(settings))
    app.transport = PromptTransport(app.conf.broker_consumer, app)
    topic = app.topic(
        consumes, key_serializer="raw", value_serializer="raw", value_type=bytes, key_type=bytes
    )

    @app.agent(topic, concurrency=1, supervisor_strategy=CrashingSupervisor, name=f"{group}-intake")
    async def intake(stream: Any) -> None:
        async for event in stream.noack().events():
            await on_event(event)

    @app.on_rebalance_complete.connect
    async def resume(*_: Any, **__: Any) -> None:
        if app.on_rebalance_done is not None:
            app.on_rebalance_done()

    app.loop = asyncio.get_running_loop()
    app.finalize()
    return app


def _credentials(access: KafkaAccess) -> Credentials | None:
    context = access.ssl_context()
    if access.has_sasl:
        options = access.client_options()
        return SASLCredentials(
            mechanism=access.mechanism,
            username=access.user,
            password=options["sasl_plain_password"],
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)


def _configuration(settings: Settings) -> dict[str, Any]:
    datadir = settings.home / "faust"
    datadir.mkdir(parents=True, exist_ok=True)
    return {
        "broker": [f"kafka://{server}" for server in settings.broker.split(",")],
        "broker_credentials": _credentials(settings.kafka),
        "datadir": datadir,
        "store": "memory://",
        "autodiscover": False,
        "web_enabled": False,  # on by default, on port 6066; our own health endpoint tells the truth
        "web_tables_enabled": False,
        "topic_allow_declare": False,  # topics are made by `ops`, with the right partitions and clean-up
        "topic_disable_leader": True,  # otherwise one more topic per app
        "topic_partitions": settings.partitions,
        "stream_buffer_maxsize": settings.stream_buffer_items,  # 4096 by default: 0.5 GB of ECGs
        "stream_wait_empty": True,  # revoke only when what is being worked on has ended
        "stream_publish_on_commit": False,
        "broker_commit_interval": settings.commit_every_s,  # 2.8 s by default
        "broker_commit_every": 1000,
        "broker_request_timeout": 90.0,  # above the rebalance timeout: joining waits that long
        "broker_session_timeout": settings.session_timeout_s,  # 60 s by default
        "broker_heartbeat_interval": settings.session_timeout_s / 5,
        "broker_rebalance_timeout": 60.0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": max(4 * 2**20, settings.max_record_bytes + 2**16),
        "consumer_connections_max_idle_ms": 540_000,
        "producer_acks": -1,
        "producer_linger": 0.0,  # batches form by themselves while a request is under way
        "producer_max_batch_size": 2**20,  # 16 kB by default: every waveform would go alone
        # Above every topic's limit, so that Kafka is the one to say what is too large.
        "producer_max_request_size": max(16 * 2**20, 2 * settings.max_record_bytes),
        "producer_request_timeout": 30.0,  # 1200 s by default: a lost broker would go unnoticed
        "logging_config": {"version": 1, "disable_existing_loggers": False},
        "loghandlers": [],
    }
