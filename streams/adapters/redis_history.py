"""The risk history in Redis: a hash of points and their order by acquisition time, per patient.

::

    diastole:history:{digest of the patient id}:points   hash         name → body
    diastole:history:{digest of the patient id}:times    sorted set   name by acquisition time, µs since 1970
    diastole:history:{digest of the patient id}:wards    set          on whose lists the patient may stand
    diastole:history:filled:{n}                          string       see :mod:`streams.adapters.redis_marks`

Names and bodies are those of :mod:`streams.history_encoding`. The braces make the keys of a patient hash to
one slot of a Redis Cluster. The digest keeps identifiers out of MONITOR, the slow log and key lists; it is no
protection against somebody who can read the keys and guess patient ids.

Merged identifiers keep their own keys and are read together (:mod:`streams.adapters.redis_links`): one round
trip for who they are, one for their points. The lists of wards (:mod:`streams.adapters.redis_ward_index`)
follow each write in a second round trip.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from streams.access import RedisPlace
from streams.adapters.redis_latest import LATEST, patient_keys, read_latest, wards_key
from streams.adapters.redis_links import families_call, family_names, link_call
from streams.adapters.redis_marks import RedisMarks
from streams.adapters.redis_scripts import Call
from streams.adapters.redis_store import RedisStore
from streams.adapters.redis_ward_index import WardIndex
from streams.history import EncodedPoint, HistoryLimits, HistoryPoint, HistoryUnavailableError, united
from streams.history_encoding import decode_point, encode_point, instant, microseconds, patient_digest
from streams.link import EncodedLink
from streams.rights import HISTORY_WRITES
from streams.stage import UtcClock, utc_now
from streams.worklist import WardLimits

__all__ = ["RedisHistory", "patient_keys"]

_SECOND: Final = timedelta(seconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)

# KEYS: points, times, wards. ARGV: most points, longest age in µs, now, seconds to live, then (name, time,
# body) of each point. Age counts from the patient's newest point, so that archives keep theirs, or from now
# if that is earlier, so that a cart whose clock runs ahead pushes nothing out. HDEL and ZREM go name by name:
# unpack() has a limit.
_UPSERT: Final = (
    LATEST
    + """
for i = 5, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i])
end
local function forget(names)
  for _, name in ipairs(names) do
    redis.call('HDEL', KEYS[1], name)
    redis.call('ZREM', KEYS[2], name)
  end
