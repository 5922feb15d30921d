"""A patient's latest state, found among the points of the history in Redis: kept nowhere, so never wrong.

Walked back from the newest point until everything is found; mostly two or three points.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streams.adapters.redis_scripts import Call
from streams.history_encoding import decode_place, decode_point, instant, patient_digest
from streams.worklist import Seen

#: Lua: ``latest(points, times, wards)`` gives the wards the patient may be listed on, then name, time, body
#: of the newest point, the newest two scored ones of different ECGs, the newest that names a ward or a site.
#: Bytes of a body are those of :mod:`streams.history_encoding`: 2 the phenotype, 0 when not scored; from
#: version 3 on 25 to 28 the lengths of ward and site. A ward is looked for in 64 points, so that a site that
#: never names one does not cost a whole history each time.
#:
#: One string, since a client is slow at many small ones: ::
#:
#:     the server's time, s, µs  2 × u32 │ number of wards u16 │ for each: length u16, ward
#:     │ for each point: time f64, length of name u16, of body u32, name, body
LATEST: Final = """
local function latest(points, times, wards)
  local listed = redis.call('SMEMBERS', wards)
  local time = redis.call('TIME')
  local out, scored, first, placed, read = {}, 0, '', false, 0
  out[1] = struct.pack('<I4I4I2', tonumber(time[1]), tonumber(time[2]), #listed)
  for _, ward in ipairs(listed) do out[#out + 1] = struct.pack('<I2', #ward) .. ward end
  local least = #out
  while true do
    local some = redis.call('ZREVRANGE', times, read, read + 7, 'WITHSCORES')
    for i = 1, #some, 2 do
      local body, ecg = redis.call('HGET', points, some[i]), string.sub(some[i], 1, 16)
      read = read + 1
      if body then
        local wanted = #out == least
        if string.byte(body, 2) ~= 0 and scored < 2 and ecg ~= first then
          scored, first, wanted = scored + 1, ecg, true
        end
        if not placed and (string.byte(body, 1) or 0) >= 3 and string.sub(body, 25, 28) ~= '\\0\\0\\0\\0' then
          placed, wanted = true, true
        end
        if wanted then
          out[#out + 1] = struct.pack('<dI2I4', tonumber(some[i + 1]), #some[i], #body) .. some[i] .. body
        end
      end
      if scored == 2 and (placed or read >= 64) then break end
    end
    if #some < 16 or (scored == 2 and (placed or read >= 64)) then break end
  end
  return table.concat(out)
end
"""

_HEAD: Final = struct.Struct("<IIH")
_LENGTH: Final = struct.Struct("<H")
_POINT: Final = struct.Struct("<dHI")

# KEYS: points, times, wards.
_LATEST: Final = LATEST + "return latest(KEYS[1], KEYS[2], KEYS[3])\n"

# KEYS: wards. ARGV: seconds to live, then wards.
_NOTE: Final = """
for i = 2, #ARGV do redis.call('SADD', KEYS[1], ARGV[i]) end
return redis.call('EXPIRE', KEYS[1], ARGV[1])
"""
_FORGET: Final = """
for i = 1, #ARGV do redis.call('SREM', KEYS[1], ARGV[i]) end
return 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """What the history tells of one identifier.

    Attributes
    ----------
    read_us : int
        When it was read, by the clock of the server, µs since 1970: of two, the later one knows more.
    listed_on : frozenset of str
        Wards on whose lists it may stand.
    seen : tuple of (HistoryPoint, Place or None)
        What :func:`streams.worklist.patient_row` needs.
    """

    read_us: int
    listed_on: frozenset[str]
    seen: tuple[Seen, ...]


def patient_keys(patient_id: str) -> tuple[str, str]:
    """Keys of a patient's points and times; both in one Redis Cluster slot."""
    digest = patient_digest(patient_id)
    return f"diastole:history:{{{digest}}}:points", f"diastole:history:{{{digest}}}:times"


def wards_key(patient_id: str) -> str:
    """Key of the wards on whose lists a patient may stand, in the same slot."""
    return f"diastole:history:{{{patient_digest(patient_id)}}}:wards"


def latest_call(patient_id: str) -> Call:
    """Ask for the latest state of one identifier."""
    return _LATEST, (*patient_keys(patient_id), wards_key(patient_id)), []


def read_latest(patient_id: str, reply: bytes) -> Latest:
    """Read the answer to :func:`latest_call`, or to a script that ends with :data:`LATEST`."""
    read_s, read_us, n_wards = _HEAD.unpack_from(reply)
    at, wards = _HEAD.size, []
    for _ in range(n_wards):
        (length,) = _LENGTH.unpack_from(reply, at)
        at += _LENGTH.size + length
        wards.append(reply[at - length : at].decode())
    seen: list[Seen] = []
    while at < len(reply):
        time_us, name_bytes, body_bytes = _POINT.unpack_from(reply, at)
        at += _POINT.size + name_bytes + body_bytes
        name, body = reply[at - body_bytes - name_bytes : at - body_bytes], reply[at - body_bytes : at]
        point = decode_point(patient_id, instant(int(time_us)), name, body)
        seen.append((point, decode_place(body)))
    return Latest(read_us=read_s * 1_000_000 + read_us, listed_on=frozenset(wards), seen=tuple(seen))


def note_call(patient_id: str, wards: Iterable[str], ttl_s: int) -> Call:
    """Note wards on whose lists a patient is about to stand."""
    return _NOTE, (wards_key(patient_id),), [ttl_s, *sorted(wards)]


def forget_call(patient_id: str, wards: Iterable[str]) -> Call:
    """Forget wards on whose lists a patient stands no longer."""
    return _FORGET, (wards_key(patient_id),), sorted(wards)
