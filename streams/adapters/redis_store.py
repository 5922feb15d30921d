"""One Redis as a store of ours has it: scripts run, and trouble told in one line that quotes no key."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from schemas.errors import RetriableError
from streams.adapters.redis_scripts import REDIS_TROUBLE, Call, RedisScripts


class RedisStore:
    """Scripts at one address, for a store that has an error of its own.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``; connected to on first use.
    what : str
        What is kept there, for who reads the error.
    error : type
        Raised when Redis does not answer.
    """

    def __init__(self, url: str, what: str, error: type[RetriableError], timeout_s: float) -> None:
        self._what, self._error = what, error
        self._scripts = RedisScripts(url, timeout_s)

    async def ping(self) -> None:
        """Find out whether Redis answers; raises the store's error when it does not."""
        with self._as_unavailable():
            await self._scripts.ping()

    async def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run calls, if any, and return their replies in order.

        Raises
        ------
        RetriableError
            The store's error; some calls may have been done.
        """
        if not calls:
            return []
        with self._as_unavailable():
            return await self._scripts.run(calls)

    async def close(self) -> None:
        """Close all connections; calling it again does nothing."""
        await self._scripts.close()

    @contextmanager
    def _as_unavailable(self) -> Iterator[None]:
        try:
            yield
        except REDIS_TROUBLE as error:
            # Only the kind of error: its text may quote keys, and the URL may hold a password.
            raise self._error(
                f"{self._what}: Redis at {self._scripts.address} does not serve ({_reason(error)}); "
                "check DIASTOLE_REDIS_URL and that it runs"
            ) from None


def _reason(error: BaseException) -> str:
    """Kind of the error and, of a server's reply, its code: ``ResponseError WRONGTYPE``."""
    code = str(error).split(" ", 1)[0]
    return f"{type(error).__name__} {code}" if code.isupper() and code.isalpha() else type(error).__name__
