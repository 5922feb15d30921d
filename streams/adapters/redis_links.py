"""Which histories are one patient's, in Redis: a forest, each identifier below the one it was merged into.

::

    diastole:history:{links}:up     hash         digest of the prior identifier → link
    diastole:history:{links}:down   sorted set   "digest of the surviving identifier:digest of the prior one"

    link = linked at, µs since 1970, 20 digits │ 0 or 1 for undone │ digest │ surviving name │ prior name

separated by colons, the names sealed (:mod:`streams.link`) and in base64. Both keys hash to one slot of a
Redis Cluster, so that one script on one node sees the whole forest: no link is a hop over the network.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from streams.adapters.redis_scripts import Call
from streams.link import EncodedLink, open_name

LINK_KEYS: Final = ("diastole:history:{links}:up", "diastole:history:{links}:down")

#: Identifiers of one patient that are followed. Hospitals know patients with a dozen; a hundred are a test.
MOST_IDENTIFIERS: Final = 256

# KEYS: up, down. ARGV: prior, linked at, undone, surviving, surviving name, prior name. An older link than
# the one that is there changes nothing, so replays and reordering do not either. 20 digits compare as text.
_LINK: Final = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  if string.sub(known, 1, 20) > ARGV[2] then return 0 end
  redis.call('ZREM', KEYS[2], string.sub(known, 24, 55) .. ':' .. ARGV[1])
end
local link = table.concat({ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]}, ':')
redis.call('HSET', KEYS[1], ARGV[1], link)
if ARGV[3] == '0' then redis.call('ZADD', KEYS[2], 0, ARGV[4] .. ':' .. ARGV[1]) end
return 1
"""

# KEYS: up, down. ARGV: most identifiers, then identifiers. For each of those: up to the survivor, then down
# to all merged into it; given are the survivor, then prior, link, prior, link … from the survivor downwards.
# Circles end where they began: two gateways may each have told one half of one.
_FAMILIES: Final = """
local function family(asked)
  local top, seen, way = asked, {[asked] = true}, {}
  while true do
    local link = redis.call('HGET', KEYS[1], top)
    if not link or string.sub(link, 22, 22) == '1' then break end
    local above = string.sub(link, 24, 55)
    if seen[above] then break end
    seen[above] = true
    table.insert(way, 1, {top, link})
    top = above
  end
  local out, waiting, found = {top}, {top}, {[top] = true}
  local function take(prior, link)
    found[prior] = true
    waiting[#waiting + 1] = prior
    out[#out + 1] = prior
    out[#out + 1] = link
  end
  for _, each in ipairs(way) do take(each[1], each[2]) end
  local next = 1
  while waiting[next] and #waiting < tonumber(ARGV[1]) do
    local below = redis.call('ZRANGEBYLEX', KEYS[2], '[' .. waiting[next] .. ':', '(' .. waiting[next] .. ';')
    for _, member in ipairs(below) do
      local prior = string.sub(member, 34)
      local link = redis.call('HGET', KEYS[1], prior)
      if link and not found[prior] and #waiting < tonumber(ARGV[1]) then take(prior, link) end
    end
    next = next + 1
  end
  return out
end
local all = {}
for i = 2, #ARGV do all[#all + 1] = family(ARGV[i]) end
return all
"""


def link_call(link: EncodedLink) -> Call:
    """Keep a link; one that is older than what is kept changes nothing."""
    names = (base64.b64encode(name) for name in (link.surviving_name, link.prior_name))
    undone = "1" if link.is_undone else "0"
    return _LINK, LINK_KEYS, [link.prior, f"{link.linked_us:020d}", undone, link.surviving, *names]


def families_call(digests: Sequence[str]) -> Call:
    """Ask for all identifiers of the patient with this one, of several in one call."""
    return _FAMILIES, LINK_KEYS, [MOST_IDENTIFIERS, *digests]


def family_names(patient_id: str, digest: str, reply: Sequence[bytes]) -> tuple[str, ...]:
    """Read the answer to :func:`families_call` for one of them: identifiers in clear, the survivor first.

    Each link tells two names to whoever knows one of them; from the one that is known the others follow.
    """
    survivor, links = reply[0].decode(), _links(reply[1:])
    names = {digest: patient_id}
    while fresh := dict(_told(links, names)):
        names |= fresh
    return tuple(names[each] for each in (survivor, *links) if each in names)


def _links(flat: Sequence[bytes]) -> dict[str, tuple[str, bytes, bytes]]:
    """Digest of the survivor, its name and the prior name, by digest of the prior identifier."""
    links = {}
    for prior, link in zip(flat[0::2], flat[1::2], strict=True):
        _, _, above, surviving_name, prior_name = link.split(b":")
        links[prior.decode()] = (above.decode(), _bytes(surviving_name), _bytes(prior_name))
    return links


def _told(
    links: Mapping[str, tuple[str, bytes, bytes]], names: Mapping[str, str]
) -> Iterable[tuple[str, str]]:
    for prior, (above, surviving_name, prior_name) in links.items():
        if prior in names and above not in names:
            yield above, open_name(surviving_name, known=names[prior])
        if above in names and prior not in names:
            yield prior, open_name(prior_name, known=names[above])


def _bytes(text: Any) -> bytes:
    return base64.b64decode(text)
