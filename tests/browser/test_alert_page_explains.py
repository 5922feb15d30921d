"""An alert's page tells its reader what is known, and what is not."""

import re
from collections.abc import Callable

from care_server import Hospital
from playwright.sync_api import Page, expect

Enter = Callable[..., Page]


def alert_of(hospital: Hospital, patient_id: str) -> str:
    cases = hospital.book.book.cases.values()
    return next(case.alert.alert_id for case in cases if case.alert.patient_id == patient_id)


def test_it_says_what_changed_whence_it_comes_and_what_it_is_not_for(ward: Hospital, enter: Enter) -> None:
    page = enter(ward)
    page.goto(f"/alerts/{alert_of(ward, 'SIM-007001')}")
    expect(page.locator(".change")).to_contain_text("rose from")
    expect(page.locator(".not-for")).to_contain_text("Not for diagnosis")
    case = ward.book.book.cases[alert_of(ward, "SIM-007001")]
    for fact in (case.alert.bundle_sha256, case.alert.policy_version, case.alert.ecg_id, case.alert.alert_id):
        expect(page.locator(".provenance")).to_contain_text(fact)
    expect(page.locator(".timeline")).to_contain_text("pager to cardiologist on call")


def test_the_strip_is_a_picture_with_words_and_loads(ward: Hospital, enter: Enter) -> None:
    page = enter(ward)
    page.goto(f"/alerts/{alert_of(ward, 'SIM-007001')}")
    strip = page.get_by_role("img", name=re.compile("12-lead ECG on paper. Heart rate"))
    strip.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=strip.element_handle())


def test_an_absent_late_wave_is_said_in_words(ward: Hospital, enter: Enter) -> None:
    page = enter(ward)
    page.goto(f"/alerts/{alert_of(ward, 'SIM-007005')}")
    expect(page.get_by_text("It is not zero, and e′/a′ cannot be stated.")).to_be_visible()
    expect(page.locator(".measured tr", has_text="a′").first).to_contain_text("absent")


def test_the_alert_is_whole_without_the_history(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    raised = own_ward.raise_alert(1)
    own_ward.store.is_away = True
    page.goto(f"/alerts/{raised.alert_id}")
    expect(page.get_by_text("The trend cannot be shown")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()


def test_a_ward_shows_what_was_not_scored_as_such_and_sorts(ward: Hospital, enter: Enter) -> None:
    page = enter(ward)
    page.goto("/wards/CCU")
    failing = page.get_by_role("row").filter(has_text="SIM-007028")
    expect(failing).to_contain_text("Not scored")
    expect(failing).to_contain_text("last score")
    never = page.get_by_role("row").filter(has_text="SIM-007030")
    expect(never).to_contain_text("never scored")
    expect(never).not_to_contain_text("0.00")
    page.get_by_role("link", name="Risk").click()
    expect(page.get_by_role("columnheader", name="Risk")).to_have_attribute("aria-sort", "descending")
    risks = [float(text) for text in page.locator(".risk-cell .big").all_inner_texts()]
    assert risks == sorted(risks, reverse=True)


def test_a_wrong_token_is_refused_and_colours_are_remembered(ward: Hospital, enter: Enter) -> None:
    page = enter(ward, bears="status of 401")
    page.get_by_label("Colours").select_option("dark")
    page.goto("/feeds")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Access token").fill("not-a-token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This token is not known")
