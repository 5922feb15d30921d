"""Fresh servers to measure on, and what workers must be told to find them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.services import BrokerKind, RunningBroker, RunningRedis, start_broker, start_redis
from ops.topics import apply_topics
from ops.worker_processes import WORKER_ENVIRONMENT

#: As many as by default: what one worker of a stage and two of it can share.
PARTITIONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A broker with all topics, a Redis, and the environment of workers on them."""

    broker: RunningBroker
    redis: RunningRedis
    environment: Mapping[str, str]


@asynccontextmanager
async def fresh_stack(
    home: Path, kind: BrokerKind = "apache", partitions: int = PARTITIONS
) -> AsyncIterator[Stack]:
    """Start empty servers below ``home``, make the topics, and stop the servers at the end.

    Raises
    ------
    ServiceError
        When a server does not start.
    """
    with ExitStack() as servers:
        broker = servers.enter_context(start_broker(kind, home))
        redis = servers.enter_context(start_redis(home))
        await apply_topics(broker.bootstrap, partitions)
        environment = {
            **WORKER_ENVIRONMENT,
            "DIASTOLE_BROKER": broker.bootstrap,
            "DIASTOLE_REDIS_URL": redis.url,
            "DIASTOLE_HOME": str(home),
            "DIASTOLE_PARTITIONS": str(partitions),
        }
        yield Stack(broker=broker, redis=redis, environment=environment)
