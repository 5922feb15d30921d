"""Marks in Redis that stand and fall with the points of the history.

::

    diastole:history:filled:{n}   string   "filled", or the worker that is filling it, and the server's run_id
    diastole:history:filling      string   whose turn it is; ends by itself 10 s after it was last renewed

The run_id is another after every start and on every replica: a Redis that came back with what was on its
disk, or a replica that took over, may lack the newest points, and nothing else would tell.

One mark would do on one server. Of a cluster each node must hold one, or nobody would notice that it alone
was emptied: the marks are spread over the slots as evenly as their names allow.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, Final

from redis.crc import key_slot

from streams.adapters.redis_scripts import Call

#: A node with a sixteenth of the slots, in one piece, holds at least one of them.
_N_MARKS: Final = 32

_N_SLOTS: Final = 16_384

_TURN: Final = "diastole:history:filling"

#: Longer than a batch of the rebuild takes with Redis's time-out (5 s) in it. A worker that died in the
#: middle holds the others up for as long, out of the minute in which a history is to be back.
_TURN_MS: Final = 10_000

# Which start of which server this is; empty where it may not be asked. Before Redis 7 a script that asked
# what is not the same on replicas must say so before it writes.
_RUN: Final = """
redis.replicate_commands()
local told = redis.pcall('INFO', 'server')
local run = type(told) == 'string' and string.match(told, 'run_id:(%x+)') or ''
"""

_LOOK: Final = _RUN + "return redis.call('GET', KEYS[1]) == 'filled ' .. run and 1 or 0"

# ARGV: worker, ms.
_TAKE_TURN: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RENEW_TURN: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""

_END_TURN: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""

_MARK: Final = _RUN + "redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. run) return 1"

_SEAL: Final = (
    _RUN
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ' ' .. run then return 0 end
redis.call('SET', KEYS[1], 'filled ' .. run)
return 1
"""
)


def _spread() -> tuple[str, ...]:
    """Name marks, one in each of as many equal parts of the slots."""
    by_part: dict[int, str] = {}
    for number in count():
        name = f"diastole:history:filled:{{{number}}}"
        by_part.setdefault(key_slot(name.encode()) * _N_MARKS // _N_SLOTS, name)
        if len(by_part) == _N_MARKS:
            return tuple(by_part[part] for part in sorted(by_part))
    raise AssertionError("unreachable: there are names for every slot")


#: All marks; the history is whole while each of them says so.
MARKS: Final = _spread()


class RedisMarks:
    """The :class:`streams.refill.HistoryMarks` of a history in Redis.

    Parameters
    ----------
    run : callable
        Runs calls on the history's Redis.
    """

    def __init__(self, run: Callable[[Sequence[Call]], Awaitable[list[Any]]]) -> None:
        self._run = run

    async def are_set(self) -> bool:
        """Whether the history was filled and nothing of it has been lost since."""
        return all(await self._run([(_LOOK, (mark,), []) for mark in MARKS]))

    async def begin(self, worker: str) -> bool:
        """Take the turn and mark what is being filled; see :class:`streams.refill.HistoryMarks`."""
        [mine] = await self._run([(_TAKE_TURN, (_TURN,), [worker, _TURN_MS])])
        if not mine:
            return False
        if await self.are_set():  # by whose turn ended after the caller had looked
            await self._end_turn(worker)
            return False
        await self._run([(_MARK, (mark,), [worker]) for mark in MARKS])
        return True

    async def renew(self, worker: str) -> None:
        """Prolong the turn, if it is still this worker's."""
        await self._run([(_RENEW_TURN, (_TURN,), [worker, _TURN_MS])])

    async def finish(self, worker: str) -> bool:
        """End the turn; False when marks were lost or taken over since ``begin``."""
        sealed = await self._run([(_SEAL, (mark,), [worker]) for mark in MARKS])
        await self._end_turn(worker)
        return all(sealed)

    async def _end_turn(self, worker: str) -> None:
        await self._run([(_END_TURN, (_TURN,), [worker])])
