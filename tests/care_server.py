"""The hospital of :mod:`care_ward`, served on a free port with the read API and its pages."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import uvicorn
from alert_cases import closed
from care_api import FakeBook, FakeFeeds, FakeLooks
from care_stories import manifest, new_alert
from care_ward import Ward, act, feeds, furnish

from models.bundle import DEFAULT_BUNDLE, load_bundle
from schemas.alert import AlertRaised
from schemas.audit import CareVerb
from schemas.recorded import Sex
from streams.api.app import build_api
from streams.api.doors import Doors
from streams.api.event_log import EventLog, follow_book
from streams.api.pages.reading import PageParts
from streams.api.pages.router import add_pages
from streams.api.salience import Salience
from streams.api.services import Services
from streams.api.tokens import CareTokens, Role, new_token
from streams.deliver.routes_file import load_routes
from streams.policy import load_policy
from streams.stage import utc_now

ZONE = ZoneInfo("Europe/Rome")


@dataclass
class Hospital:
    """The hospital and how to make things happen in it."""

    book: FakeBook
    store: Ward
    services: Services
    tokens: dict[str, str]
    app: Any
    doors: Doors
    changes: EventLog
    url: str = ""
    loop: asyncio.AbstractEventLoop | None = None
    close: Callable[[], None] = lambda: None

    def do(self, act: Any, *args: Any) -> Any:
        """Do something on the server's own loop, and wait until it is done."""
        assert self.loop is not None

        async def done() -> Any:
            return act(*args)

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(5)

    def raise_alert(self, number: int, **changed: Any) -> AlertRaised:
        """Raise one more alert, now."""
        raised = new_alert(number, **changed)
        self.do(self.book.take, raised, utc_now())
        return raised

    def close_alert(self, raised: AlertRaised) -> None:
        """Let the risk fall again, now."""
        ended = closed(raised)
        self.do(lambda: self.book.readers.tell(self.book.book.take_alert(ended, utc_now())))

    def act(self, raised: AlertRaised, verb: CareVerb, **more: Any) -> None:
        """Let something happen to an alert, now."""
        self.do(lambda: self.book.readers.tell(self.book.book.take_act(act(raised, verb, utc_now(), **more))))


TOKENS: dict[str, tuple[Role, tuple[str, ...]]] = {
    "dr-ccu": (Role.CLINICIAN, ()),
    "ccu-screen": (Role.VIEWER, ("CCU",)),
    "operations": (Role.ADMIN, ()),
}


def build(folder: Path, *, is_empty: bool = False) -> Hospital:
    """Build the hospital; tokens are kept in the folder."""
    now, book, store = utc_now(), FakeBook(), Ward()

    async def person(patient_id: str) -> tuple[float | None, Sex]:
        row = await store.latest(patient_id)
        return (row.age_years, row.sex) if row else (None, Sex.UNKNOWN)

    if not is_empty:
        furnish(book, store, now)
    services = Services(
        book=book,
        history=store,
        wards=store,
        waveforms=store,
        feeds=FakeFeeds([] if is_empty else feeds(now)),
        looks=FakeLooks(),
        explains=Salience(lambda: load_bundle(DEFAULT_BUNDLE), manifest().sha256, person),
        manifest=manifest(),
        routes=load_routes(),
        now=utc_now,
    )
    file = folder / "tokens.toml"
    tokens = {name: new_token(file, name, [role], wards) for name, (role, wards) in TOKENS.items()}
    doors, changes = Doors(tokens=CareTokens(file)), EventLog()
    parts = PageParts(services=services, doors=doors, policy=load_policy(), zone=ZONE)
    api = build_api(services, doors, changes, add_pages=lambda app: add_pages(app, parts))
    return Hospital(
        book=book,
        store=store,
        services=services,
        tokens=tokens,
        app=api.guarded,
        doors=doors,
        changes=changes,
    )


@contextmanager
def served(hospital: Hospital) -> Iterator[Hospital]:
    """Serve the hospital on a free port while the context lasts; again, on the port it had."""
    listening = socket.create_server(("127.0.0.1", urlsplit(hospital.url).port or 0))
    hospital.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(hospital.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server, started = uvicorn.Server(config), threading.Event()

    async def run() -> None:
        hospital.loop = asyncio.get_running_loop()
        following = asyncio.create_task(follow_book(hospital.book, hospital.changes))
        started.set()
        await server.serve(sockets=[listening])
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(20), "the server did not start"
    hospital.close = lambda: _close(hospital, server, thread)
    try:
        yield hospital
    finally:
        hospital.close()


def _close(hospital: Hospital, server: uvicorn.Server, thread: threading.Thread) -> None:
    if not thread.is_alive():
        return
    assert hospital.loop is not None
    with suppress(RuntimeError):
        hospital.loop.call_soon_threadsafe(hospital.changes.end)
    server.should_exit = True
    thread.join(10)
