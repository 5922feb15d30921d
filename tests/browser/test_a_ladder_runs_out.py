"""Real parts from Kafka to the page: an alert is seen at once, and answered, or goes up the ladder."""

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

from api_process import api_server
from care_site import HIGH, Site, site_on
from deliver_process import deliver_server, write_routes
from playwright.sync_api import Page, expect

from ops.services import RunningBroker
from ops.services.process import Server
from ops.services.waiting import becomes_true
from streams.api.tokens import Role, new_token
from streams.deliver.life import LifeState

#: An alert must be seen within this of Kafka having it, s.
SEEN_WITHIN_S = 2.0

#: HIGH goes up to level 1 and to level 2 after so many minutes: 6 s and 9 s.
LADDER_MIN = (0.1, 0.15)

#: Of the machine, not of the ladder: until the last level was told, s.
DEADLINE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class OtherThread:
    """The site on an event loop of its own: the browser's keeps others from running in this thread."""

    site: Site
    loop: asyncio.AbstractEventLoop

    def do(self, work: Coroutine[Any, Any, str]) -> str:
        """Do something there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE_S)


@contextmanager
def site_elsewhere(bootstrap: str) -> Iterator[OtherThread]:
    opened: Future[OtherThread] = Future()
    over = threading.Event()

    async def run() -> None:
        async with site_on(bootstrap) as site:
            opened.set_result(OtherThread(site=site, loop=asyncio.get_running_loop()))
            await asyncio.to_thread(over.wait)

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(asyncio.run, run())
        either: tuple[Future[Any], ...] = (opened, running)
        wait(either, DEADLINE_S, FIRST_COMPLETED)
        try:
            if running.done():
                running.result()
            yield opened.result(0)
        finally:
            over.set()
            running.result(DEADLINE_S)


def test_an_alert_is_seen_at_once_then_answered_in_the_page_or_it_goes_up_by_itself(
    own_apache_broker: RunningBroker, redis_url: str, tmp_path: Path, enter: Callable[..., Page]
) -> None:
    bootstrap, tokens = own_apache_broker.bootstrap, tmp_path / "tokens.toml"
    token = new_token(tokens, "dr-ccu", [Role.CLINICIAN])
    with site_elsewhere(bootstrap) as elsewhere:
        site = elsewhere.site
        routes = write_routes(tmp_path / "routes", site.receiver.port, *LADDER_MIN)
        with (
            api_server(bootstrap, redis_url, tokens, tmp_path / "api") as api,
            deliver_server(bootstrap, routes, tmp_path / "deliver") as deliver,
        ):
            started(api, deliver)
            page = enter(SimpleNamespace(url=f"http://127.0.0.1:{api.port}", tokens={"dr-ccu": token}))
            expect(page.locator("#live.on", has_text="Live")).to_be_visible()

            answered = raised_and_seen(elsewhere, page)
            page.get_by_role("button", name="Acknowledge alert of patient P1").click()
            expect(page.locator(".taken .alert")).to_contain_text("by dr-ccu")
            assert site.case(answered).state is LifeState.ACKNOWLEDGED

            ignored = raised_and_seen(elsewhere, page)
            waiting = page.locator(f".waiting #alert-{ignored}")
            expect(waiting).to_contain_text("to level 2", timeout=DEADLINE_S * 1000)
            expect(waiting.locator(".state.trouble")).to_have_text("Escalated")
            expect(page).to_have_title(re.compile(r"^\(1\) Inbox"))
            assert becomes_true(lambda: f"{ignored}:senior:2" in site.told(), DEADLINE_S)
            page.close()

        # The answered one was raised first: its times to go up are over as well.
        levels = ("ward:0", "senior:1", "senior:2")
        assert sorted(site.told()) == sorted([f"{answered}:ward:0", *(f"{ignored}:{at}" for at in levels)])
        assert not site.case(answered).level


def started(*servers: Server) -> None:
    with ThreadPoolExecutor(len(servers)) as threads:
        assert all(threads.map(Server.start, servers))


def raised_and_seen(elsewhere: OtherThread, page: Page) -> str:
    """Raise an alert and see it in the open page, in time from when Kafka had it."""
    alert_id = elsewhere.do(elsewhere.site.raise_alert(HIGH))
    page.locator(f".waiting #alert-{alert_id}").wait_for(timeout=DEADLINE_S * 1000)
    took_s = monotonic() - elsewhere.site.had_at
    assert took_s < SEEN_WITHIN_S
    print(f"seen {took_s:.2f} s after Kafka had it")
    return alert_id
