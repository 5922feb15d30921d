"""The lists of a ward in Redis: who stands where, by risk, by change and by age.

::

    diastole:ward:{digest of the ward}:risk     sorted set   digest of the patient by rank
    diastole:ward:{digest of the ward}:change   sorted set   likewise
    diastole:ward:{digest of the ward}:age      sorted set   by acquisition of the newest ECG, µs since 1970
    diastole:ward:{digest of the ward}:names    hash         digest of the patient → read, 20 digits │ sealed
    diastole:wards                              sorted set   ward by its newest ECG, µs since 1970

The braces make the keys of a ward hash to one slot of a Redis Cluster. "Read" is when the patient's points
were read, µs since 1970 by the clock of their server. Identifiers are sealed with a key made of the ward's
name: as the digests, that keeps them out of MONITOR, the slow log and key lists, and protects them from
nobody who can guess.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from schemas.errors import PoisonError
from streams.adapters.redis_scripts import Call
from streams.history_encoding import patient_digest
from streams.link import open_name, seal_name
from streams.worklist import Order, Ranks

WARDS_KEY: Final = "diastole:wards"

_ORDERS: Final[tuple[Order, ...]] = ("risk", "change", "age")
_SECOND: Final = timedelta(seconds=1)
_READ_DIGITS: Final = 20

#: Identifiers hold no control characters, so this parts them.
_BETWEEN: Final = "\n"

# Lua: drops whom nobody recorded an ECG of for long; KEYS risk, change, age, names.
_CLEAR: Final = """
local function drop(member)
  for key = 1, 3 do redis.call('ZREM', KEYS[key], member) end
  redis.call('HDEL', KEYS[4], member)
end
local function clear(oldest)
  while true do
    local gone = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. oldest, 'LIMIT', 0, 1000)
    for _, member in ipairs(gone) do drop(member) end
    if #gone < 1000 then break end
  end
end
"""

# ARGV: oldest, seconds to live, then (patient, read, risk, change, acquired, sealed); nothing sealed takes
# off. What was read of a patient before that which put it on the list changes nothing: of two writers at
# once, the one that knew less may not take off whom the other put on. 20 digits compare as text.
_LIST: Final = (
    _CLEAR
    + """
for i = 3, #ARGV, 6 do
  local member, read, sealed = ARGV[i], ARGV[i + 1], ARGV[i + 5]
  local known = redis.call('HGET', KEYS[4], member)
  if not known or string.sub(known, 1, 20) <= read then
    if sealed == '' then
      drop(member)
    else
      for key = 1, 3 do redis.call('ZADD', KEYS[key], ARGV[i + 1 + key], member) end
      redis.call('HSET', KEYS[4], member, read .. sealed)
    end
  end
end
clear(ARGV[1])
for key = 1, 4 do redis.call('EXPIRE', KEYS[key], ARGV[2]) end
return redis.call('ZCARD', KEYS[3])
"""
)

# ARGV: oldest, number of the order, first, last. Returns patient, risk, change, acquired, sealed of each.
_PAGE: Final = (
    _CLEAR
    + """
