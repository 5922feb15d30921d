import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import ConfigurationError
from streams.health import Health, serve_health
from streams.metrics import StageMetrics
from streams.progress import Progress
from streams.stage import Scoring

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
        ({"wait_s": 60.1, "behind_after_s": 60.0}, 200, 503),
        ({"wait_s": 60.0, "behind_after_s": 60.0}, 200, 200),
        ({"wait_s": 9e9}, 200, 200),
        ({"ill": ("infer does not answer",)}, 200, 503),
    ],
)
async def test_health_says_what_is_wrong(change: dict[str, object], healthz: int, readyz: int) -> None:
    health = replace(WELL, **change)  # type: ignore[arg-type]
    assert (await get("/healthz", health))[0] == healthz
    status, body = await get("/readyz", health)
    assert status == readyz
    assert json.loads(body)["held_up_by"] == health.held_up_by


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "nothing to do"),
        ({"assigned": False}, "see its log"),
        ({"held_up_by": "BROKER_UNREACHABLE"}, "start it, or set DIASTOLE_BROKER"),
        ({"held_up_by": "NEVER_HEARD_OF"}, "NEVER_HEARD_OF, of which its log says more"),
        ({"stalled": True, "in_flight": 3, "idle_s": 120.0}, "held 3 records for 120 s"),
        ({"wait_s": 75.0, "behind_after_s": 60.0}, "wait 75 s: start another worker"),
        ({"ill": ("infer does not answer", "history is behind")}, "infer does not answer; history is behind"),
    ],
)
async def test_health_says_why_and_what_to_do(change: dict[str, object], said: str) -> None:
    _, body = await get("/readyz", replace(WELL, **change))  # type: ignore[arg-type]
    assert said in json.loads(body)["why"]


async def test_health_knows_lag_age_device_and_bundle() -> None:
    scoring = Scoring(device="cuda:0 Some GPU", bundle_version="b1", bundle_sha256="ab" * 32)
    _, body = await get("/healthz", replace(WELL, lag=7, last_result_age_s=1.5, scoring=scoring))
    told = json.loads(body)
    assert (told["lag"], told["last_result_age_s"]) == (7, 1.5)
    assert told["device"] == "cuda:0 Some GPU"
    assert (told["bundle_version"], told["bundle_sha256"]) == ("b1", "ab" * 32)
    assert told["version"]


def test_a_worker_waits_as_long_as_the_newest_it_holds_and_not_at_all_without_any() -> None:
    now_s = 100.0
    progress = Progress(lambda: now_s)
    published = datetime(2026, 3, 1, tzinfo=UTC)
    assert progress.wait_s(published) == 0.0
    progress.admitted(published)
    assert progress.wait_s(published + timedelta(seconds=90)) == 90.0
    assert progress.wait_s(published - timedelta(seconds=90)) == 0.0
    assert progress.done_age_s() is None
    progress.acknowledged()
    now_s = 103.0
    assert progress.wait_s(published + timedelta(seconds=90)) == 0.0
    assert progress.done_age_s() == 3.0


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
