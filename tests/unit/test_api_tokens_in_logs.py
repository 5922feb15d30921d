"""No token reaches a log of the served read API, whatever part of a request it is put in."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from care_api import ALERT, Hospital, hospital
from structlog.testing import capture_logs

from streams.feeds.http.serving import Address, listen, serve_http

WRONG = "made-up-token-4711"
DEADLINE_S = 10.0

#: Loggers that may write somewhere by themselves, and the one that all others pass on to.
LOGGERS = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "asyncio")


class Kept(logging.Handler):
    """Keeps all that is said, with arguments and tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{self.format(record)} {record.args!r}")


@contextmanager
def kept_logs() -> Iterator[Kept]:
    """Keep what is said, down to DEBUG, to whichever logger."""
    handler, found = Kept(), [logging.getLogger(name) for name in LOGGERS]
    levels = [each.level for each in found]
    for each in found:
        each.addHandler(handler)
        each.setLevel(logging.DEBUG)  # no setting of ours gives uvicorn its level TRACE
    try:
        yield handler
    finally:
        for each, level in zip(found, levels, strict=True):
            each.removeHandler(handler)
            each.setLevel(level)


@asynccontextmanager
async def served(place: Hospital) -> AsyncIterator[int]:
    """Serve the API as its process does; gives the port."""
    listening, stop = listen(Address(host="127.0.0.1", port=0)), asyncio.Event()
    port: int = listening.getsockname()[1]
    serving = asyncio.create_task(serve_http(place.api.guarded, listening, stop, 1.0))
    try:
        yield port
    finally:
        stop.set()
        await serving


async def ask(port: int, method: str, target: str, *headers: str, body: str = "") -> int:
    """Send a request as it is, by no client that has a log of its own; gives the status."""
    host = f"127.0.0.1:{port}"
    more = ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"] if body else []
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *more, *headers]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*head, "", body]).encode())
    async with asyncio.timeout(DEADLINE_S):
        answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


async def test_no_token_is_in_any_log_of_the_server(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = hospital(tmp_path)
    right = place.tokens["clinician"]
    ack = f"/v1/alerts/{ALERT.alert_id}/acknowledge"
    statuses: list[int] = []
    with kept_logs() as kept, capture_logs() as structured:
        async with served(place) as port:
            origin = f"Origin: http://127.0.0.1:{port}"
            for token in (right, WRONG):
                statuses += [
                    await ask(port, "GET", "/v1/alerts", bearer(token)),
                    await ask(port, "GET", f"/v1/alerts?token={token}"),
                    await ask(port, "GET", f"/login?next=/?access_token={token}"),
                    await ask(port, "GET", "/v1/alerts", f"Cookie: diastole_session={token}"),
                    await ask(port, "POST", "/login", origin, body=urlencode({"token": token})),
                    await ask(port, "GET", f"/v1/{token}", bearer(token)),
                    await ask(port, "GET", "/v1/alerts", f"{bearer(token)}\r\nno header at all"),
                ]
            place.book.trouble = RuntimeError(right)
            statuses.append(await ask(port, "POST", ack, bearer(right)))
    assert statuses == [200, 401, 200, 401, 303, 404, 400, 401, 401, 200, 401, 401, 404, 400, 500]
    printed = capfd.readouterr()
    said = "\n".join([*kept.said, *map(str, structured), printed.out, printed.err])
    # It is listened to: that it began, what it could not read, and the error.
    for known in ("http_listens", "Invalid HTTP request", "http_request_failed"):
        assert known in said
    for secret in (*place.tokens.values(), WRONG):
        assert secret not in said
