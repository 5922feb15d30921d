"""The fold of alerts and acts: one set of records, one book, whatever their order and however often."""

from datetime import timedelta

from alert_cases import RAISED_AT, act, alert, book_of, closed, minutes, mute
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import AlertClosed, AlertRaised
from schemas.audit import CareAction, CareScope, CareVerb
from streams.deliver.case import CaseBook

ALERTS = [alert(number, patient_id=f"P-{number % 2}", ward_id=f"W{number % 3}") for number in range(1, 4)]
SUBJECTS = [
    (CareScope.PATIENT, "P-1", ""),
    (CareScope.WARD, "W1", ""),
    (CareScope.WARD, "W1", "north"),
    (CareScope.WARD, "W1", "south"),
    (CareScope.SITE, "north", ""),
]
VERBS = [verb for verb in CareVerb if verb is not CareVerb.UNKNOWN]

moments = st.integers(0, 12).map(minutes)


@st.composite
def acts(draw):
    """Draw an act; few keys and times, so that the same act comes in two accounts."""
    verb, at = draw(st.sampled_from(VERBS)), draw(moments)
    expires_at = at + timedelta(minutes=draw(st.integers(1, 6))) if verb is CareVerb.MUTED else None
    level = draw(st.integers(0, 2)) if verb in (CareVerb.DELIVERED, CareVerb.ESCALATED) else 0
    key, reason = draw(st.sampled_from("ab")), draw(st.sampled_from(["", "x"]))
    raised = draw(st.sampled_from(ALERTS))
    return act(raised, verb, at, key, expires_at=expires_at, level=level, reason=reason)


@st.composite
def mutes(draw):
    """Draw an act on a subject."""
    at, lasts = draw(moments), draw(st.none() | st.integers(-1, 6))
    until = None if lasts is None else at + timedelta(minutes=lasts)
    scope, subject, site_id = draw(st.sampled_from(SUBJECTS))
    return mute(scope, subject, at, until, site_id=site_id)


alert_records = st.tuples(st.sampled_from([*ALERTS, *map(closed, ALERTS)]), moments)
records = st.lists(st.one_of(acts(), mutes(), alert_records), max_size=24)


def folded(given_records) -> CaseBook:
    book = CaseBook()
    for record in given_records:
        if isinstance(record, CareAction):
            book.take_act(record)
        else:
            book.take_alert(*record)
    return book


def content(book: CaseBook):
    """Return everything a reader of the book can see."""
    cases = {
        key: (case.raised_at, case.acts, case.closed, case.closed_at, case.state, case.level, case.delivered)
        for key, case in book.cases.items()
    }
    times = [minutes(n) for n in range(20)]
    quiet = {each.alert_id: [book.mute_of(each, at) for at in times] for each in ALERTS}
    spans = {each.alert_id: book.mutes_over(each) for each in ALERTS}
    patients = {each: [case.alert.alert_id for case in book.cases_of(each)] for each in ("P-0", "P-1")}
    return cases, dict(book.mutes), quiet, spans, patients


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_order_and_any_repetition_of_the_records_give_the_same_book(data):
    drawn = data.draw(records)
    repeats = data.draw(st.lists(st.sampled_from(drawn), max_size=8)) if drawn else []
    shuffled = data.draw(st.permutations([*drawn, *repeats]))
    assert content(folded(shuffled)) == content(folded(drawn))


@given(records)
@settings(max_examples=100, deadline=None)
def test_reading_both_topics_again_from_the_start_changes_nothing(drawn):
    book = folded(drawn)
    before = content(book)
    for record in drawn:
        book.take_act(record) if isinstance(record, CareAction) else book.take_alert(*record)
    assert content(book) == before


@given(records)
@settings(max_examples=100, deadline=None)
def test_one_topic_read_whole_before_the_other_gives_the_same_book(drawn):
    audit = [record for record in drawn if isinstance(record, CareAction)]
    told = [record for record in drawn if not isinstance(record, CareAction)]
    assert content(folded(audit + told)) == content(folded(told + audit)) == content(folded(drawn))


def test_an_act_that_comes_before_its_alert_waits_for_it():
    raised = ALERTS[0]
    book = CaseBook()
    book.take_act(act(raised, CareVerb.ACKNOWLEDGED, minutes(1)))
    book.take_alert(closed(raised), minutes(2))
    assert not book.cases
    book.take_alert(raised, RAISED_AT)
    case = book.cases[raised.alert_id]
    assert [each.verb for each in case.acts] == [CareVerb.ACKNOWLEDGED]
    assert isinstance(case.closed, AlertClosed)
    assert isinstance(case.alert, AlertRaised)


