"""What the read API says of patients, wards, alerts, the system: whole, in order, null where nothing is."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alert_cases import RAISED_AT, act, closed
from assessments import nth_ecg_id
from care_api import ALERT, ELSEWHERE, NOW, OLD_NAME, OTHER_ALERT, PATIENT, Hospital, hospital, risk

from schemas.audit import CareVerb
from schemas.feed import FeedHealth
from streams.feeds.producer import BrokerUnavailableError
from streams.history import history_point

HISTORY = f"/v1/patients/{PATIENT}/history"


@pytest.fixture
def place(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


async def get(place: Hospital, path: str, holder: str = "viewer", **params: Any) -> Any:
    async with place.client(holder) as client:
        got = await client.get(path, params=params)
        assert got.status_code == 200, got.text
        return got.json()


async def test_a_history_has_every_point_and_null_where_nothing_was_scored(place: Hospital) -> None:
    told = await get(place, HISTORY)
    assert [point["probability"] for point in told["points"]] == [0.2, None, 0.4, 0.9]
    missing = told["points"][1]
    assert (missing["phenotype"], missing["not_scored_reasons"]) == ("NOT_SCORED", ["LEAD_OFF:V3"])
    for name in ("probability_low", "probability_high", "e_prime_cm_s", "e_over_a", "pr_ms", "qtc_ms"):
        assert missing[name] is None
    newest = told["points"][-1]
    assert (newest["probability_low"], newest["probability_high"], newest["e_prime_cm_s"]) == (0.8, 0.95, 5.0)
    assert newest["acquired_at"] == "2026-03-01T09:00:00Z"
    assert newest["ecg_id"] == nth_ecg_id(5)


async def test_merged_identifiers_are_named_whichever_was_asked_for(place: Hospital) -> None:
    for asked in (PATIENT, OLD_NAME):
        told = await get(place, f"/v1/patients/{asked}/history")
        assert (told["patient_id"], told["identifiers"]) == (PATIENT, [PATIENT, OLD_NAME])
        assert told["points"][0]["patient_id"] == OLD_NAME


async def test_alerts_acts_and_bundle_changes_are_marked(place: Hospital) -> None:
    at = RAISED_AT + timedelta(minutes=3)
    place.book.book.take_act(act(ALERT, CareVerb.DELIVERED, at, channel="mail"))
    place.book.book.take_act(act(ALERT, CareVerb.REJECTED, at, reason="poor-recording"))
    place.book.book.take_alert(closed(ALERT), NOW)
    told = await get(place, HISTORY)
    assert [(mark["kind"], mark["text"]) for mark in told["alerts"]] == [
        ("ALERT", ALERT.change_text),
        ("CLOSED", "risk is low again"),
        ("ACT", "rejected by nurse: poor-recording"),
    ]
    assert told["bundle_changes"] == [{"at": "2026-03-01T07:00:00Z", "before": "b1", "after": "b2"}]
    marks = await get(place, f"/v1/patients/{PATIENT}/marks")
    assert sorted(mark["kind"] for mark in marks) == ["ACT", "ALERT", "BUNDLE", "CLOSED"]
    assert [mark["at"] for mark in marks] == sorted(mark["at"] for mark in marks)


async def test_ecgs_scored_by_two_bundles_tell_of_one_change(place: Hospital) -> None:
    place.store.points.append(history_point(risk(5, 0.85, PATIENT, bundle_version="b1")))
    told = await get(place, HISTORY)
    assert len(told["points"]) == 5
    assert len(told["bundle_changes"]) == 1


async def test_a_range_and_a_limit_leave_out_and_say_so(place: Hospital) -> None:
    told = await get(place, HISTORY, since="2026-03-01T07:00:00+01:00", until="2026-03-01T09:00:00Z")
    assert [point["probability"] for point in told["points"]] == [None, 0.4]
    assert told["has_earlier"] is False
    newest = await get(place, HISTORY, limit=1)
    assert ([point["probability"] for point in newest["points"]], newest["has_earlier"]) == ([0.9], True)


async def test_times_without_a_zone_are_not_guessed(place: Hospital) -> None:
    async with place.client() as client:
        got = await client.get(HISTORY, params={"since": "2026-03-01T07:00:00"})
        assert (got.status_code, got.json()["code"]) == (400, "BAD_REQUEST")


async def test_nobody_of_that_name_is_not_an_empty_history(place: Hospital) -> None:
    async with place.client() as client:
        got = await client.get("/v1/patients/NOBODY/history")
        assert got.status_code == 404
        assert "NOBODY" not in got.text


async def test_identifiers_with_any_sign_are_found(place: Hospital) -> None:
    odd = "A/B 7%é"
    place.store.points.append(history_point(risk(9, 0.3, odd)))
    told = await get(place, "/v1/patients/A%2FB%207%25%C3%A9/history")
    assert told["patient_id"] == odd


async def test_the_latest_state_says_how_old_it_is(place: Hospital) -> None:
    told = await get(place, f"/v1/patients/{PATIENT}/latest")
    assert (told["probability"], told["probability_before"], told["change"]) == (0.9, 0.4, 0.5)
    assert (told["age_s"], told["score_age_s"]) == (3 * 3600 + 600, 3 * 3600 + 600)
    assert (told["n_open_alerts"], told["is_change_across_bundles"]) == (1, False)
    only_one = await get(place, f"/v1/patients/{ELSEWHERE}/latest")
    assert (only_one["probability_before"], only_one["change"]) == (None, None)


async def test_wards_and_lists_show_the_callers_own(place: Hospital) -> None:
    everything = await get(place, "/v1/wards")
    assert [(row["ward_id"], row["n_open_alerts"]) for row in everything["wards"]] == [("W1", 1), ("W2", 1)]
    assert [row["ward_id"] for row in (await get(place, "/v1/wards", "w1-viewer"))["wards"]] == ["W1"]
    assert (await get(place, "/v1/wards/W1/worklist", "w1-viewer"))["patients"][0]["patient_id"] == PATIENT
    assert (await get(place, "/v1/alerts", "w1-viewer"))["total"] == 1
    assert (await get(place, "/v1/alerts", "south-admin"))["total"] == 0
    assert (await get(place, "/v1/wards/W1/worklist", "south-admin"))["total"] == 0
    assert (await get(place, "/v1/wards", "south-admin"))["wards"] == []


async def test_alerts_are_filtered_paged_and_newest_first(place: Hospital) -> None:
    place.book.book.take_act(act(OTHER_ALERT, CareVerb.ACKNOWLEDGED, NOW))
    told = await get(place, "/v1/alerts", limit=1)
    assert (told["n_judged"], told["rejected_share"]) == (0, None)
    assert (told["total"], len(told["alerts"]), told["is_current"]) == (2, 1, True)
    assert (await get(place, "/v1/alerts", limit=1, offset=1))["alerts"] != told["alerts"]
    for filters, wanted in (
        ({"state": "OPEN"}, [ALERT.alert_id]),
        ({"state": ["ACKNOWLEDGED", "CLOSED"]}, [OTHER_ALERT.alert_id]),
        ({"ward": "W2"}, [OTHER_ALERT.alert_id]),
        ({"since": "2026-03-01T12:00:01Z"}, []),
    ):
        found = await get(place, "/v1/alerts", **filters)
        assert [row["alert_id"] for row in found["alerts"]] == wanted


async def test_an_alert_says_all_its_reader_needs(place: Hospital) -> None:
    told = await get(place, f"/v1/alerts/{ALERT.alert_id}")
    assert (told["state"], told["severity"], told["age_s"], told["is_open"]) == ("RAISED", "HIGH", 600, True)
    assert (told["probability_before"], told["answered_by"], told["closed_at"]) == (None, None, None)
    assert told["motion"]["e_prime_cm_s"] == 5.0
    assert told["motion"]["ivrt_ms"] is None
    assert told["measurements"]["pr_ms"] is None
    assert told["allowed"] == ["acknowledge", "accept", "reject", "mute"]
    assert told["not_for_text"] == ALERT.not_for_text


async def test_whoever_was_paged_keeps_the_alert_when_the_patient_is_moved(place: Hospital) -> None:
    place.store.rows[0] = replace(place.store.rows[0], ward_id="W2")
    for holder in ("w1-viewer", "w2-clinician"):
        await get(place, f"/v1/alerts/{ALERT.alert_id}", holder)
    async with place.client("w1-viewer") as client:
        assert (await client.get(HISTORY)).status_code == 404
    await get(place, HISTORY, "w2-clinician")


async def test_each_look_is_noted_with_who_looked(place: Hospital) -> None:
    for path in (HISTORY, f"/v1/patients/{OLD_NAME}/latest", f"/v1/ecgs/{ALERT.ecg_id}/strip.svg"):
        async with place.client("viewer") as client:
            assert (await client.get(path)).status_code == 200
    await get(place, f"/v1/alerts/{ALERT.alert_id}")
    assert place.looks.patients == [("viewer", PATIENT)] * 4
    assert place.looks.alerts == [("viewer", ALERT.alert_id)]
    await get(place, "/v1/alerts")
    await get(place, "/v1/wards/W2/worklist", "clinician")
    assert place.looks.wards == [("viewer", "W1"), ("viewer", "W2"), ("clinician", "W2")]


async def test_what_is_away_is_said_and_nothing_is_made_up(place: Hospital) -> None:
    place.store.is_away = True
    place.book.is_current, place.book.behind_s = False, 90.0
    async with place.client("w1-viewer") as client:
        for path in (HISTORY, "/v1/wards", "/v1/wards/W1/worklist", f"/v1/patients/{PATIENT}/latest"):
            got = await client.get(path)
            assert (got.status_code, got.json()["code"]) == (503, "HISTORY_UNAVAILABLE")
            assert "retry-after" in got.headers
        listed = (await client.get("/v1/alerts")).json()
        assert (listed["is_current"], listed["behind_s"], listed["total"]) == (False, 90.0, 1)
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["missing"]) == (503, ["book", "history"])
        assert (await client.get("/healthz")).status_code == 200


async def test_the_card_says_what_the_model_is_not_for(place: Hospital) -> None:
    told = await get(place, "/v1/card")
    assert told["not_for_text"].startswith("Not for anything else")
    assert (told["manifest"]["bundle_version"], told["high_from_probability"]) == ("tiny", 0.5)
    async with place.client("viewer") as client:
        text = await client.get("/v1/card", headers={"Accept": "text/markdown"})
    assert text.headers["content-type"].startswith("text/markdown")
    assert "# Model card: tiny" in text.text


async def test_feeds_and_alarms_are_told(place: Hospital) -> None:
    place.feeds.reports.append(quiet())
    told = await get(place, "/v1/feeds")
    assert (told[0]["source"], told[0]["silence_s"], told[0]["clock_skew_s"]) == ("cart-1", 300.0, None)
    assert told[0]["refusals"] == [{"code": "NO_PATIENT", "count": 1}]
    assert (told[1]["silence_s"], told[1]["last_received_at"]) == (None, None)
    assert [row["site_id"] for row in await get(place, "/v1/feeds", "south-admin")] == ["south"]
    (alarm,) = await get(place, "/v1/alarms")
    assert (alarm["action_text"], alarm["ended_at"]) == ("Look whether the cart is on.", None)


def quiet() -> FeedHealth:
    return FeedHealth(
        feed="mllp",
        source="engine",
        site_id="south",
        reported_at=NOW,
        n_received=0,
        n_accepted=0,
        n_repeated=0,
        n_quarantined=0,
    )


async def test_an_act_that_kafka_does_not_take_is_not_answered_as_done(place: Hospital) -> None:
    place.book.trouble = BrokerUnavailableError("Kafka did not take it; doing it again is harmless")
    async with place.client("clinician") as client:
        got = await client.post(f"/v1/alerts/{ALERT.alert_id}/acknowledge")
        assert (got.status_code, got.json()["code"]) == (503, "BROKER_UNAVAILABLE")
    assert (await get(place, f"/v1/alerts/{ALERT.alert_id}"))["state"] == "RAISED"