clear(ARGV[1])
local out = {}
for _, member in ipairs(redis.call('ZREVRANGE', KEYS[tonumber(ARGV[2])], ARGV[3], ARGV[4])) do
  out[#out + 1] = member
  for key = 1, 3 do out[#out + 1] = redis.call('ZSCORE', KEYS[key], member) or '' end
  out[#out + 1] = redis.call('HGET', KEYS[4], member) or ''
end
return out
"""
)

_SIZE: Final = _CLEAR + "clear(ARGV[1])\nreturn redis.call('ZCARD', KEYS[3])\n"

# KEYS: wards. ARGV: seconds to live, then (acquired, ward). The newest ECG of a ward holds.
_NAME: Final = """
for i = 2, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'GT', ARGV[i], ARGV[i + 1]) end
return redis.call('EXPIRE', KEYS[1], ARGV[1])
"""

# KEYS: wards. ARGV: oldest.
_NAMES: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A patient on a ward's lists.

    Attributes
    ----------
    patient : str
        Digest of the identifier in use.
    read_us : int
        When the patient's points were read that say so.
    identifiers : tuple of str
        All of the patient, that one first; empty takes the patient off, or could not be read.
    ranks : Ranks or None
        None when the lists disagree about the patient.
    acquired_us : int
        Of the newest ECG, at most the time it was listed: a cart whose clock runs ahead keeps nobody listed.
    """

    patient: str
    read_us: int
    identifiers: tuple[str, ...] = ()
    ranks: Ranks | None = None
    acquired_us: int = 0


def ward_keys(ward_id: str) -> tuple[str, str, str, str]:
    """Keys of a ward's lists and names; all in one Redis Cluster slot."""
    digest = hashlib.sha256(ward_id.encode()).hexdigest()[:32]
    risk, change, age, names = (f"diastole:ward:{{{digest}}}:{part}" for part in (*_ORDERS, "names"))
    return risk, change, age, names


def entry_of(identifiers: Sequence[str], listed: Ranks, acquired_us: int, read_us: int) -> Entry:
    """Make the entry of a patient."""
    return Entry(
        read_us=read_us,
        patient=patient_digest(identifiers[0]),
        identifiers=tuple(identifiers),
        ranks=listed,
        acquired_us=acquired_us,
    )


def list_call(ward_id: str, entries: Iterable[Entry], oldest_us: int, ttl: timedelta) -> Call:
    """Put patients on a ward's lists, or take them off."""
    arguments: list[Any] = [oldest_us, ttl // _SECOND]
    for entry in entries:
        arguments += [entry.patient, f"{entry.read_us:020d}"]
        if entry.ranks is None:
            arguments += [0, 0, 0, b""]
        else:
            sealed = seal_name(_BETWEEN.join(entry.identifiers), known=_key_name(ward_id))
            arguments += [entry.ranks.risk, entry.ranks.change, entry.acquired_us, sealed]
    return _LIST, ward_keys(ward_id), arguments


def page_call(ward_id: str, order: Order, limit: int, offset: int, oldest_us: int) -> Call:
    """Ask for a page of a ward's list."""
    arguments = [oldest_us, 1 + _ORDERS.index(order), offset, offset + limit - 1]
    return _PAGE, ward_keys(ward_id), arguments


def read_page(ward_id: str, flat: Sequence[bytes]) -> list[Entry]:
    """Read the answer to :func:`page_call`."""
    return [_entry(ward_id, *flat[at : at + 5]) for at in range(0, len(flat), 5)]


def size_call(ward_id: str, oldest_us: int) -> Call:
    """Ask how many patients a ward has."""
    return _SIZE, ward_keys(ward_id), [oldest_us]


def name_call(newest_us: Iterable[tuple[str, int]], ttl: timedelta) -> Call:
    """Name wards, each with the acquisition of an ECG."""
    arguments: list[Any] = [ttl // _SECOND]
    for ward_id, acquired_us in newest_us:
        arguments += [acquired_us, ward_id]
    return _NAME, (WARDS_KEY,), arguments


def names_call(oldest_us: int) -> Call:
    """Ask which wards there are."""
    return _NAMES, (WARDS_KEY,), [oldest_us]


def _entry(
    ward_id: str, patient: bytes, risk: bytes, change: bytes, acquired_us: bytes, name: bytes
) -> Entry:
    try:
        identifiers = tuple(open_name(name[_READ_DIGITS:], known=_key_name(ward_id)).split(_BETWEEN))
    except PoisonError:
        identifiers = ()
    whole = bool(risk and change and acquired_us)
    return Entry(
        patient=patient.decode(),
        read_us=int(name[:_READ_DIGITS] or 0),
        identifiers=identifiers,
        ranks=Ranks(risk=int(float(risk)), change=int(float(change))) if whole else None,
        acquired_us=int(float(acquired_us)) if whole else 0,
    )


def _key_name(ward_id: str) -> str:
    return f"ward\0{ward_id}"
