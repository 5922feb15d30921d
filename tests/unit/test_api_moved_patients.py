"""A patient who is moved takes the open alert along: to the new ward's lists, inbox and stream of events."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from care_api import ALERT, OLD_NAME, OTHER_ALERT, FakeStore, Hospital, hospital

from streams.api.doors import Caller
from streams.api.event_log import ChangeKind
from streams.api.events import stream
from streams.api.whereabouts import WITHIN_S
from streams.worklist import Order, PatientRow

BOTH = {ALERT.alert_id, OTHER_ALERT.alert_id}


@pytest.fixture
def place(tmp_path: Path) -> Hospital:
    """P-1, whose alert was raised in W1, lies in W2 now."""
    made = hospital(tmp_path)
    made.store.rows[0] = replace(made.store.rows[0], ward_id="W2")
    return made


async def listed(place: Hospital, holder: str, **params: Any) -> set[str]:
    async with place.client(holder) as client:
        got = (await client.get("/v1/alerts", params=params)).json()
        assert got["total"] == len(got["alerts"])
        return {row["alert_id"] for row in got["alerts"]}


async def shown(place: Hospital, holder: str, path: str = "/") -> set[str]:
    async with place.client(holder, headers={"Accept": "text/html"}) as client:
        return set(re.findall(r'data-alert="([^"]+)"', (await client.get(path)).text))


def caller(place: Hospital, name: str) -> Caller:
    assert place.doors.tokens is not None
    token = place.doors.tokens.bearer(place.tokens[name])
    assert token is not None
    return Caller(token=token)


async def streamed(place: Hospital, holder: str) -> set[str]:
    """Alerts that the stream tells before an alarm, which is told to everybody."""
    for each in (ALERT, OTHER_ALERT):
        place.changes.note(ChangeKind.ALERT, each.alert_id)
    place.changes.note(ChangeKind.ALARM, place.book.open_alarms[0].alarm_id)
    found: set[str] = set()
    async with asyncio.timeout(10):
        async for text in stream(place.services, place.changes, place.doors, caller(place, holder), 0, 60.0):
            if "event: alarm" in text:
                return found
            found |= set(re.findall(r'"alert_id":"([^"]+)"', text))
    raise AssertionError("the stream ended")


@pytest.mark.parametrize(
    ("holder", "sees"),
    [
        ("w1-viewer", {ALERT.alert_id}),  # who was paged keeps it
        ("w2-clinician", BOTH),
        ("south-admin", set()),
        ("viewer", BOTH),
    ],
)
async def test_its_alert_is_in_both_wards_and_no_other(holder: str, sees: set[str], place: Hospital) -> None:
    assert await listed(place, holder) == sees
    assert await shown(place, holder) == sees
    assert await streamed(place, holder) == sees


@pytest.mark.parametrize("holder", ["viewer", "w2-clinician"])
async def test_a_list_of_one_ward_has_who_lies_there_now(holder: str, place: Hospital) -> None:
    assert await listed(place, holder, ward="W2") == BOTH
    assert await shown(place, holder, "/?ward=W2") == BOTH


async def test_a_merged_identifier_moves_along(place: Hospital) -> None:
    renamed = replace(ALERT, alert_id=ALERT.alert_id[:-1] + "0", patient_id=OLD_NAME)
    place.book.take(renamed)
    assert renamed.alert_id in await listed(place, "w2-clinician")


async def test_wards_count_what_waits_where_it_was_raised_and_where_the_patient_is(place: Hospital) -> None:
    async with place.client("viewer") as client:
        place.store.rows.append(
            replace(place.store.rows[1], patient_id="P-3", identifiers=("P-3",), ward_id="W1")
        )
        told = (await client.get("/v1/wards")).json()["wards"]
    assert [(row["ward_id"], row["n_open_alerts"]) for row in told] == [("W1", 1), ("W2", 2)]


async def test_both_wards_are_named_on_the_row(place: Hospital) -> None:
    async with place.client("w2-clinician", headers={"Accept": "text/html"}) as client:
        for path in ("/", f"/alerts/{ALERT.alert_id}"):
            text = re.sub(r"<[^>]+>", "", (await client.get(path)).text)
            assert re.search(r"W1,\s+now W2", text), path


class SlowStore(FakeStore):
    """Says where patients lie, too late for anybody to wait for it."""

    async def latest(self, patient_id: str) -> PatientRow | None:
        await asyncio.Event().wait()
        return None

    async def ward(self, ward_id: str, order: Order, limit: int = 50, offset: int = 0) -> list[PatientRow]:
        await asyncio.Event().wait()
        return []


@pytest.mark.parametrize("is_slow", [False, True])
async def test_without_redis_alerts_are_their_own_wards_and_soon(is_slow: bool, place: Hospital) -> None:
    if is_slow:
        place.services = replace(place.services, wards=SlowStore(rows=place.store.rows))
    else:
        place.store.is_away = True
    async with asyncio.timeout(4 * WITHIN_S):
        assert await place.services.lying(caller(place, "w2-clinician").token) == {}
        assert await place.services.sees(
            caller(place, "w1-viewer").token, place.book.book.cases[ALERT.alert_id]
        )
        assert await streamed(place, "w2-clinician") == {OTHER_ALERT.alert_id}
    if not is_slow:
        assert await listed(place, "w2-clinician") == {OTHER_ALERT.alert_id}
        assert await listed(place, "w1-viewer") == {ALERT.alert_id}
        assert await shown(place, "w1-viewer") == {ALERT.alert_id}
