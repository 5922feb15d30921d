"""Judgements of Redis: what it would forget, and whether it can still be written."""

from collections.abc import Iterator
from typing import Final

from ops.doctor.facts import Missed, RedisFacts
from ops.doctor.finding import Finding, failure, ok, warning

#: Below, commands are missing that the history's scripts use; the embedded one has 6.2.
_OLDEST: Final = (6, 2)
_NEARLY_FULL: Final = 0.85

_REBUILD: Final = "diastole history rebuild makes the history anew from ecg.risk.v1"


def redis_findings(redis: RedisFacts | Missed | None) -> Iterator[Finding]:
    """Judge what Redis tells of itself; alerts need none of it."""
    if redis is None:
        return
    if isinstance(redis, Missed):
        do = (
            "start it, or correct DIASTOLE_REDIS_URL; meanwhile alerts are raised, and the history catches "
            "up when it is back"
        )
        yield failure("redis", redis.reason, do, is_configuration=redis.is_configuration)
        return
    yield _version(redis)
    if redis.role != "master":
        do = "set DIASTOLE_REDIS_URL to the one that takes writes"
        yield failure("redis", f"it is a {redis.role}, which takes no writes", do, is_configuration=True)
    yield _eviction(redis)
    if redis.max_memory_bytes and redis.used_bytes > _NEARLY_FULL * redis.max_memory_bytes:
        share = redis.used_bytes / redis.max_memory_bytes
        do = "raise maxmemory, or keep less: DIASTOLE_HISTORY_MAX_POINTS, DIASTOLE_STRIPS_PER_PATIENT"
        yield warning("redis memory", f"{share:.0%} of maxmemory are used", do)
    yield _persistence(redis)


def _version(redis: RedisFacts) -> Finding:
    said = f"Redis {redis.version} answers in {redis.latency_ms:.1f} ms"
    parts = redis.version.split(".")[:2]
    known = tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else _OLDEST
    if known < _OLDEST:
        return failure("redis", said, "bring it to 7 or newer: commands the history needs are missing")
    return ok("redis", said)


def _eviction(redis: RedisFacts) -> Finding:
    limit = (
        f"maxmemory {redis.max_memory_bytes / 2**20:.0f} MiB" if redis.max_memory_bytes else "no maxmemory"
    )
    said = f"{redis.eviction_policy}, {limit}"
    do = (
        f"set maxmemory-policy to noeviction: when Redis is full it would drop patients' histories and tell "
        f"nobody; what is gone by then: {_REBUILD}"
    )
    if redis.eviction_policy == "noeviction":
        return ok("redis memory", said)
    return failure("redis memory", said, do) if redis.max_memory_bytes else warning("redis memory", said, do)


def _persistence(redis: RedisFacts) -> Finding:
    if redis.last_save_failed:
        do = "see its log and disk; until it can save, Redis may refuse writes"
        return failure("redis disk", "its last save failed", do)
    if not redis.is_persistent:
        do = f"set appendonly yes, or know that after its restart {_REBUILD}"
        return warning("redis disk", "it keeps nothing on disk", do)
    return ok("redis disk", "what it holds is on disk too")
