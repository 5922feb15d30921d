"""Acts over the API: once for each key, refused in words, and quiet only for what is the caller's."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from alert_cases import alert, closed
from care_api import ALERT, ELSEWHERE, OLD_NAME, PATIENT, Hospital, hospital

from schemas.audit import CareScope, CareVerb

PATH = f"/v1/alerts/{ALERT.alert_id}"
UNTIL = "2026-03-02T12:00:00Z"


@pytest.fixture
def place(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


async def post(
    place: Hospital, path: str, holder: str = "clinician", key: str = "", **body: Any
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    async with place.client(holder) as client:
        place.clock.tick()
        return await client.post(path, json=body, headers=headers)


async def test_an_act_answers_the_state_after_it(place: Hospital) -> None:
    told = (await post(place, f"{PATH}/acknowledge")).json()
    assert (told["state"], told["is_open"], told["answered_by"]) == ("ACKNOWLEDGED", False, "clinician")
    assert told["allowed"] == ["acknowledge", "accept", "reject", "outcome"]
    (act,) = place.book.appended
    assert (act.verb, act.actor, act.origin) == (CareVerb.ACKNOWLEDGED, "clinician", "api")


async def test_the_same_key_is_the_same_act_also_when_the_alert_moved_on(place: Hospital) -> None:
    mute = {"until": UNTIL, "text": "echo at noon"}
    first = await post(place, f"{PATH}/mute", key="k1", **mute)
    await post(place, f"{PATH}/acknowledge", key="k2")
    again = await post(place, f"{PATH}/mute", key="k1", **mute)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["state"] == "ACKNOWLEDGED"
    assert len({act.action_id for act in place.book.appended}) == 2


async def test_the_end_of_a_quiet_sent_again_is_the_same_act(place: Hospital) -> None:
    which = {"scope": "WARD", "subject": "W1"}
    assert await mute(place, "WARD", "W1", "clinician") == 200

    async def end(key: str, holder: str = "clinician") -> int:
        place.clock.tick()
        async with place.client(holder) as client:
            got = await client.delete(
                "/v1/mutes", params=which, headers={"Idempotency-Key": key} if key else {}
            )
        return got.status_code

    assert [await end("k1"), await end("k1"), await end("k2"), await end("")] == [200, 200, 409, 409]
    assert await end("k1", "w1-clinician") == 409  # somebody else's key
    assert [act.verb for act in place.book.appended] == [CareVerb.MUTED, CareVerb.UNMUTED]
    # Muted anew meanwhile: what came late ends nothing of that.
    assert await mute(place, "WARD", "W1", "clinician") == 200
    assert await end("k1") == 200
    assert len(place.book.book.mutes) == 1
    assert await end("k3") == 200
    assert len(place.book.book.mutes) == 0


async def test_quiet_asked_for_again_is_the_same_act_also_when_its_time_is_over(place: Hospital) -> None:
    about = {"scope": "WARD", "subject": "W1", "until": UNTIL, "text": "works"}
    assert (await post(place, "/v1/mutes", key="k1", **about)).status_code == 200
    place.clock.now += timedelta(days=3)
    assert (await post(place, "/v1/mutes", key="k1", **about)).status_code == 200
    assert len(place.book.appended) == 1
    assert (await post(place, "/v1/mutes", key="k2", **about)).status_code == 422


async def test_what_the_life_of_an_alert_does_not_allow_is_a_conflict(place: Hospital) -> None:
    await post(place, f"{PATH}/accept")
    got = await post(place, f"{PATH}/mute", until=UNTIL, text="echo at noon")
    assert (got.status_code, got.json()["code"]) == (409, "NOT_ALLOWED")
    assert "accepted" in got.json()["detail"]
    assert len(place.book.appended) == 1


@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("reject", {}, "REASON_MISSING"),
        ("reject", {"code": "other"}, "REASON_MISSING"),
        ("mute", {"until": UNTIL}, "REASON_MISSING"),
        ("mute", {"until": UNTIL, "text": " "}, "REASON_MISSING"),
        ("mute", {"text": "echo at noon"}, "EXPIRY_MISSING"),
        ("mute", {"text": "echo at noon", "until": "2026-03-01T00:00:00Z"}, "EXPIRY_PAST"),
        ("mute", {"text": "echo at noon", "until": "2027-03-01T00:00:00Z"}, "EXPIRY_TOO_FAR"),
        ("unmute", {}, "NOT_ALLOWED"),
        ("outcome", {"outcome": "CONFIRMED"}, "NOT_ALLOWED"),
    ],
)
async def test_what_is_missing_is_said(verb: str, body: dict[str, str], code: str, place: Hospital) -> None:
    got = await post(place, f"{PATH}/{verb}", **body)
    assert (got.status_code, got.json()["code"]) == (409 if code == "NOT_ALLOWED" else 422, code)
    assert place.book.appended == []


@pytest.mark.parametrize("body", [{"code": "because"}, {"unknown": 1}, {"until": "2026-03-02T12:00:00"}])
async def test_what_is_not_understood_is_not_done(body: dict[str, Any], place: Hospital) -> None:
    got = await post(place, f"{PATH}/reject", **body)
    assert (got.status_code, got.json()["code"]) == (400, "BAD_REQUEST")
    assert "because" not in got.text


async def test_of_the_judged_the_rejected_are_a_share_also_once_they_are_closed(place: Hospital) -> None:
    async def share() -> tuple[int, float | None]:
        async with place.client("clinician") as client:
            told = (await client.get("/v1/alerts", params={"limit": 1})).json()
        return told["n_judged"], told["rejected_share"]

    assert await share() == (0, None)  # of nothing there is no share, and not 0
    await post(place, f"{PATH}/accept")
    assert await share() == (1, 0.0)
    await post(place, f"{PATH}/reject", code="not-plausible")
    assert await share() == (1, 1.0)  # the last word counts
    place.book.book.take_alert(closed(ALERT), place.clock.now)
    assert (await share()) == (1, 1.0)
    place.book.take(alert(77))
    await post(place, f"/v1/alerts/{alert(77).alert_id}/accept")
    assert await share() == (2, 0.5)


async def test_an_outcome_is_a_label(place: Hospital) -> None:
    await post(place, f"{PATH}/reject", code="not-plausible", text="echo normal")
    told = (await post(place, f"{PATH}/outcome", outcome="NOT_CONFIRMED")).json()
    assert [(act["verb"], act["outcome"], act["reason"]) for act in told["acts"]] == [
        ("REJECTED", "NOT_STATED", "not-plausible: echo normal"),
        ("OUTCOME", "NOT_CONFIRMED", ""),
    ]


async def mute(place: Hospital, scope: str, subject: str, holder: str, **site: str) -> int:
    got = await post(
        place, "/v1/mutes", holder, scope=scope, subject=subject, until=UNTIL, text="planned works", **site
    )
    return got.status_code


async def test_quiet_is_asked_for_by_whom_it_belongs_to(place: Hospital) -> None:
    asked = [
        ("PATIENT", PATIENT, "w1-clinician", 200),
        ("PATIENT", ELSEWHERE, "w1-clinician", 404),
        ("WARD", "W1", "w1-clinician", 200),
        ("WARD", "W1", "w2-clinician", 404),
        ("WARD", "W1", "south-admin", 403),  # the name alone would silence another site's ward too
        ("SITE", "north", "clinician", 403),
        ("SITE", "north", "south-admin", 404),
        ("SITE", "north", "w2-admin", 404),
        ("SITE", "north", "admin", 200),
        ("WARD", "W1", "viewer", 403),
    ]
    assert [await mute(place, *each) for *each, _ in asked] == [status for *_, status in asked]
    assert {act.scope for act in place.book.appended} == {CareScope.PATIENT, CareScope.WARD, CareScope.SITE}


async def test_a_ward_of_ones_own_site_is_kept_quiet_there_alone(place: Hospital) -> None:
    asked = [
        ({"site_id": "south"}, "south-admin", 200),
        ({"site_id": "north"}, "south-admin", 404),
        ({}, "south-admin", 403),
        ({"site_id": "north"}, "w2-clinician", 404),
    ]
    got = [await mute(place, "WARD", "W1", holder, **site) for site, holder, _ in asked]
    assert got == [status for *_, status in asked]
    async with place.client("w1-clinician") as client:
        assert (await client.get(PATH)).json()["is_muted"] is False
    assert await mute(place, "WARD", "W1", "w1-clinician", site_id="north") == 200
    async with place.client("w1-clinician") as client:
        assert (await client.get(PATH)).json()["is_muted"] is True
        shown = (await client.get("/v1/mutes")).json()["mutes"]
        assert sorted(each["site_id"] for each in shown) == ["north", "south"]
        which = {"scope": "WARD", "subject": "W1"}
        assert (await client.delete("/v1/mutes", params=which)).status_code == 409
        place.clock.tick()
        ended = await client.delete("/v1/mutes", params=which | {"site_id": "north"})
        assert [each["site_id"] for each in ended.json()["mutes"]] == ["south"]
        assert (await client.get(PATH)).json()["is_muted"] is False


async def test_of_a_site_that_is_not_ones_own_no_wards_quiet_is_seen(place: Hospital) -> None:
    for site_id in ("north", "south"):
        assert await mute(place, "WARD", "W1", "admin", site_id=site_id) == 200
    async with place.client("south-admin") as client:
        shown = (await client.get("/v1/mutes")).json()["mutes"]
    assert [each["site_id"] for each in shown] == ["south"]


async def test_only_a_ward_has_a_site(place: Hospital) -> None:
    got = await post(
        place, "/v1/mutes", scope="PATIENT", subject=PATIENT, site_id="north", until=UNTIL, text="works"
    )
    assert (got.status_code, got.json()["code"]) == (422, "SITE_NOT_FOR_THIS")
    assert place.book.appended == []


async def test_quiet_shows_on_alerts_is_seen_by_its_own_and_can_be_ended(place: Hospital) -> None:
    await mute(place, "PATIENT", PATIENT, "clinician")
    async with place.client("w2-clinician") as client:
        assert (await client.get("/v1/mutes")).json()["mutes"] == []
    async with place.client("w1-clinician") as client:
        (seen,) = (await client.get("/v1/mutes")).json()["mutes"]
        assert (seen["subject"], seen["reason"], seen["until"]) == (PATIENT, "planned works", UNTIL)
        assert (await client.get(PATH)).json()["is_muted"] is True
        which = {"scope": "PATIENT", "subject": PATIENT}
        place.clock.tick()
        ended = await client.delete("/v1/mutes", params=which)
        assert (ended.status_code, ended.json()["mutes"]) == (200, [])
        assert (await client.delete("/v1/mutes", params=which)).status_code == 409
        assert (await client.get(PATH)).json()["is_muted"] is False


async def test_a_patient_is_kept_quiet_by_any_identifier_under_the_one_in_use(place: Hospital) -> None:
    place.store.names[OLD_NAME] = (PATIENT, OLD_NAME)
    assert await mute(place, "PATIENT", OLD_NAME, "clinician") == 200
    async with place.client("clinician") as client:
        (seen,) = (await client.get("/v1/mutes")).json()["mutes"]
        assert seen["subject"] == PATIENT
        assert (await client.get(PATH)).json()["is_muted"] is True
        place.clock.tick()
        ended = await client.delete("/v1/mutes", params={"scope": "PATIENT", "subject": OLD_NAME})
        assert (ended.status_code, ended.json()["mutes"]) == (200, [])
        assert (await client.get(PATH)).json()["is_muted"] is False


async def test_what_was_kept_quiet_before_a_merge_is_ended_as_it_was_asked_for(place: Hospital) -> None:
    place.store.names.pop(OLD_NAME, None)
    assert await mute(place, "PATIENT", OLD_NAME, "clinician") == 200
    place.store.names[OLD_NAME] = (PATIENT, OLD_NAME)
    place.clock.tick()
    async with place.client("clinician") as client:
        ended = await client.delete("/v1/mutes", params={"scope": "PATIENT", "subject": OLD_NAME})
    assert (ended.status_code, ended.json()["mutes"]) == (200, [])


async def test_whoever_reads_what_is_quiet_is_noted_as_looking_at_its_patients(place: Hospital) -> None:
    await mute(place, "PATIENT", PATIENT, "clinician")
    await mute(place, "WARD", "W1", "clinician")
    place.looks.patients.clear()
    for holder in ("w1-viewer", "w2-clinician"):
        async with place.client(holder) as client:
            await client.get("/v1/mutes")
    assert place.looks.patients == [("w1-viewer", PATIENT)]
