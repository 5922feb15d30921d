"""A limit in time, a line in the log and a count around every channel, none with anything of a patient.

==================================  =========  =================  ===========================================
name                                kind       labels             what
==================================  =========  =================  ===========================================
diastole_notice_seconds             histogram  channel, outcome   handed over → taken, or not
==================================  =========  =================  ===========================================

``outcome`` is TAKEN, CANCELLED, FAILED or an error's code; those that an alert is over are among them. Of the
deliveries that the audit has, ``diastole_deliver_attempts_total`` tells.
"""

import asyncio
import time
from collections.abc import Awaitable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Histogram

from streams.deliver.channels.channel import (
    Channel,
    ChannelRefusedError,
    ChannelRetryError,
    RetractingChannel,
)
from streams.deliver.channels.notice import Notice

log = structlog.get_logger()

#: Ends of a notice beside the codes of :mod:`streams.deliver.channels.channel`; FAILED is a defect of ours.
TAKEN: Final = "TAKEN"
CANCELLED: Final = "CANCELLED"
FAILED: Final = "FAILED"

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ChannelMetrics:
    """The metrics of all channels."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._seconds = Histogram(
            "diastole_notice_seconds",
            "Time to hand over, by how it ended",
            ("channel", "outcome"),
            registry=self.registry,
            buckets=_SECONDS,
        )

    def count(self, channel: str, outcome: str, seconds: float) -> None:
        """Count one notice."""
        self._seconds.labels(channel, outcome).observe(seconds)


class GuardedChannel:
    """Another channel, bounded in time, logged and counted."""

    def __init__(self, channel: Channel, timeout_s: float, metrics: ChannelMetrics) -> None:
        self._channel = channel
        self._timeout_s = timeout_s
        self._metrics = metrics

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._channel.name

    async def send(self, notice: Notice, key: str) -> None:
        """Send within the time there is; see :meth:`streams.deliver.channels.channel.Channel.send`."""
        await self._watched(self._channel.send(notice, key), notice, "send")

    async def _watched(self, work: Awaitable[None], notice: Notice, verb: str) -> None:
        began, outcome = time.monotonic(), FAILED
        try:
            await self._bounded(work)
            outcome = TAKEN
        except asyncio.CancelledError:
            outcome = CANCELLED
            raise
        except (ChannelRetryError, ChannelRefusedError) as error:
            outcome = error.code
            raise
        finally:
            seconds = time.monotonic() - began
            self._metrics.count(self.name, outcome, seconds)
            log.info(
                "notice",
                channel=self.name,
                verb=verb,
                step=notice.level,
                outcome=outcome,
                s=round(seconds, 3),
            )

    async def _bounded(self, work: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await work
        except TimeoutError:
            raise ChannelRetryError(
                f"{self.name} did not answer within {self._timeout_s:g} s; it is asked again later"
            ) from None


class GuardedRetractingChannel(GuardedChannel):
    """The same around a channel that can also say that an alert is over."""

    def __init__(self, channel: RetractingChannel, timeout_s: float, metrics: ChannelMetrics) -> None:
        super().__init__(channel, timeout_s, metrics)
        self._retracting = channel

    async def retract(self, notice: Notice, key: str) -> None:
        """Say so within the time there is."""
        await self._watched(self._retracting.retract(notice, key), notice, "retract")


def guarded(channel: Channel, timeout_s: float, metrics: ChannelMetrics) -> GuardedChannel:
    """Put a guard around a channel; it retracts when the channel does."""
    if isinstance(channel, RetractingChannel):
        return GuardedRetractingChannel(channel, timeout_s, metrics)
    return GuardedChannel(channel, timeout_s, metrics)
