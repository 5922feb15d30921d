"""A browser, a hospital, a page in it; what a page asks of elsewhere, or complains of, fails its test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from care_server import Hospital, build, served
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

#: Debian's; browsers of our own are never fetched.
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start headless Chromium once a file: while it runs, its event loop keeps other files' from running."""
    if not Path(CHROMIUM).exists():
        reason = "pages are tried in Chromium: apt install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Serve the furnished hospital, for tests that only look or raise alerts of their own."""
    with served(build(tmp_path_factory.mktemp("tokens"))) as hospital:
        yield hospital


@pytest.fixture
def own_ward(tmp_path: Path) -> Iterator[Hospital]:
    """Serve an empty hospital to this test alone."""
    with served(build(tmp_path, is_empty=True)) as hospital:
        yield hospital


Enter = Callable[..., Page]


@pytest.fixture
def enter(browser: Browser) -> Iterator[Enter]:
    """Sign in and give a page; at the end no page may have complained or asked elsewhere."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def entered(hospital: Hospital, holder: str = "dr-ccu", *, bears: str = "", **options: object) -> Page:
        context = browser.new_context(base_url=hospital.url, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()

        def complain(text: str) -> None:
            if not bears or bears not in text:
                complaints.append(text)

        page.on("console", lambda said: complain(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complain(str(error)))
        page.on(
            "request",
            lambda asked: None if asked.url.startswith(hospital.url) else complaints.append(asked.url),
        )
        page.goto("/login")
        page.get_by_label("Access token").fill(hospital.tokens[holder])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{hospital.url}/")
        return page

    yield entered
    for context in contexts:
        context.close()
    assert not complaints
