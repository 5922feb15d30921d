"""Real receivers of notices on free loopback ports: HTTP, and a FHIR server that keeps what it is given."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.bundle import Bundle


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encoded(self) -> bytes:
        headers = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {text}" for name, text in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


#: None closes the connection without an answer; an exception of its own is the test's failure.
Answering = Callable[[Request], Reply | None]


@dataclass(kw_only=True)
class HttpReceiver:
    """Keeps requests, and answers as it is told to; a held one never answers."""

    answer: Answering
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    is_held: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            self.requests.append(request)
            self.arrived.set()
            if self.is_held:
                await reader.read()
                self.lost.set()
            elif (reply := self.answer(request)) is not None:
                writer.write(reply.encoded())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost.set()
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): text.strip() for name, _, text in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method=method, path=path, headers=headers, body=body)


@asynccontextmanager
async def receiving(answer: Answering, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpReceiver]:
    receiver = HttpReceiver(answer=answer)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


@dataclass(kw_only=True)
class FhirStore:
    """A FHIR server's transactions as R4 §3.1.0.11 has them, as far as channels use them.

    Each resource is validated; a reference to no entry of the bundle, or an unknown parameter, is refused.
    """

    token: str = ""
    resources: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def answer(self, request: Request) -> Reply:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return outcome(401, "login")
        if request.headers.get("content-type") != "application/fhir+json":
            return outcome(415, "not-supported")
        try:
            bundle = Bundle.model_validate_json(request.body)
            entries = json.loads(request.body)["entry"]
            assert bundle.type == "transaction"
            done = self._transact(entries)
        except (ValueError, AssertionError, KeyError) as error:
            return outcome(400, "invalid", str(error))
        response = {"resourceType": "Bundle", "type": "transaction-response", "entry": done}
        return Reply(headers={"Content-Type": "application/fhir+json"}, body=json.dumps(response).encode())

    def _transact(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for entry in entries:
            get_fhir_model_class(entry["resource"]["resourceType"]).model_validate(entry["resource"])
        places = {entry["fullUrl"]: self._place(entry) for entry in entries}
        done = []
        for entry in entries:
            kind, index, status = places[entry["fullUrl"]]
            resource = json.loads(json.dumps(entry["resource"]))
            for about in resource.get("about", ()):
                target, target_index, _ = places[about["reference"]]
                about["reference"] = f"{target}/{target_index}"
            kept = self.resources[kind]
            if status == "201 Created" or entry["request"]["method"] == "PUT":
                kept[index] = resource
            done.append({"response": {"status": status, "location": f"{kind}/{index}"}})
        return done

    def _place(self, entry: dict[str, Any]) -> tuple[str, int, str]:
        """Find where a resource is, or make room for it."""
        request, kind = entry["request"], entry["resource"]["resourceType"]
        url = urlsplit(request["url"])
        assert url.path == kind
        query = request["ifNoneExist"] if request["method"] == "POST" else url.query
        searched = parse_qs(query, strict_parsing=True)
        assert set(searched) == {"identifier"}
        system, _, identifier = searched["identifier"][0].partition("|")
        wanted = {"system": system, "value": identifier}
        assert wanted in entry["resource"]["identifier"]
        kept = self.resources.setdefault(kind, [])
        found = [index for index, each in enumerate(kept) if wanted in each["identifier"]]
        if found:
            return kind, found[0], "200 OK"
        kept.append(entry["resource"])
        return kind, len(kept) - 1, "201 Created"


def outcome(status: int, code: str, diagnostics: str = "", headers: dict[str, str] | None = None) -> Reply:
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics or "none"}
    body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    return Reply(
        status=status, headers={"Content-Type": "application/fhir+json", **(headers or {})}, body=body
    )
