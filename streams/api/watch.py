"""Whether the read API is ready, looked at every few seconds, for the metrics port and its gauges."""

import asyncio
from typing import Final

import structlog

from streams.api.api_metrics import ApiMetrics
from streams.api.app import what_is_missing
from streams.api.services import Services
from streams.health import Health

log = structlog.get_logger()

STAGE: Final = "api"

_LOOK_EVERY_S: Final = 2.0


class ReadyWatch:
    """Remembers what was missing when it was last looked at."""

    def __init__(self, services: Services, metrics: ApiMetrics) -> None:
        self._services, self._metrics = services, metrics
        self._missing: list[str] = []

    async def run(self) -> None:
        """Look until cancelled; says in the log when something is missing, or there again."""
        while True:
            missing = await what_is_missing(self._services)
            if missing != self._missing:
                log.warning("api_not_ready", missing=missing) if missing else log.info("api_ready")
            self._missing = missing
            self._metrics.book_behind.set(self._services.book.behind_s)
            await asyncio.sleep(_LOOK_EVERY_S)

    def health(self) -> Health:
        """Say how it stands, as workers do."""
        return Health(
            stage=STAGE,
            assigned=True,
            held_up_by=",".join(self._missing).upper() or None,
            in_flight=0,
            idle_s=0.0,
            stalled=False,
        )
