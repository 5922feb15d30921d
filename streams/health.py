"""The health endpoint: /healthz (alive), /readyz (doing its work), /metrics (Prometheus).

It is answered by the event loop that does the work, so that a process that stands still answers nothing.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from schemas.errors import ConfigurationError
from streams.health_words import advice
from streams.stage import Scoring

_STATUS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}

_VERSION: Final = version("diastole")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a process says of itself.

    Attributes
    ----------
    assigned : bool
        Whether it has partitions, or the group leaves none for it, and streams flow.
    held_up_by : str or None
        Code of the error it waits out.
    in_flight : int
        Messages admitted and not acknowledged.
    idle_s : float
        Seconds since it last finished something or had nothing to do.
    lag : int or None
        Messages not committed on its partitions; None where it has none, or before it first looked.
    wait_s : float
        How long the newest message in flight has waited since Kafka took it, s.
    behind_after_s : float or None
        A longer wait means it is behind, s; None where nothing waits.
    last_result_age_s : float or None
        Seconds since it last finished something; None before the first.
    scoring : Scoring
        Its device, and its bundle where it has one.
    ill : tuple of str
        What it watches and is not well, one sentence each.
    """

    stage: str
    assigned: bool
    held_up_by: str | None
    in_flight: int
    idle_s: float
    stalled: bool
    lag: int | None = None
    wait_s: float = 0.0
    behind_after_s: float | None = None
    last_result_age_s: float | None = None
    scoring: Scoring = field(default_factory=Scoring)
    ill: tuple[str, ...] = ()

    @property
    def behind(self) -> bool:
        """Whether records wait too long here."""
        return self.behind_after_s is not None and self.wait_s > self.behind_after_s

    @property
    def ready(self) -> bool:
        """Whether records given to this process come out, and in time."""
        works = self.assigned and self.held_up_by is None and not self.stalled
        return works and not self.behind and not self.ill

    def told(self) -> dict[str, Any]:
        """Write it as the endpoint does, for JSON."""
        return {
            "stage": self.stage,
            "ready": self.ready,
            "why": advice(self),
            "assigned": self.assigned,
            "held_up_by": self.held_up_by,
            "in_flight": self.in_flight,
            "idle_s": self.idle_s,
            "stalled": self.stalled,
            "lag": self.lag,
            "wait_s": self.wait_s,
            "behind": self.behind,
            "last_result_age_s": self.last_result_age_s,
            "ill": list(self.ill),
            "device": self.scoring.device,
            "version": _VERSION,
            "bundle_version": self.scoring.bundle_version,
            "bundle_sha256": self.scoring.bundle_sha256,
        }


def rounded(seconds: float | None) -> float | None:
    """Round to tenths what may not be known.

    >>> rounded(1.26), rounded(None)
    (1.3, None)
    """
    return None if seconds is None else round(seconds, 1)


async def serve_health(
    host: str, port: int, health: Callable[[], Health], registry: CollectorRegistry
) -> asyncio.Server:
    """Serve on ``host:port`` (0: a free one) until the server is closed.

    Raises
    ------
    ConfigurationError
        When that address cannot be served on: taken by another process, or not one of this machine.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await asyncio.wait_for(reader.readline(), 5)).decode("ascii", "replace").split()
            path = request[1] if len(request) > 1 else ""
            writer.write(_response(path, health(), registry))
            await writer.drain()
        except (TimeoutError, ConnectionError):
            return
        finally:
            writer.close()

    try:
        return await asyncio.start_server(answer, host, port)
    except OSError as error:
        raise ConfigurationError(
            f"health cannot be served at {host}:{port} ({type(error).__name__} {error.errno}); "
            "free it, or change DIASTOLE_METRICS_HOST or DIASTOLE_METRICS_PORT"
        ) from None


def _response(path: str, health: Health, registry: CollectorRegistry) -> bytes:
    if path == "/metrics":
        return _http(200, CONTENT_TYPE_LATEST, generate_latest(registry))
    if path == "/healthz":
        return _http(503 if health.stalled else 200, "application/json", _described(health))
    if path == "/readyz":
        return _http(200 if health.ready else 503, "application/json", _described(health))
    return _http(404, "text/plain", b"/healthz /readyz /metrics\n")


def _described(health: Health) -> bytes:
    return json.dumps(health.told()).encode()


def _http(status: int, content_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
