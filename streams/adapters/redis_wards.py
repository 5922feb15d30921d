"""What patients and wards are asked for, from the history's Redis.

A list says who stands where; each row is made of the patient's own points, two round trips for a page. A row
whose points disagree with the list (two writers at once, an evicted key) is put right, and the page read
anew.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from streams.access import RedisPlace
from streams.adapters.redis_latest import latest_call, read_latest
from streams.adapters.redis_links import families_call, family_names
from streams.adapters.redis_store import RedisStore
from streams.adapters.redis_ward_index import WardIndex
from streams.adapters.redis_ward_sets import Entry, names_call, page_call, read_page, size_call
from streams.history import HistoryLimits, HistoryUnavailableError
from streams.history_encoding import microseconds, patient_digest
from streams.stage import UtcClock, utc_now
from streams.worklist import Order, PatientRow, WardLimits, patient_row, ranks

#: Readings of a page until what it says and the points agree. Each puts right all of what is wrong in it.
_MOST_READINGS: Final = 3

_SECOND: Final = timedelta(seconds=1)


class RedisWards:
    """A :class:`streams.worklist.WardReads` on the Redis that :class:`RedisHistory` writes.

    Parameters
    ----------
    place : str or RedisAccess
        As :class:`streams.adapters.redis_history.RedisHistory` has it.
    limits : WardLimits
        The same as the history stage's.
    """

    def __init__(
        self,
        place: RedisPlace,
        limits: WardLimits | None = None,
        now: UtcClock = utc_now,
        timeout_s: float = 5.0,
        history: HistoryLimits | None = None,
    ) -> None:
        self._store = RedisStore(place, "wards", HistoryUnavailableError, timeout_s)
        ttl_s = (history or HistoryLimits()).max_age // _SECOND
        self._index = WardIndex(self._store.run, limits or WardLimits(), now, ttl_s)

    async def latest(self, patient_id: str) -> PatientRow | None:
        """Latest state of a patient, by any identifier; two round trips."""
        digest = patient_digest(patient_id)
        [[family]] = await self._store.run([families_call([digest])])
        identifiers = family_names(patient_id, digest, family)
        replies = await self._store.run([latest_call(each) for each in identifiers])
        told = [read_latest(each, reply) for each, reply in zip(identifiers, replies, strict=True)]
        return patient_row(identifiers, [seen for each in told for seen in each.seen])

    async def ward(self, ward_id: str, order: Order, limit: int = 50, offset: int = 0) -> list[PatientRow]:
        """Give patients of a ward in an order; see :class:`streams.worklist.WardReads`."""
        if limit < 1 or offset < 0:
            return []
        rows: list[PatientRow] = []
        for _ in range(_MOST_READINGS):
            asked = page_call(ward_id, order, limit, offset, self._index.oldest_us)
            [page] = await self._store.run([asked])
            rows, wrong = await self._checked(ward_id, read_page(ward_id, page))
            if not wrong:
                break
            await self._put_right(ward_id, wrong)
        return rows

    async def size(self, ward_id: str) -> int:
        """Count a ward's patients."""
        [size] = await self._store.run([size_call(ward_id, self._index.oldest_us)])
        return int(size)

    async def wards(self) -> list[str]:
        """Name the wards that had an ECG lately, in alphabetical order."""
        [names] = await self._store.run([names_call(self._index.oldest_us)])
        return sorted(name.decode() for name in names)

    async def close(self) -> None:
        """Close all connections."""
        await self._store.close()

    async def _checked(self, ward_id: str, entries: Sequence[Entry]) -> tuple[list[PatientRow], list[Entry]]:
        """Make the rows of a page of the patients' own points; and say which entries are wrong."""
        readable = [entry for entry in entries if entry.identifiers]
        if not readable:
            return [], list(entries)
        names = [name for entry in readable for name in entry.identifiers]
        asked = families_call([patient_digest(entry.identifiers[0]) for entry in readable])
        families, *replies = await self._store.run([asked, *map(latest_call, names)])
        told = {name: read_latest(name, reply).seen for name, reply in zip(names, replies, strict=True)}
        rows, wrong = [], [entry for entry in entries if not entry.identifiers]
        for entry, family in zip(readable, families, strict=True):
            row = patient_row(entry.identifiers, [seen for name in entry.identifiers for seen in told[name]])
            first = entry.identifiers[0]
            one_patient = set(family_names(first, patient_digest(first), family)) == set(entry.identifiers)
            if row is not None and row.ward_id == ward_id and one_patient:
                rows.append(row)
            if row is None or not one_patient or not _agree(entry, row, ward_id):
                wrong.append(entry)
        return rows, wrong

    async def _put_right(self, ward_id: str, wrong: Sequence[Entry]) -> None:
        patients = [entry.identifiers[0] for entry in wrong if entry.identifiers]
        families = []
        if patients:
            [replies] = await self._store.run([families_call([patient_digest(name) for name in patients])])
            families = [
                family_names(name, patient_digest(name), reply)
                for name, reply in zip(patients, replies, strict=True)
            ]
        also_off = {entry.patient: [ward_id] for entry in wrong}
        await self._index.list_families(list(dict.fromkeys(families)), {}, also_off)


def _agree(entry: Entry, row: PatientRow, ward_id: str) -> bool:
    acquired_us = microseconds(row.last.acquired_at)
    return (
        row.ward_id == ward_id
        and patient_digest(row.patient_id) == entry.patient
        and entry.ranks == ranks(row)
        and entry.acquired_us <= acquired_us  # less where a cart's clock ran ahead
    )
