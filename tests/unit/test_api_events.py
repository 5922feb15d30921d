"""Live events: who is told of what, what is told after a broken connection, and how streams end."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_cases import act
from care_api import ALERT, NOW, OTHER_ALERT, Hospital, alarm_of, hospital

from schemas.audit import CareVerb
from streams.api.doors import Caller
from streams.api.event_log import ChangeKind, EventLog, follow_book
from streams.api.events import stream

DEADLINE_S = 10.0
HEARTBEAT_S = 0.02


@pytest.fixture
def place(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


def caller(place: Hospital, name: str) -> Caller:
    assert place.doors.tokens is not None
    token = place.doors.tokens.bearer(place.tokens[name])
    assert token is not None
    return Caller(token=token)


def events(
    place: Hospital, name: str = "viewer", number: int = 0, beat_s: float = 60.0
) -> AsyncIterator[str]:
    return stream(place.services, place.changes, place.doors, caller(place, name), number, beat_s)


async def taken(told: AsyncIterator[str], n: int) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    async with asyncio.timeout(DEADLINE_S):
        async for text in told:
            if text.startswith(":"):
                continue
            lines = dict(line.split(": ", 1) for line in text.strip().splitlines())
            found.append((lines["event"], json.loads(lines["data"])))
            if len(found) == n:
                break
    return found


async def test_what_happens_in_the_book_is_told_as_it_happens(place: Hospital) -> None:
    following = asyncio.create_task(follow_book(place.book, place.changes))
    await asyncio.sleep(0)
    told = asyncio.create_task(taken(events(place), 2))
    await place.book.append(act(ALERT, CareVerb.ACKNOWLEDGED, NOW))
    place.book.take(OTHER_ALERT)
    kinds = await told
    assert [(kind, row["alert_id"], row["state"]) for kind, row in kinds] == [
        ("alert", ALERT.alert_id, "ACKNOWLEDGED"),
        ("alert", OTHER_ALERT.alert_id, "RAISED"),
    ]
    place.book.readers.end()
    await following


async def test_alarms_are_told_when_they_begin_and_end_and_mutes_are_not(place: Hospital) -> None:
    following = asyncio.create_task(follow_book(place.book, place.changes))
    await asyncio.sleep(0)
    place.book.open_alarms.append(alarm_of(2))
    place.book.readers.tell(alarm_of(2).alarm_id, "a subject that was muted")
    assert await taken(events(place), 1) == [("alarm", told_of(place, 2))]
    ended = place.book.open_alarms.pop(0)
    place.book.readers.tell(ended.alarm_id)
    told = await taken(events(place, number=1), 1)
    assert told == [("alarm", {"alarm_id": ended.alarm_id, "ended": True})]
    assert place.changes.number == 2
    place.book.readers.end()
    await following


def told_of(place: Hospital, number: int) -> dict[str, Any]:
    return {
        "alarm_id": alarm_of(number).alarm_id,
        "kind": "FEED_SILENT",
        "priority": "MEDIUM",
        "source": "http north",
        "started_at": "2026-03-01T11:00:00Z",
        "message": "The cart is silent.",
        "action_text": "Look whether the cart is on.",
        "ended_at": None,
    }


async def test_alerts_of_other_wards_are_not_told(place: Hospital) -> None:
    place.changes.note(ChangeKind.ALERT, ALERT.alert_id)
    place.changes.note(ChangeKind.ALERT, OTHER_ALERT.alert_id)
    assert [row["ward_id"] for _, row in await taken(events(place, "w1-viewer"), 1)] == ["W1"]
    assert [row["ward_id"] for _, row in await taken(events(place, "w2-clinician"), 1)] == ["W2"]
    place.changes.end()
    assert await taken(events(place, "south-admin"), 1) == []


async def test_a_connection_that_broke_is_told_what_it_missed(place: Hospital) -> None:
    place.changes.note(ChangeKind.ALERT, ALERT.alert_id)
    last_event_id = place.changes.name_of(place.changes.number)
    place.changes.note(ChangeKind.ALERT, OTHER_ALERT.alert_id)
    number = place.changes.place_of(last_event_id)
    assert number == 1
    assert [row["alert_id"] for _, row in await taken(events(place, number=1), 1)] == [OTHER_ALERT.alert_id]


@pytest.mark.parametrize("name", ["", "x-1", "1", "{run}-", "{run}-99", "{run}--1", "{run}-1x", "{run}-0"])
def test_a_place_that_is_not_ours_or_fell_out_is_not_known(name: str) -> None:
    log = EventLog(max_changes=3)
    for _ in range(5):
        log.note(ChangeKind.ALERT, "a")
    run = log.name_of(0).partition("-")[0]
    assert log.place_of(name.format(run=run)) is None
    assert [log.place_of(f"{run}-{number}") for number in (1, 2, 5)] == [None, 2, 5]


async def test_a_reader_that_is_too_slow_is_told_to_load_anew(place: Hospital) -> None:
    place.changes = EventLog(max_changes=2)
    told = events(place)
    for _ in range(5):
        place.changes.note(ChangeKind.ALERT, ALERT.alert_id)
    assert await taken(told, 1) == [("reset", {})]


async def test_what_changed_often_is_told_once_as_it_is_now(place: Hospital) -> None:
    for _ in range(5):
        place.changes.note(ChangeKind.ALERT, ALERT.alert_id)
    place.changes.end()
    first = asyncio.create_task(taken(events(place), 2))
    assert await first == []  # streams end even before what waits is told: clients come again
    log = place.changes = EventLog()
    for _ in range(5):
        log.note(ChangeKind.ALERT, ALERT.alert_id)
    told = asyncio.create_task(taken(events(place), 2))
    await asyncio.sleep(0.01)
    log.end()
    assert len(await told) == 1


async def test_quiet_streams_beat_and_end_when_told(place: Hospital) -> None:
    told = events(place, beat_s=HEARTBEAT_S)
    assert (await anext(told)).startswith(":")
    waiting = asyncio.create_task(anext(told, None))
    place.changes.end()
    async with asyncio.timeout(DEADLINE_S):
        while await waiting is not None:
            waiting = asyncio.create_task(anext(told, None))


async def test_a_withdrawn_token_ends_its_streams(place: Hospital, tmp_path: Path) -> None:
    told = events(place, beat_s=HEARTBEAT_S)
    assert (await anext(told)).startswith(":")
    file = tmp_path / "tokens.toml"
    entries = file.read_text().replace('roles = ["viewer"]', 'roles = ["clinician"]', 1)
    file.write_text(entries)
    async with asyncio.timeout(DEADLINE_S):
        assert [text async for text in told] == []


async def test_the_endpoint_says_to_load_anew_and_bounds_how_many_listen(tmp_path: Path) -> None:
    place = hospital(tmp_path)
    place.changes.end()  # so that streams end at once and the answer is whole
    async with place.client("viewer") as client:
        first = await client.get("/v1/alerts/events")
        known = {"Last-Event-ID": place.changes.name_of(0)}
        again = await client.get("/v1/alerts/events", headers=known)
    assert first.headers["content-type"].startswith("text/event-stream")
    assert "event: reset" in first.text
    assert "event: reset" not in again.text


async def test_an_alert_of_who_was_moved_is_told_to_the_old_ward_and_the_new(place: Hospital) -> None:
    moved = replace(ALERT, alert_id=ALERT.alert_id[:-1] + "0", ward_id="W2")  # its patient lies in W1
    place.book.take(moved)
    place.changes.note(ChangeKind.ALERT, moved.alert_id)
    for holder in ("w1-viewer", "w2-clinician"):
        assert [row["alert_id"] for _, row in await taken(events(place, holder), 1)] == [moved.alert_id]
