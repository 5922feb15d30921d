import asyncio
import json
from dataclasses import replace

import pytest

from schemas.errors import ConfigurationError
from streams.health import Health, serve_health
from streams.metrics import StageMetrics

WELL = Health(stage="toy", assigned=True, held_up_by=None, in_flight=0, idle_s=0.0, stalled=False)


async def get(path: str, health: Health) -> tuple[int, str]:
    server = await serve_health("127.0.0.1", 0, lambda: health, StageMetrics("toy").registry)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = (await asyncio.wait_for(reader.read(), 5)).decode()
        writer.close()
        await writer.wait_closed()
    finally:
        server.close()
        await server.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("change", "healthz", "readyz"),
    [
        ({}, 200, 200),
        ({"assigned": False}, 200, 503),
        ({"held_up_by": "HISTORY_UNAVAILABLE"}, 200, 503),
        ({"stalled": True}, 503, 503),
    ],
)
async def test_health_says_what_is_wrong(change: dict[str, object], healthz: int, readyz: int) -> None:
    health = replace(WELL, **change)  # type: ignore[arg-type]
    assert (await get("/healthz", health))[0] == healthz
    status, body = await get("/readyz", health)
    assert status == readyz
    assert json.loads(body)["held_up_by"] == health.held_up_by


async def test_metrics_are_those_of_the_stage() -> None:
    status, body = await get("/metrics", WELL)
    assert status == 200
    assert 'diastole_records_in_total{stage="toy"} 0.0' in body


async def test_other_paths_are_told_what_there_is() -> None:
    assert await get("/", WELL) == (404, "/healthz /readyz /metrics\n")


async def test_a_port_that_is_taken_is_the_operators_matter() -> None:
    metrics = StageMetrics("toy").registry
    first = await serve_health("127.0.0.1", 0, lambda: WELL, metrics)
    port = first.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port} .*DIASTOLE_METRICS_PORT"):
            await serve_health("127.0.0.1", port, lambda: WELL, metrics)
    finally:
        first.close()
        await first.wait_closed()
