"""Facts of Redis: three questions, nothing written."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ops.doctor.facts import Missed, RedisFacts
from schemas.errors import ConfigurationError
from streams.access import RedisPlace, redis_access
from streams.adapters.redis_trouble import redis_reason, redis_refusal
from streams.stage import UtcClock

_WITHIN_S: Final = 5.0


async def redis_facts(place: RedisPlace, now: UtcClock) -> RedisFacts | Missed:
    """Ask Redis of itself, for at most five seconds.

    Its clock is compared with ours in the middle of the question, so the difference is right to half of the
    time the answer took.
    """
    access = redis_access(place)
    try:
        options = access.client_options()
        async with asyncio.timeout(_WITHIN_S), Redis.from_url(access.url, **options) as client:
            await client.ping()
            begun_s, asked_at = time.monotonic(), now()
            seconds, microseconds = await client.time()
            took_s = time.monotonic() - begun_s
            ahead_s = seconds + microseconds / 1e6 - (asked_at.timestamp() + took_s / 2)
            told: Mapping[str, Any] = await client.info()
    except ConfigurationError as error:
        return Missed(reason=str(error), is_configuration=True)
    except (RedisError, OSError, TimeoutError) as error:
        refusal = redis_refusal(error, access)
        reason = refusal or f"no answer from {access} ({redis_reason(error)})"
        return Missed(reason=reason, is_configuration=refusal is not None)
    return _facts(told, latency_ms=1000 * took_s, ahead_s=ahead_s)


def _facts(told: Mapping[str, Any], *, latency_ms: float, ahead_s: float) -> RedisFacts:
    return RedisFacts(
        version=str(told.get("redis_version", "?")),
        latency_ms=latency_ms,
        clock_ahead_s=ahead_s,
        role=str(told.get("role", "master")),
        used_bytes=int(told.get("used_memory", 0)),
        max_memory_bytes=int(told.get("maxmemory", 0)),
        eviction_policy=str(told.get("maxmemory_policy", "noeviction")),
        # Redis does not tell its rule of saving without a right to its settings; that it saved, it does.
        is_persistent=bool(told.get("aof_enabled")) or int(told.get("rdb_saves", 0)) > 0,
        last_save_failed="err" in (told.get("rdb_last_bgsave_status"), told.get("aof_last_write_status")),
    )
