"""One Redis as a store of ours has it: scripts run, and trouble told in one line that quotes no key."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from redis.exceptions import ResponseError

from schemas.errors import ConfigurationError, DiastoleError, RetriableError
from streams.access import RedisPlace, redis_access
from streams.adapters.redis_scripts import REDIS_TROUBLE, Call, RedisScripts
from streams.adapters.redis_trouble import is_denied_script, lacking, redis_reason, redis_refusal
from streams.rights import RedisRights

#: KEYS: one of ours. ARGV: commands. Gives those that who asks may not run on it; running none.
_MAY: Final = """
local missing = {}
if redis.acl_check_cmd then
  for _, command in ipairs(ARGV) do
    if not redis.acl_check_cmd(command, KEYS[1]) then missing[#missing + 1] = command end
  end
end
return missing
"""


class RedisStore:
    """Scripts at one address, for a store that has an error of its own.

    Parameters
    ----------
    place : str or RedisAccess
        A URL, or everything it takes; connected to on first use.
    what : str
        What is kept there, for who reads the error.
    error : type
        Raised when Redis does not answer.
    rights : RedisRights or None
        What the scripts take, asked for by :meth:`require_usable`; None asks for none.
    """

    def __init__(
        self,
        place: RedisPlace,
        what: str,
        error: type[RetriableError],
        timeout_s: float,
        rights: RedisRights | None = None,
    ) -> None:
        self._what, self._error, self._rights = what, error, rights
        self._access = redis_access(place)
        self._scripts = RedisScripts(self._access, timeout_s)

    async def ping(self) -> None:
        """Find out whether Redis answers; raises the store's error when it does not."""
        with self._as_unavailable():
            await self._scripts.ping()

    async def require_usable(self) -> None:
        """Find out whether Redis answers, lets us in, and lets us do what a writer's scripts do.

        Raises
        ------
        RedisRefusesError
            When it does not know us, does not trust our certificate or we not its own, or a right is missing.
        RetriableError
            The store's error, when it does not answer.
        """
        with self._as_unavailable(refusal=RedisRefusesError):
            await self._scripts.ping()
            missing = await self._missing()
        if missing:
            raise RedisRefusesError(f"{self._what}: {lacking(missing, self._access)}")

    async def _missing(self) -> list[str]:
        """Name commands that may not be run on our keys; none before Redis 7, which does not tell."""
        if self._rights is None:
            return []
        commands, keys = sorted(self._rights.commands), self._rights.keys
        # A key that the pattern means, and that holds nothing.
        calls: list[Call] = [(_MAY, (key.replace("*", "{right}"),), list(commands)) for key in keys]
        replies = await self._scripts.run(calls)
        return sorted({command.decode() for reply in replies for command in reply})

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
            try:
                return await self._scripts.run(calls)
            except ResponseError as error:
                if not is_denied_script(error):
                    raise
                # Of a script Redis says only that some right is missing.
                missing = await self._missing()
        raise self._error(f"{self._what}: {lacking(missing, self._access)}")

    async def close(self) -> None:
        """Close all connections; calling it again does nothing."""
        await self._scripts.close()

    @contextmanager
    def _as_unavailable(self, refusal: type[DiastoleError] | None = None) -> Iterator[None]:
        """Tell trouble; what is lost while running may be given back, so only a start ends with a refusal."""
        try:
            yield
        except REDIS_TROUBLE as error:
            if said := redis_refusal(error, self._access):
                raise (refusal or self._error)(f"{self._what}: {said}") from None
            # Only the kind of error: its text may quote keys, and the URL may hold a password.
            raise self._error(
                f"{self._what}: Redis at {self._access} does not serve ({redis_reason(error)}); "
                "check DIASTOLE_REDIS_URL and that it runs"
            ) from None


class RedisRefusesError(ConfigurationError):
    """Redis does not let us in as we are set up."""

    code = "REDIS_REFUSES"
