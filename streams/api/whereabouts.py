"""Where patients lie now, for alerts whose patient was moved since; asked of the ward lists, not for long.

An alert must be seen when Redis is away, too: then nothing is known of moves, and it is its own ward's.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from streams.api.tokens import CareToken
from streams.history import HistoryUnavailableError
from streams.worklist import PatientRow, WardReads

#: Longest wait for it, s: an alert must be seen within two seconds, and one is left for all the rest.
WITHIN_S: Final = 1.0


async def lying_in(wards: WardReads, token: CareToken, names: Iterable[str] | None) -> Mapping[str, str]:
    """Return the ward of each patient, by every identifier, who lies now in wards the token sees.

    Parameters
    ----------
    names : iterable of str or None
        These wards alone; None: all that the token sees.

    Returns
    -------
    mapping of str to str
        Empty when that is not known in time.
    """
    found: dict[str, str] = {}
    try:
        async with asyncio.timeout(WITHIN_S):
            for name in await wards.wards() if names is None else names:
                if token.sees_ward(name):
                    found |= _by_identifier(await _everybody(wards, name), token)
    except (HistoryUnavailableError, TimeoutError):
        return {}
    return found


async def rows_now(wards: WardReads, patient_ids: Collection[str]) -> Mapping[str, PatientRow]:
    """Return what is known of a few patients by the identifiers asked for; empty when that takes too long."""
    asked = list(dict.fromkeys(patient_ids))
    try:
        async with asyncio.timeout(WITHIN_S):
            rows = await asyncio.gather(*(wards.latest(each) for each in asked))
    except (HistoryUnavailableError, TimeoutError):
        return {}
    return {each: row for each, row in zip(asked, rows, strict=True) if row is not None}


async def lies_with(wards: WardReads, token: CareToken, patient_id: str) -> bool:
    """Whether the patient lies now in a ward that the token sees, as far as that is known in time."""
    row = (await rows_now(wards, [patient_id])).get(patient_id)
    return row is not None and token.sees(row.site_id, row.ward_id)


async def _everybody(wards: WardReads, name: str) -> list[PatientRow]:
    return await wards.ward(name, "age", max(await wards.size(name), 1), 0)


def _by_identifier(rows: Iterable[PatientRow], token: CareToken) -> dict[str, str]:
    return {
        each: row.ward_id for row in rows if token.sees(row.site_id, row.ward_id) for each in row.identifiers
    }