end
local newest = tonumber(redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2])
local oldest = math.min(newest, tonumber(ARGV[3])) - tonumber(ARGV[2])
forget(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', oldest)))
local excess = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[1])
if excess > 0 then forget(redis.call('ZRANGE', KEYS[2], 0, excess - 1)) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[3], ARGV[4])
return latest(KEYS[1], KEYS[2], KEYS[3])
"""
)

# KEYS: points, times. ARGV: from, to, as ZRANGEBYSCORE has them. Returns name, time, body, name, time, body …
# A name whose body was evicted is left out: Redis is a cache.
_READ: Final = """
local out = {}
local ranged = redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[1], ARGV[2], 'WITHSCORES')
for i = 1, #ranged, 2 do
  local body = redis.call('HGET', KEYS[1], ranged[i])
  if body then
    out[#out + 1] = ranged[i]
    out[#out + 1] = ranged[i + 1]
    out[#out + 1] = body
  end
end
return out
"""


class RedisHistory:
    """A :class:`streams.history.HistoryStore` in Redis 6.2 or newer, one server or a cluster.

    A patient's points are written in one atomic step on the server, a whole batch in one round trip. Replays,
    reordering and a flush at any moment are harmless.

    Parameters
    ----------
    place : str or RedisAccess
        ``redis://``, ``rediss://`` or ``unix://``; connected to on first use.
    now : callable
        The latest instant from which ``limits.max_age`` is counted.
    """

    def __init__(
        self,
        place: RedisPlace,
        limits: HistoryLimits | None = None,
        now: UtcClock = utc_now,
        timeout_s: float = 5.0,
        wards: WardLimits | None = None,
    ) -> None:
        self._limits = limits or HistoryLimits()
        self._now = now
        self._store = RedisStore(place, "history", HistoryUnavailableError, timeout_s, HISTORY_WRITES)
        ttl_s = self._limits.max_age // _SECOND
        self._wards = WardIndex(self._store.run, wards or WardLimits(), now, ttl_s)

    @property
    def marks(self) -> RedisMarks:
        """What tells whether this Redis still holds all that was written to it."""
        return RedisMarks(self._store.run)

    async def ping(self) -> None:
        """Find out whether Redis answers.

        Raises
        ------
        HistoryUnavailableError
            When it does not.
        """
        await self._store.ping()

    async def require_usable(self) -> None:
        """Find out whether who writes here may, once at a start.

        Raises
        ------
        RedisRefusesError
            When Redis does not let us in, or a right is missing.
        HistoryUnavailableError
            When it does not answer.
        """
        await self._store.require_usable()

    async def upsert(self, points: Sequence[HistoryPoint]) -> None:
        """Keep the points; see :class:`streams.history.HistoryStore`."""
        await self.write([encode_point(point) for point in points])

    async def write(self, points: Sequence[EncodedPoint]) -> None:
        """Keep the points, drop what is beyond the limits, and bring the lists of wards up to date.

        Whatever is interrupted is made good by writing the same points again; see
        :class:`streams.history.HistoryStore`.
        """
        by_patient: defaultdict[str, list[EncodedPoint]] = defaultdict(list)
        for point in points:
            by_patient[point.patient_id].append(point)
        if not by_patient:
            return
        calls = [self._upsert_call(patient, theirs) for patient, theirs in by_patient.items()]
        asking = families_call([patient_digest(patient) for patient in by_patient])
        *replies, families = await self._store.run([*calls, asking])
        known = {
            patient: read_latest(patient, reply) for patient, reply in zip(by_patient, replies, strict=True)
        }
        await self._wards.list_anew(by_patient, families, known)

    async def read(
        self, patient_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[HistoryPoint]:
        """Read a time range, ascending, of all the patient's identifiers; see :class:`HistoryStore`."""
        first = "-inf" if since is None else str(microseconds(since))
        last = "+inf" if until is None else f"({microseconds(until)}"
        identifiers = await self.identifiers(patient_id)
        replies = await self._store.run([(_READ, patient_keys(each), [first, last]) for each in identifiers])
        return united([_decoded(each, flat) for each, flat in zip(identifiers, replies, strict=True)])

    async def identifiers(self, patient_id: str) -> tuple[str, ...]:
        """Name all identifiers of the patient with this one; see :class:`streams.history.HistoryStore`."""
        digest = patient_digest(patient_id)
        [[family]] = await self._store.run([families_call([digest])])
        return family_names(patient_id, digest, family)

    async def link(self, links: Sequence[EncodedLink]) -> None:
        """Keep links between identifiers; see :class:`streams.history.HistoryStore`."""
        if not links:
            return
        concerned = list(dict.fromkeys(patient for link in links for patient in link.patient_ids))
        asking = families_call([patient_digest(patient) for patient in concerned])
        before, *_, after = await self._store.run([asking, *map(link_call, links), asking])
        # Who was one patient with them before is to be listed anew too: perhaps alone from now on.
        await self._wards.list_anew(concerned, after, {}, before)

    async def close(self) -> None:
        """Close all connections."""
        await self._store.close()

    def _upsert_call(self, patient_id: str, points: Sequence[EncodedPoint]) -> Call:
        max_age, now_us = self._limits.max_age, microseconds(self._now())
        arguments: list[Any] = [self._limits.max_points, max_age // _MICROSECOND, now_us, max_age // _SECOND]
        for point in points:
            arguments += (point.name, point.acquired_us, point.body)
        return _UPSERT, (*patient_keys(patient_id), wards_key(patient_id)), arguments


def _decoded(patient_id: str, flat: Sequence[Any]) -> list[HistoryPoint]:
    rows = zip(flat[0::3], flat[1::3], flat[2::3], strict=True)
    return [
        decode_point(patient_id, instant(int(float(time_us))), name, body) for name, time_us, body in rows
    ]