def test_a_mute_holds_until_it_runs_out_is_lifted_or_another_takes_its_place():
    raised = ALERTS[0]
    ward = (CareScope.WARD, raised.ward_id)
    book = book_of(raised, acts=[mute(*ward, minutes(0), minutes(10)), mute(*ward, minutes(5), minutes(7))])
    assert book.mute_of(raised, minutes(4))
    assert book.mute_of(raised, minutes(6))
    assert book.mute_of(raised, minutes(7)) is None  # the shorter one took the longer one's place
    book.take_act(mute(*ward, minutes(6), None))
    assert book.mute_of(raised, minutes(5.5))
    assert book.mute_of(raised, minutes(6)) is None
    assert not book.mutes
    assert [span.until for span in book.mutes_over(raised)] == [minutes(5), minutes(6)]


def test_a_ward_of_one_site_is_quiet_and_its_namesake_of_another_site_is_not():
    here, there, nowhere = (
        alert(number, site_id=site, ward_id="5A") for number, site in enumerate(["x", "y", ""], start=1)
    )
    book = book_of(here, there, nowhere)
    book.take_act(mute(CareScope.WARD, "5A", minutes(0), minutes(10), site_id="x"))
    assert [book.mute_of(each, minutes(1)) is not None for each in (here, there, nowhere)] == [
        True,
        False,
        False,
    ]
    (standing,) = book.mutes.values()
    assert [standing.covers(each, minutes(1)) for each in (here, there, nowhere)] == [True, False, False]
    book.take_act(mute(CareScope.WARD, "5A", minutes(2), None, site_id="y"))
    assert book.mute_of(here, minutes(3))  # what is lifted of the namesake stays here
    book.take_act(mute(CareScope.WARD, "5A", minutes(4), None))
    assert book.mute_of(here, minutes(5))
    book.take_act(mute(CareScope.WARD, "5A", minutes(6), None, site_id="x"))
    assert book.mute_of(here, minutes(7)) is None


def test_a_mute_of_a_ward_of_no_stated_site_holds_at_every_site():
    here, there = (alert(number, site_id=site) for number, site in enumerate(["x", "y"], start=1))
    book = book_of(here, there, acts=[mute(CareScope.WARD, "W1", minutes(0), minutes(10))])
    assert book.mute_of(here, minutes(1))
    assert book.mute_of(there, minutes(1))


def test_a_mute_of_another_ward_and_reads_of_a_patient_keep_nothing_quiet():
    raised = ALERTS[0]
    seen = act(raised, CareVerb.VIEWED, minutes(1), scope=CareScope.PATIENT, subject=raised.patient_id)
    book = book_of(raised, acts=[mute(CareScope.WARD, "other", minutes(0), minutes(10)), seen])
    assert book.mute_of(raised, minutes(1)) is None
    assert not book.cases[raised.alert_id].acts


def test_what_is_forgotten_is_gone_from_every_index_and_an_open_case_stays():
    old, answered, still_open = (alert(number) for number in (7, 8, 9))
    book = CaseBook()
    book.take_alert(old, minutes(0))
    book.take_alert(answered, minutes(10))
    book.take_alert(still_open, minutes(10))
    book.take_act(act(answered, CareVerb.ACCEPTED, minutes(11)))
    book.take_act(mute(CareScope.WARD, "W1", minutes(0), minutes(2)))
    assert book.forget(minutes(5), max_cases=1) == 2
    assert [case.alert.alert_id for case in book.cases_of("P-1")] == [still_open.alert_id]
    assert not book.mutes_over(still_open)


def test_an_alert_is_over_once_closed_judged_or_expired_and_not_while_somebody_looks_after_it():
    raised = ALERTS[0]
    book = book_of(raised)

    def over_at():
        return book.cases[raised.alert_id].over_at

    assert over_at() is None
    book.take_act(act(raised, CareVerb.EXPIRED, minutes(1)))
    assert over_at() == minutes(1)
    book.take_act(act(raised, CareVerb.ACKNOWLEDGED, minutes(2)))
    book.take_act(act(raised, CareVerb.EXPIRED, minutes(3)))
    assert over_at() is None
    book.take_act(act(raised, CareVerb.REJECTED, minutes(4)))
    book.take_act(act(raised, CareVerb.ACCEPTED, minutes(5)))
    book.take_alert(closed(raised), minutes(6))
    assert over_at() == minutes(4)
