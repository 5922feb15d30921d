"""Quiet for a ward or a site, asked for and ended in a browser: by form, by keyboard, on a phone."""

import re
from collections.abc import Callable
from datetime import timedelta

from care_server import ZONE, Hospital
from playwright.sync_api import Page, expect

from schemas.audit import CareScope, CareVerb
from streams.stage import utc_now

Enter = Callable[..., Page]

PHONE = {"viewport": {"width": 390, "height": 844}}


def test_a_ward_is_muted_by_keyboard_and_its_alerts_say_so(ward: Hospital, enter: Enter) -> None:
    page = enter(ward)
    page.get_by_role("link", name="Mutes").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/mutes$"))
    page.get_by_label("Ward", exact=True).focus()
    page.keyboard.type("Ward 3 North")
    page.keyboard.press("Tab")
    expect(page.get_by_label("For how long")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("new floor in room 4")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Mute the ward")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Muted, noted as dr-ccu.")).to_be_visible()
    muted = page.get_by_role("listitem").filter(has_text="new floor in room 4")
    expect(muted).to_contain_text("by dr-ccu since")
    expect(muted).to_contain_text("59 min left")
    page.goto("/?ward=Ward+3+North")
    expect(page.get_by_text(re.compile("ward muted until")).first).to_be_visible()
    page.goto("/mutes")
    page.get_by_role("button", name="End the mute of ward Ward 3 North").press("Enter")
    expect(page.get_by_text("Mute ended, noted as dr-ccu.")).to_be_visible()
    expect(page.get_by_text("new floor in room 4")).to_have_count(0)


def test_planned_downtime_of_a_site_ends_when_it_says_in_the_pages_zone(
    own_ward: Hospital, enter: Enter
) -> None:
    own_ward.raise_alert(1, site_id="north")
    page = enter(own_ward, "operations", **PHONE)
    page.goto("/mutes")
    expect(page.get_by_text("Nothing is muted.")).to_be_visible()
    form = page.get_by_role("form", name="Planned downtime")
    end = (utc_now() + timedelta(hours=30)).astimezone(ZONE).replace(second=0, microsecond=0)
    form.get_by_label("What").select_option(label="Site north")
    form.get_by_label(re.compile(r"^Until \(CES?T\)")).fill(end.strftime("%Y-%m-%dT%H:%M"))
    form.get_by_label("Why").fill("PACS migration")
    form.get_by_role("button").click()
    expect(page.get_by_text("Muted, noted as operations.")).to_be_visible()
    (act,) = own_ward.book.appended
    assert (act.verb, act.scope, act.subject, act.expires_at) == (
        CareVerb.MUTED,
        CareScope.SITE,
        "north",
        end,
    )
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_viewer_sees_mutes_and_is_offered_none(ward: Hospital, enter: Enter) -> None:
    page = enter(ward, "ccu-screen")
    page.goto("/mutes")
    expect(page.get_by_text("Your token may look, not mute")).to_be_visible()
    assert page.locator("main form").count() == 0
