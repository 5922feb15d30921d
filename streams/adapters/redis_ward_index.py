"""Keeps the lists of wards in step with the points of the history.

A list lies elsewhere in a Redis Cluster than the patients on it, so it follows in a round trip of its own:

1. each patient notes the wards on whose lists it is about to stand,
2. lists are changed,
3. each patient forgets the wards from whose lists it was taken.

What a crash leaves half done is done by the same call again. Of two writers at once the one that knew less
takes nobody off whom the other put on; whom it puts on wrongly is found by
:class:`streams.adapters.redis_wards.RedisWards`, which believes a list only where the points agree with it.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from streams.adapters.redis_latest import Latest, forget_call, latest_call, note_call, read_latest
from streams.adapters.redis_links import families_call, family_names
from streams.adapters.redis_scripts import Call
from streams.adapters.redis_ward_sets import Entry, entry_of, list_call, name_call
from streams.history_encoding import microseconds, patient_digest
from streams.stage import UtcClock
from streams.worklist import PatientRow, WardLimits, patient_row, ranks

#: Read later than anything: takes off whom no reading put on.
_WHENEVER: Final = 2**63

Run = Callable[[Sequence[Call]], Awaitable[list[Any]]]
Family = tuple[str, ...]


class WardIndex:
    """Writes the lists of wards.

    Parameters
    ----------
    run : callable
        Runs calls on the history's Redis.
    now : callable
        The instant from which ``limits.max_age`` is counted back.
    ttl_s : int
        How long a patient's own keys are kept without news, s.
    """

    def __init__(self, run: Run, limits: WardLimits, now: UtcClock, ttl_s: int) -> None:
        self._run, self._limits, self._now, self._ttl_s = run, limits, now, ttl_s

    @property
    def oldest_us(self) -> int:
        """Patients whose newest ECG is older are on no list, µs since 1970."""
        return microseconds(self._now() - self._limits.max_age)

    async def list_anew(
        self,
        patients: Iterable[str],
        replies: Sequence[Sequence[bytes]],
        known: Mapping[str, Latest],
        before: Sequence[Sequence[bytes]] = (),
    ) -> None:
        """Put patients where their points say, and nowhere else.

        Parameters
        ----------
        patients : iterable of str
            By any of their identifiers.
        replies : sequence
            Which identifiers are one patient, as answered for each of them.
        known : mapping
            Latest state of some identifiers, read together with that.
        before : sequence
            What was answered before it changed; those are listed anew too.
        """
        families = _families(patients, replies)
        parted = {name for family in _families(patients, before) for name in family}
        parted -= {name for family in families for name in family}
        if parted:
            digests = [patient_digest(name) for name in sorted(parted)]
            [more] = await self._run([families_call(digests)])
            families = list(dict.fromkeys((*families, *_families(sorted(parted), more))))
        await self.list_families(families, known)

    async def list_families(
        self,
        families: Sequence[Family],
        known: Mapping[str, Latest],
        also_off: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Put patients where their points say, given all identifiers of each, the one in use first.

        Parameters
        ----------
        also_off : mapping
            Wards, by digest of a patient, from whose lists that one is to be taken whatever is noted of it.
        """
        missing = [name for family in families for name in family if name not in known]
        fetched = await self._run([latest_call(name) for name in missing])
        latest = {
            **known,
            **{name: read_latest(name, reply) for name, reply in zip(missing, fetched, strict=True)},
        }
        changes = _Changes(oldest_us=self.oldest_us, now_us=microseconds(self._now()))
        for family in families:
            changes.list_family(family, latest)
        read_us = max((each.read_us for each in latest.values()), default=_WHENEVER)
        for patient, wards in (also_off or {}).items():
            changes.take_off(patient, wards, read_us)
        await self._run(changes.calls(self._limits.max_age, self._ttl_s))


class _Changes:
    """What is to be changed for some patients, by ward."""

    def __init__(self, *, oldest_us: int, now_us: int) -> None:
        self._oldest_us, self._now_us = oldest_us, now_us
        self._entries: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
        self._newest_us: dict[str, int] = {}
        self._notes: dict[str, str] = {}
        self._forgets: dict[str, frozenset[str]] = {}

    def take_off(self, patient: str, wards: Iterable[str], read_us: int) -> None:
        for ward in wards:
            self._entries[ward].setdefault(patient, Entry(patient=patient, read_us=read_us))

    def list_family(self, family: Family, latest: Mapping[str, Latest]) -> None:
        row = patient_row(family, [seen for name in family for seen in latest[name].seen])
        placed = any(place for name in family for _, place in latest[name].seen)
        stays = row is not None and placed and microseconds(row.last.acquired_at) >= self._oldest_us
        # What is known of several identifiers is as old as what is known of the first that was read.
        read_us = min(latest[name].read_us for name in family)
        for name in family:
            here = frozenset({row.ward_id}) if row and stays and name == family[0] else frozenset()
            gone = latest[name].listed_on - here
            if gone:
                self.take_off(patient_digest(name), gone, read_us)
                self._forgets[name] = gone
            if here - latest[name].listed_on:
                self._notes[name] = next(iter(here))
        if row and stays:
            self._put(row, read_us)

    def _put(self, row: PatientRow, read_us: int) -> None:
        acquired_us = min(microseconds(row.last.acquired_at), self._now_us)
        entry = entry_of(row.identifiers, ranks(row), acquired_us, read_us)
        self._entries[row.ward_id][entry.patient] = entry
        self._newest_us[row.ward_id] = max(acquired_us, self._newest_us.get(row.ward_id, 0))

    def calls(self, ttl: timedelta, patient_ttl_s: int) -> list[Call]:
        notes = [note_call(name, [ward], patient_ttl_s) for name, ward in self._notes.items()]
        lists = [
            list_call(ward, entries.values(), self._oldest_us, ttl) for ward, entries in self._entries.items()
        ]
        named = [name_call(self._newest_us.items(), ttl)] if self._newest_us else []
        forgets = [forget_call(name, wards) for name, wards in self._forgets.items()]
        return [*notes, *lists, *named, *forgets]


def _families(patients: Iterable[str], replies: Sequence[Sequence[bytes]]) -> list[Family]:
    """All identifiers of each patient, the one in use first; each patient once, circles of merges too."""
    found: dict[frozenset[str], Family] = {}
    for patient, reply in zip(patients, replies, strict=False):
        family = family_names(patient, patient_digest(patient), reply)
        found.setdefault(frozenset(family), family)
    return list(found.values())
