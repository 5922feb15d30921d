"""What people may do to an alert, what they must say with it, and that a request sent again is one act."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from alert_cases import alert, book_of, case_of, minutes

from schemas.audit import CareScope, CareVerb, Outcome
from streams.deliver.acts import (
    MAX_MUTE,
    REJECT_TEXTS,
    By,
    CareRefusedError,
    Refusal,
    RejectReason,
    make_act,
    mute_subject,
    reason_of,
    unmute_subject,
    view_subject,
)
from streams.deliver.life import LifeState

BY = By(actor="ward-tablet", origin="inbox")
NOW = minutes(5)


def done(*acts):
    """Return the alert's case after acts that were made one after the other."""
    raised = alert()
    book = book_of(raised)
    for number, (verb, more) in enumerate(acts):
        made = make_act(book.cases[raised.alert_id], verb, BY, NOW + timedelta(minutes=number), **more)
        book.take_act(made)
    return book.cases[raised.alert_id]


@pytest.mark.parametrize(
    ("verb", "more", "state"),
    [
        (CareVerb.ACKNOWLEDGED, {}, LifeState.ACKNOWLEDGED),
        (CareVerb.ACCEPTED, {"text": "echo ordered"}, LifeState.ACCEPTED),
        (CareVerb.REJECTED, {"code": "poor-recording"}, LifeState.REJECTED),
        (CareVerb.MUTED, {"until": minutes(65)}, LifeState.MUTED),
        (CareVerb.VIEWED, {}, LifeState.RAISED),
    ],
)
def test_each_act_leads_where_the_table_says_and_tells_who_did_it(verb, more, state):
    case = done((verb, more))
    assert case.state is state
    (made,) = case.acts
    assert (made.verb, made.actor, made.origin, made.acted_at) == (verb, "ward-tablet", "inbox", NOW)


def test_an_outcome_is_stated_once_somebody_answered():
    with pytest.raises(CareRefusedError, match="before somebody answered") as refused:
        done((CareVerb.OUTCOME, {"outcome": Outcome.CONFIRMED}))
    assert refused.value.is_conflict
    case = done((CareVerb.ACCEPTED, {}), (CareVerb.OUTCOME, {"outcome": Outcome.CONFIRMED}))
    assert case.last(CareVerb.OUTCOME).outcome is Outcome.CONFIRMED


def test_a_mute_ends_before_its_time_on_request_and_only_then():
    case = done((CareVerb.MUTED, {"until": minutes(65)}), (CareVerb.UNMUTED, {}))
    assert case.state is LifeState.RAISED
    with pytest.raises(CareRefusedError, match="is raised and cannot be unmuted"):
        done((CareVerb.UNMUTED, {}))


@pytest.mark.parametrize(
    ("verb", "more", "refusal"),
    [
        (CareVerb.REJECTED, {}, Refusal.REASON_MISSING),
        (CareVerb.REJECTED, {"code": "because"}, Refusal.REASON_UNKNOWN),
        (CareVerb.REJECTED, {"code": "other", "text": " "}, Refusal.REASON_MISSING),
        (CareVerb.ACCEPTED, {"text": "x" * 2001}, Refusal.REASON_TOO_LONG),
        (CareVerb.MUTED, {}, Refusal.EXPIRY_MISSING),
        (CareVerb.MUTED, {"until": datetime(2026, 3, 1, 18)}, Refusal.EXPIRY_MISSING),  # noqa: DTZ001 - that is it
        (CareVerb.MUTED, {"until": NOW}, Refusal.EXPIRY_PAST),
        (CareVerb.MUTED, {"until": NOW + MAX_MUTE + timedelta(seconds=1)}, Refusal.EXPIRY_TOO_FAR),
        (CareVerb.OUTCOME, {}, Refusal.OUTCOME_MISSING),
        (CareVerb.ACKNOWLEDGED, {"key": "k" * 201}, Refusal.KEY_TOO_LONG),
        (CareVerb.DELIVERED, {}, Refusal.NOT_FOR_PEOPLE),
        (CareVerb.EXPIRED, {}, Refusal.NOT_FOR_PEOPLE),
        (CareVerb.ESCALATED, {}, Refusal.NOT_FOR_PEOPLE),
    ],
)
def test_what_is_missing_or_out_of_bounds_is_refused_with_what_to_do(verb, more, refusal):
    with pytest.raises(CareRefusedError) as refused:
        make_act(case_of(alert()), verb, BY, NOW, **more)
    assert refused.value.refusal is refusal
    assert not refused.value.is_conflict
    assert "P-1" not in str(refused.value)


