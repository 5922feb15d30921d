"""Whoever looks afterwards: pages and API over all that was taken, operators over what was refused."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Final

from ops.chaos.hostile_records import N_PATIENTS
from ops.chaos.hostile_site import Site
from ops.chaos.hostile_verdict import Verdict
from ops.dlq.desk import LetterDesk
from ops.services.ports import LOOPBACK
from ops.worker_processes import is_ready
from schemas.codec import Codec
from schemas.errors import DiastoleError
from streams.feeds.quarantine.opening import open_quarantine
from streams.stage import utc_now

#: Longest time for a page: lists of thousands of alerts take a second on a busy machine.
_PAGE_S: Final = 30.0
_READY_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.5
_SERVER_ERRORS: Final = 500

#: Parts whose readiness says that they keep up; the watch is ready only while nothing at all is wrong.
_MUST_BE_READY: Final = ("deliver", "api")

_PAGES: Final = ("/", "/feeds", "/mutes", "/wards", "/wards/W1")
_ANSWERS: Final = ("alerts", "alarms", "feeds", "mutes", "wards", "wards/W1/worklist")


async def blame_readers(
    verdict: Verdict, site: Site, dead_topics: Iterable[str], n_letters: int, codec: Codec
) -> None:
    """Note what a reader could not bear."""
    for name in _MUST_BE_READY:
        if name in site.parts and not await _becomes_ready(site.parts[name].port):
            verdict.blame("not ready in the end", [name])
    if "api" in site.parts:
        failed = [path for path in paths() if await asyncio.to_thread(_fails, site.api_port, path)]
        verdict.blame("pages and answers that failed", failed)
    try:
        letters = await LetterDesk(broker=site.bootstrap, now=utc_now).letters(tuple(dead_topics))
        async with open_quarantine(site.bootstrap, codec) as quarantine:
            n_entries = len(quarantine.log.entries)
    except DiastoleError as error:
        verdict.blame("operators cannot read", [f"{error.code}: {error}"])
    else:
        verdict.blame("quarantine is empty though entries were sent", [] if n_entries else ["0 entries"])
        verdict.blame(
            "dead letters listed otherwise",
            [] if len(letters) == n_letters else [f"{len(letters)} of {n_letters}"],
        )


def paths() -> Iterator[str]:
    """Give what is asked for: each page, and each answer, of all that hostile messages are about."""
    yield from _PAGES
    yield from (f"/v1/{answer}" for answer in _ANSWERS)
    for patient in (f"{kind}-{n}" for kind in ("hostile", "merged") for n in range(0, N_PATIENTS, 4)):
        yield f"/patients/{patient}"
        yield from (f"/v1/patients/{patient}/{what}" for what in ("history", "latest", "alerts", "marks"))


async def _becomes_ready(port: int) -> bool:
    for _ in range(int(_READY_WITHIN_S / _LOOK_EVERY_S)):
        if await asyncio.to_thread(is_ready, port):
            return True
        await asyncio.sleep(_LOOK_EVERY_S)
    return False


def _fails(port: int, path: str) -> bool:
    """Whether there is no answer, or a fault of the server's own; that there is no such patient is none."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=_PAGE_S) as answer:
            answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code >= _SERVER_ERRORS
    except OSError:
        return True
    return False
