"""The waveforms of each patient's newest ECGs in Redis.

::

    diastole:strips:{digest of the patient id}:bodies   hash         ECG id → body
    diastole:strips:{digest of the patient id}:times    sorted set   ECG id by acquisition time, µs since 1970
    diastole:strip:{ECG id}                             string       digest of the patient id

Bodies are those of :mod:`streams.waveform`. The first two hash to one slot of a Redis Cluster and are trimmed
in one step. The third finds them by the ECG alone; it is left to expire when its waveform is trimmed.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from streams.access import RedisPlace
from streams.adapters.redis_scripts import Call
from streams.adapters.redis_store import RedisStore
from streams.history_encoding import microseconds
from streams.rights import WAVEFORM_WRITES
from streams.stage import UtcClock, utc_now
from streams.waveform import EncodedStrip, Strip, WaveformLimits, WaveformsUnavailableError, decode_strip

_SECOND: Final = timedelta(seconds=1)

# KEYS: bodies, times. ARGV: most strips, oldest, seconds to live, then (ECG id, acquired, body).
_KEEP: Final = """
for i = 4, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i])
end
local function forget(names)
  for _, name in ipairs(names) do
    redis.call('HDEL', KEYS[1], name)
    redis.call('ZREM', KEYS[2], name)
  end
end
forget(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[2]))
local excess = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[1])
if excess > 0 then forget(redis.call('ZRANGE', KEYS[2], 0, excess - 1)) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return redis.call('ZCARD', KEYS[2])
"""

# KEYS: whose ECG it is. ARGV: digest of the patient, seconds to live.
_POINT: Final = "return redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])"

_WHOSE: Final = "return redis.call('GET', KEYS[1])"

# KEYS: bodies, times. ARGV: ECG id, oldest.
_FIND: Final = """
local acquired = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not acquired or tonumber(acquired) < tonumber(ARGV[2]) then return false end
return redis.call('HGET', KEYS[1], ARGV[1])
"""


class RedisWaveforms:
    """A :class:`streams.waveform.WaveformReads`, and what the waveform stage writes, in Redis 6.2 or newer.

    Writing a strip again changes nothing, and of any order of arrival the same strips stay.

    Parameters
    ----------
    place : str or RedisAccess
        As :class:`streams.adapters.redis_history.RedisHistory` has it.
    now : callable
        The instant from which ``limits.max_age`` is counted back.
    """

    def __init__(
        self,
        place: RedisPlace,
        limits: WaveformLimits | None = None,
        now: UtcClock = utc_now,
        timeout_s: float = 5.0,
    ) -> None:
        self._limits = limits or WaveformLimits()
        self._now = now
        self._store = RedisStore(place, "waveforms", WaveformsUnavailableError, timeout_s, WAVEFORM_WRITES)

    async def ping(self) -> None:
        """Find out whether Redis answers; raises WaveformsUnavailableError when it does not."""
        await self._store.ping()

    async def require_usable(self) -> None:
        """Find out whether who writes here may, once at a start.

        Raises
        ------
        RedisRefusesError
            When Redis does not let us in, or a right is missing.
        WaveformsUnavailableError
            When it does not answer.
        """
        await self._store.require_usable()

    async def write(self, strips: Sequence[EncodedStrip | None]) -> None:
        """Keep strips, then drop what is beyond the limits; None, of an ECG without one, changes nothing.

        Raises
        ------
        WaveformsUnavailableError
            Some strips may be kept already; call again with all of them.
        """
        oldest_us = self._oldest_us
        by_patient: defaultdict[str, list[EncodedStrip]] = defaultdict(list)
        for strip in strips:
            if strip is not None and strip.acquired_us >= oldest_us:
                by_patient[strip.patient].append(strip)
        ttl_s = self._limits.max_age // _SECOND
        calls: list[Call] = []
        for patient, theirs in by_patient.items():
            arguments: list[Any] = [self._limits.per_patient, oldest_us, ttl_s]
            for strip in theirs:
                arguments += (strip.ecg_id, strip.acquired_us, strip.body)
                calls.append((_POINT, (pointer_key(strip.ecg_id),), [patient, ttl_s]))
            calls.append((_KEEP, strip_keys(patient), arguments))
        await self._store.run(calls)

    async def strip(self, ecg_id: str) -> Strip | None:
        """Waveform of an ECG; two round trips. See :class:`streams.waveform.WaveformReads`."""
        [patient] = await self._store.run([(_WHOSE, (pointer_key(ecg_id),), [])])
        if patient is None:
            return None
        [body] = await self._store.run([(_FIND, strip_keys(patient.decode()), [ecg_id, self._oldest_us])])
        return None if body is None else decode_strip(ecg_id, body)

    async def close(self) -> None:
        """Close all connections; calling it again does nothing."""
        await self._store.close()

    @property
    def _oldest_us(self) -> int:
        return microseconds(self._now() - self._limits.max_age)


def strip_keys(patient: str) -> tuple[str, str]:
    """Keys of a patient's strips and their times, by the digest of the identifier; both in one slot."""
    return f"diastole:strips:{{{patient}}}:bodies", f"diastole:strips:{{{patient}}}:times"


def pointer_key(ecg_id: str) -> str:
    """Key that tells whose ECG it is."""
    return f"diastole:strip:{{{ecg_id}}}"
