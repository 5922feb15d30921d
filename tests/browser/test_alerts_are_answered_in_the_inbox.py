"""What the care team does with an alert in a browser: sees it come, answers it, sees others answer it."""

import re
from collections.abc import Callable

from care_server import Hospital
from playwright.sync_api import Page, expect

from schemas.audit import CareVerb
from schemas.errors import RetriableError

Enter = Callable[..., Page]

#: An alert must be seen within two seconds of being raised.
SOON_MS = 2000


def test_an_alert_is_shown_within_two_seconds_of_being_raised(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    expect(page.get_by_text("No alert waits for an answer")).to_be_visible()
    expect(page.get_by_text("It does not say that nobody is ill")).to_be_visible()
    expect(page.locator("#live.on", has_text="Live")).to_be_visible()
    own_ward.raise_alert(1)
    expect(page.locator(".waiting .alert")).to_be_visible(timeout=SOON_MS)
    expect(page).to_have_title(re.compile(r"^\(1\) Inbox"))
    expect(page.locator("#news")).to_have_text(re.compile("New: Alert high, patient SIM-900001"))


def test_an_alert_is_acknowledged_from_the_list(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    raised = own_ward.raise_alert(1)
    page.get_by_role("button", name="Acknowledge alert of patient SIM-900001").click()
    taken = page.locator(".taken .alert")
    expect(taken).to_contain_text("by dr-ccu")
    (act,) = own_ward.book.appended
    assert (act.alert_id, act.verb, act.actor, act.origin) == (
        raised.alert_id,
        CareVerb.ACKNOWLEDGED,
        "dr-ccu",
        "inbox",
    )
    expect(page.get_by_text("No alert waits for an answer")).to_be_visible()


def test_escalation_and_what_others_do_show_at_once(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    raised = own_ward.raise_alert(1)
    own_ward.act(raised, CareVerb.DELIVERED, channel="chat", recipient="nurses")
    expect(page.locator(".waiting .alert")).to_contain_text("Delivered, no answer", timeout=SOON_MS)
    own_ward.act(raised, CareVerb.ESCALATED, level=1)
    expect(page.locator(".alert .state.trouble")).to_have_text("Escalated", timeout=SOON_MS)
    expect(page.locator(".alert")).to_contain_text("to level 1")
    own_ward.act(raised, CareVerb.ACCEPTED, actor="dr-night")
    expect(page.get_by_text("No alert waits for an answer")).to_be_visible(timeout=SOON_MS)


def test_the_loudest_is_first_and_of_equals_the_one_that_waits_longest(ward: Hospital, enter: Enter) -> None:
    page = enter(ward)
    shown = page.locator(".waiting .alert")
    severities = shown.locator(".severity").all_inner_texts()
    loudness = ["HIGH" if "High" in each else "MEDIUM" for each in severities]
    assert loudness == sorted(loudness)
    times = shown.locator("time").evaluate_all("all => all.map(each => each.dateTime)")
    n_high = loudness.count("HIGH")
    assert times[:n_high] == sorted(times[:n_high])
    assert times[n_high:] == sorted(times[n_high:])


def test_an_alert_is_acknowledged_by_keyboard_alone(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    own_ward.raise_alert(1)
    own_ward.raise_alert(2)
    expect(page.locator(".waiting .alert")).to_have_count(2)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator(".waiting .alert").nth(1)
    expect(second.locator(".a-open")).to_be_focused()
    page.keyboard.press("a")
    expect(page.locator(".taken .alert")).to_contain_text("SIM-900002")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/alerts/"))
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Acknowledge")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Acknowledged, noted as dr-ccu.")).to_be_visible()


def test_the_focus_stays_where_it_is_when_the_list_is_renewed(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    own_ward.raise_alert(1)
    page.locator(".alert .a-open").focus()
    own_ward.raise_alert(2)
    expect(page.locator(".waiting .alert")).to_have_count(2)
    expect(page.locator(".alert", has_text="SIM-900001").locator(".a-open")).to_be_focused()


def test_without_scripts_an_alert_is_rejected_by_its_form(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward, java_script_enabled=False)
    raised = own_ward.raise_alert(1)
    page.reload()
    expect(page.get_by_text("This page does not renew itself")).to_be_visible()
    page.get_by_role("link", name=re.compile("patient SIM-900001")).click()
    page.locator("summary", has_text="Reject").click()
    page.get_by_label("Why", exact=True).first.select_option("not-plausible")
    page.get_by_label("In your words").fill("normal echo last week")
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(page.get_by_text("Rejected, noted as dr-ccu.")).to_be_visible()
    assert page.url.endswith(f"/alerts/{raised.alert_id}?done=REJECTED")
    expect(page.locator(".timeline")).to_contain_text(
        "Does not fit the clinical picture: normal echo last week"
    )


def test_a_mute_asks_why_and_says_until_when(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    raised = own_ward.raise_alert(1)
    page.goto(f"/alerts/{raised.alert_id}")
    page.locator("summary", has_text="Mute").click()
    page.get_by_label("For how long").select_option("4")
    page.locator("#mute-reason").fill("echo at 15:00")
    page.get_by_role("button", name="Mute", exact=True).click()
    expect(page.locator("#alert-line .state")).to_have_text("Muted")
    expect(page.get_by_role("button", name="End the mute")).to_be_visible()
    (act,) = own_ward.book.appended
    assert act.expires_at is not None
    assert (act.expires_at - act.acted_at).total_seconds() == 4 * 3600


def test_what_is_being_written_is_not_taken_away_by_news(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    raised = own_ward.raise_alert(1)
    page.goto(f"/alerts/{raised.alert_id}")
    page.locator("summary", has_text="Reject").click()
    page.get_by_label("In your words").fill("half a sent")
    own_ward.act(raised, CareVerb.ESCALATED, level=1)
    expect(page.locator("#alert-line .state")).to_have_text("Escalated", timeout=SOON_MS)
    expect(page.get_by_label("In your words")).to_have_value("half a sent")


def test_who_comes_second_is_told_what_happened(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward, java_script_enabled=False, bears="status of 409")
    raised = own_ward.raise_alert(1)
    page.goto(f"/alerts/{raised.alert_id}")
    own_ward.act(raised, CareVerb.UNMUTED, actor="dr-night")
    own_ward.act(raised, CareVerb.ACKNOWLEDGED, actor="dr-night")
    page.locator("summary", has_text="Mute").click()
    page.locator("#mute-reason").fill("later")
    page.get_by_role("button", name="Mute", exact=True).click()
    expect(page.get_by_role("heading", name="That cannot be done now")).to_be_visible()
    assert not own_ward.book.appended


def test_an_answer_that_kafka_did_not_take_is_said_to_be_none(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward, bears="status of 503")
    own_ward.raise_alert(1)
    own_ward.book.trouble = RetriableError("Kafka did not take it in 10 s; check the broker")
    page.get_by_role("button", name="Acknowledge alert of patient SIM-900001").click()
    expect(page.locator(".toast")).to_contain_text("Kafka did not take it")
    expect(page.locator(".waiting .alert")).to_be_visible()


def test_what_fell_again_unanswered_is_still_acknowledged_from_the_list(
    own_ward: Hospital, enter: Enter
) -> None:
    page = enter(own_ward)
    raised = own_ward.raise_alert(1)
    own_ward.close_alert(raised)
    fell = page.locator(".group.fell")
    expect(fell).to_contain_text("Risk fell again, nobody answered", timeout=SOON_MS)
    expect(page.get_by_text("No alert waits for an answer")).to_be_visible()
    fell.get_by_role("button", name="Acknowledge alert of patient SIM-900001").click()
    expect(fell).to_have_count(0)
    page.goto("/?show=ended")
    expect(page.locator(".ended .alert")).to_contain_text("answered by dr-ccu")


def test_a_viewer_sees_and_is_offered_nothing_to_press(ward: Hospital, enter: Enter) -> None:
    page = enter(ward, "ccu-screen")
    expect(page.locator(".alert").first).to_be_visible()
    assert page.get_by_role("button", name=re.compile("^Acknowledge")).count() == 0
    wards = set(page.locator(".a-who .ward").all_inner_texts())
    assert wards == {"CCU", "Ward 3 North, now CCU"}  # who was moved here took the alert along
    page.locator(".a-open").first.click()
    expect(page.get_by_text("Your token may look, not answer")).to_be_visible()
