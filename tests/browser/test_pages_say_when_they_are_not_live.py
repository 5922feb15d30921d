"""A page that gets no news says so in large letters, with its age, and never claims to be live."""

import re
from collections.abc import Callable

from care_pictures import SIZES, photograph
from care_server import Hospital, served
from playwright.sync_api import Page, expect

Enter = Callable[..., Page]

#: What Chromium says of requests that the tests let fail.
LOST = "Failed to load resource"


def test_a_lost_server_is_said_at_once_and_its_return_is_noticed(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward, bears="net::ERR_")
    own_ward.raise_alert(1)
    expect(page.locator(".waiting .alert")).to_be_visible()
    expect(page.locator("#live")).to_have_text("Live")
    own_ward.close()
    banner = page.get_by_role("alert").filter(has_text="Not live")
    expect(banner).to_be_visible(timeout=6000)
    expect(banner).to_contain_text("The server does not answer.")
    expect(banner).to_contain_text(re.compile(r"is \d+ s old"))
    expect(page.locator("#live")).to_have_text(re.compile(r"Not live, \d+ s old"))
    box = banner.bounding_box()
    assert box is not None
    assert box["height"] > 50
    for size in SIZES:
        photograph(page, "inbox-not-live", size)
    assert page.locator(".waiting .alert").count() == 1
    with served(own_ward):
        expect(banner).to_be_hidden(timeout=10_000)
        expect(page.locator("#live.on")).to_be_visible()


def test_a_device_without_network_says_so(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward, bears="ERR_INTERNET_DISCONNECTED")
    expect(page.locator("#live.on")).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("This device has no network.")).to_be_visible(timeout=3000)
    page.context.set_offline(False)
    expect(page.locator("#stale")).to_be_hidden(timeout=6000)


def test_a_server_without_news_from_kafka_is_not_live_either(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward)
    own_ward.book.is_current, own_ward.book.behind_s = False, 185.0
    page.reload()
    expect(page.get_by_text("The server does not get news from Kafka.")).to_be_visible()
    expect(page.locator("[data-stale-age]")).to_have_text(re.compile(r"3 min \d+ s"))


def test_without_events_the_page_asks_by_itself(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward, bears=LOST)
    page.context.route("**/v1/alerts/events", lambda route: route.fulfill(status=503, body=""))
    page.reload()
    expect(page.locator("#live")).to_have_text("Live, asking every 4 s")
    own_ward.raise_alert(1)
    expect(page.locator(".waiting .alert")).to_be_visible(timeout=8000)


def test_who_was_signed_out_is_told_instead_of_shown_old_alerts(own_ward: Hospital, enter: Enter) -> None:
    page = enter(own_ward, bears="status of 401")
    expect(page.locator("#live.on")).to_be_visible()
    page.context.clear_cookies()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.get_by_text("You are signed out")).to_be_visible()