def test_a_mute_of_an_alert_that_was_answered_is_refused():
    with pytest.raises(CareRefusedError, match="is accepted and cannot be muted") as refused:
        done((CareVerb.ACCEPTED, {}), (CareVerb.MUTED, {"until": minutes(65)}))
    assert refused.value.refusal is Refusal.NOT_ALLOWED


def test_a_time_of_another_zone_is_kept_in_utc():
    until = minutes(65).astimezone(timezone(timedelta(hours=2)))
    (made,) = done((CareVerb.MUTED, {"until": until})).acts
    assert made.expires_at == minutes(65)
    assert made.expires_at.tzinfo is UTC


def test_a_request_sent_again_is_the_same_act_also_when_the_alert_has_moved_on():
    muting = (CareVerb.MUTED, {"until": minutes(65), "key": "K"})
    case = done(muting, (CareVerb.ACCEPTED, {}))
    again = make_act(case, CareVerb.MUTED, BY, minutes(200), until=minutes(65), key="K")
    assert again is case.acts[0]


def test_keys_persons_and_times_tell_acts_apart():
    case = case_of(alert())
    ids = {
        make_act(case, CareVerb.VIEWED, by, at, key=key).action_id
        for by in (BY, By(actor="other", origin="api"))
        for at in (NOW, minutes(6))
        for key in ("", "a", "b")
    }
    assert len(ids) == 2 * 2 + 2 * 2  # without a key by time, with one whatever the time


@pytest.mark.parametrize("code", list(RejectReason))
def test_a_rejection_says_its_reason_in_code_and_words(code):
    (made,) = done((CareVerb.REJECTED, {"code": code.value, "text": " seen: in clinic "})).acts
    assert reason_of(made) == (code, "seen: in clinic")
    assert REJECT_TEXTS[code]


def test_a_reason_of_another_version_is_kept_whole():
    (made,) = done((CareVerb.ACCEPTED, {"text": "who knows: what"})).acts
    assert reason_of(made) == (RejectReason.OTHER, "who knows: what")


@pytest.mark.parametrize("scope", [CareScope.PATIENT, CareScope.WARD, CareScope.SITE])
def test_a_subject_is_muted_with_reason_and_expiry_and_unmuted(scope):
    raised = alert()
    subject = {"PATIENT": "P-1", "WARD": "W1", "SITE": "north"}[scope.value]
    book = book_of(raised)
    book.take_act(mute_subject(scope, subject, BY, NOW, until=minutes(60), text="planned downtime"))
    assert book.mute_of(raised, minutes(59)).reason == "planned downtime"
    assert book.mute_of(raised, minutes(60)) is None
    book.take_act(unmute_subject(scope, subject, BY, minutes(30)))
    assert book.mute_of(raised, minutes(31)) is None


def test_quiet_for_a_ward_of_one_site_is_another_act_than_for_its_namesakes():
    acts = [
        mute_subject(CareScope.WARD, "5A", BY, NOW, until=minutes(60), text="why", key="k", site_id=site_id)
        for site_id in ("", "x", "y")
    ]
    assert [each.site_id for each in acts] == ["", "x", "y"]
    assert len({each.action_id for each in acts}) == len({each.alert_id for each in acts}) == 3
    lifted = unmute_subject(CareScope.WARD, "5A", BY, NOW, site_id="x")
    assert (lifted.site_id, lifted.alert_id) == ("x", acts[1].alert_id)


@pytest.mark.parametrize(
    ("scope", "subject", "more", "refusal"),
    [
        (
            CareScope.PATIENT,
            "P-1",
            {"until": minutes(60), "text": "why", "site_id": "x"},
            Refusal.SITE_NOT_FOR_THIS,
        ),
        (CareScope.WARD, "W1", {"until": minutes(60), "text": ""}, Refusal.REASON_MISSING),
        (CareScope.WARD, "W1", {"until": None, "text": "why"}, Refusal.EXPIRY_MISSING),
        (CareScope.WARD, "", {"until": minutes(60), "text": "why"}, Refusal.SUBJECT_MISSING),
        (CareScope.ALERT, "W1", {"until": minutes(60), "text": "why"}, Refusal.SUBJECT_MISSING),
    ],
)
def test_a_subject_is_not_muted_without_reason_end_and_name(scope, subject, more, refusal):
    with pytest.raises(CareRefusedError) as refused:
        mute_subject(scope, subject, BY, NOW, **more)
    assert refused.value.refusal is refusal


def test_reading_of_a_patient_is_an_act_on_the_patient():
    made = view_subject(CareScope.PATIENT, "P-1", BY, NOW)
    assert (made.verb, made.scope, made.subject) == (CareVerb.VIEWED, CareScope.PATIENT, "P-1")
