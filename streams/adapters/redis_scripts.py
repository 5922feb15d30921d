"""Lua scripts on Redis, be it one server or a cluster: whichever answers at the address decides.

On one server a batch of calls is one round trip. The client of a cluster puts no scripts into a pipeline, so
there the calls go one by one, each to the node that owns its keys: a batch of 32 patients takes some 10 ms.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, NoScriptError, RedisClusterException, RedisError

from streams.access import RedisAccess

#: One script call: its text, its keys (on a cluster all of one slot), its arguments.
Call = tuple[str, tuple[str, ...], list[Any]]

#: Whatever a Redis that does not serve makes of a call.
REDIS_TROUBLE: Final = (RedisError, RedisClusterException, OSError)


class RedisScripts:
    """Runs scripts at one address; connected to on first use.

    Parameters
    ----------
    access : RedisAccess
        Of a cluster, any of its nodes.
    """

    def __init__(self, access: RedisAccess, timeout_s: float) -> None:
        self._url = access.url
        # One immediate second try renews a connection that died unused; waiting is the caller's matter.
        self._options: dict[str, Any] = {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 1),
            **access.client_options(),
        }
        self._single: Redis = Redis.from_url(self._url, **self._options)
        self._cluster: RedisCluster | None = None
        self._is_known = False

    async def ping(self) -> None:
        """Return when Redis answers; raises one of :data:`REDIS_TROUBLE` when it does not."""
        await self._find_out()
        await (self._cluster or self._single).ping()

    async def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run calls and return their replies in order; servers that do not know a script are taught it first.

        Raises
        ------
        RedisError, RedisClusterException, OSError
            Some calls may have been done.
        """
        await self._find_out()
        replies = await self._evaluate(calls)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            for text in sorted({text for text, _, _ in calls}):
                await (self._cluster or self._single).script_load(text)  # of a cluster: on every primary
            replies = await self._evaluate(calls)
        for reply in replies:
            if isinstance(reply, MovedError):
                self._is_known = False  # what was one server is a cluster now
            if isinstance(reply, BaseException):
                raise reply
        return replies

    async def close(self) -> None:
        """Close all connections; calling it again does nothing."""
        cluster, self._cluster, self._is_known = self._cluster, None, False
        if cluster is not None:
            await cluster.aclose()
            # That alone leaves connections open when the last call failed.
            await cluster.nodes_manager.aclose()
            await cluster.nodes_manager.aclose("startup_nodes")
        await self._single.aclose()

    async def _find_out(self) -> None:
        """Ask once what answers, and connect to the other nodes if it is one of several."""
        if self._is_known:
            return
        if await self._is_of_cluster():
            self._cluster = await RedisCluster.from_url(self._url, **self._options).initialize()
        self._is_known = True

    async def _is_of_cluster(self) -> bool:
        # HELLO needs no right that EVALSHA does not; INFO would.
        told = await self._single.execute_command("HELLO")  # type: ignore[no-untyped-call]
        fields = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
        return bool(fields.get(b"mode") == b"cluster")

    async def _evaluate(self, calls: Sequence[Call]) -> list[Any]:
        if self._cluster is not None:
            return await _one_by_one(self._cluster, calls)
        # No MULTI: each call is atomic by itself, and patients need not share a slot.
        async with self._single.pipeline(transaction=False) as pipeline:
            for text, keys, arguments in calls:
                pipeline.evalsha(_sha1(text), len(keys), *keys, *arguments)
            return await pipeline.execute(raise_on_error=False)


async def _one_by_one(cluster: RedisCluster, calls: Sequence[Call]) -> list[Any]:
    # When a node fails, the client closes all connections, also those that another call is using then: calls
    # at a time would leave some open, one after the other leave none.
    replies: list[Any] = []
    for text, keys, arguments in calls:
        try:
            replies.append(await cluster.evalsha(_sha1(text), len(keys), *keys, *arguments))
        except NoScriptError as error:
            replies.append(error)
    return replies


@cache
def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()  # how EVALSHA names a script
