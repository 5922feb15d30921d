"""The health endpoint: /healthz (alive), /readyz (doing its work), /metrics (Prometheus)."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from schemas.errors import ConfigurationError

_STATUS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a worker says of itself.

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
    """

    stage: str
    assigned: bool
    held_up_by: str | None
    in_flight: int
    idle_s: float
    stalled: bool

    @property
    def ready(self) -> bool:
        """Whether records given to this worker come out."""
        return self.assigned and self.held_up_by is None and not self.stalled


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
    return json.dumps({**asdict(health), "ready": health.ready}).encode()


def _http(status: int, content_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
