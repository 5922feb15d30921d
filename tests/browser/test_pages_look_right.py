"""Every page on phone and desk, by day and night: no violation of WCAG A and AA, and a picture kept."""

import re
from collections.abc import Callable
from itertools import product

import pytest
from axe_playwright_python.sync_playwright import Axe
from care_pictures import SIZES, photograph
from care_server import Hospital
from playwright.sync_api import Page

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}

Enter = Callable[..., Page]


def alert_of(hospital: Hospital, patient_id: str) -> str:
    cases = hospital.book.book.cases.values()
    return next(case.alert.alert_id for case in cases if case.alert.patient_id == patient_id)


def pages(hospital: Hospital) -> dict[str, str]:
    return {
        "inbox": "/",
        "inbox-ended": "/?show=ended",
        "inbox-empty": "/?ward=Nowhere",
        "alert-escalated": f"/alerts/{alert_of(hospital, 'SIM-007001')}",
        "alert-fibrillating": f"/alerts/{alert_of(hospital, 'SIM-007005')}?done=ACKNOWLEDGED",
        "wards": "/wards",
        "ward": "/wards/CCU",
        "patient": "/patients/SIM-007001?span=all",
        "patient-not-scored": "/patients/SIM-007028",
        "mutes": "/mutes",
        "feeds": "/feeds",
        "model": "/model",
        "help": "/help",
        "problem": f"/alerts/{'0' * 8}-0000-0000-0000-{'0' * 12}",
    }


def violations(page: Page) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate("rules => axe.run(rules)", RULES)["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_accessible_by_day_and_night_and_is_kept_as_a_picture(
    ward: Hospital, enter: Enter, size: str
) -> None:
    width, height = SIZES[size]
    page = enter(
        ward, viewport={"width": width, "height": height}, bears="status of 404", reduced_motion="reduce"
    )
    wrong: list[str] = []
    for name, path in pages(ward).items():
        page.goto(path)
        page.locator("main").wait_for()
        _load_pictures(page)
        for scheme in ("light", "dark"):
            photograph(page, name, size, scheme)
            if (size, scheme) != (
                "phone",
                "dark",
            ):  # The colours are those of the desk, the rest that of the day.
                wrong += [f"{name} {size} {scheme} {each}" for each in violations(page)]
        if overflow(page):
            wrong.append(f"{name} {size}: scrolls sideways")
    assert not wrong, "\n".join(wrong)


def test_no_page_scrolls_sideways_on_the_smallest_phone(ward: Hospital, enter: Enter) -> None:
    page = enter(ward, viewport={"width": 360, "height": 640}, bears="status of 404")
    wide = [name for name, path in pages(ward).items() if page.goto(path) and overflow(page)]
    assert not wide


def test_the_login_page_is_accessible(ward: Hospital, enter: Enter) -> None:
    page = enter(ward, viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/login"))
    for size, scheme in product(SIZES, ("light", "dark")):
        photograph(page, "login", size, scheme)
        assert not violations(page)


def overflow(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def _load_pictures(page: Page) -> None:
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function(
            "image => image.complete && image.naturalWidth > 0", arg=picture.element_handle()
        )
    page.evaluate("scrollTo(0, 0)")
