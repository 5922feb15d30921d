"""The body of a request: read in a bounded way, and taken apart where it is of several files."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from streams.feeds.document import Document
from streams.feeds.http.problems import ProblemError

#: A sender that is slower than this is not sending: some 1 MB over the slowest hospital line in a second, s.
CHUNK_S: Final = 15.0
WHOLE_S: Final = 120.0

#: Bodies of all requests that are being read, bytes: eight of the largest, so that many senders of many
#: large ones cannot fill the memory.
MAX_BUFFERED_BYTES: Final = 256 * 2**20

#: A WFDB record has a header and a signal file or a few; metadata fields are six.
_MAX_PARTS: Final = 32
_MAX_FIELD_BYTES: Final = 1024

#: A DICOM file without preamble is known by its suffix alone; a raw body has no name, but a type.
_NAMES: Final = {"application/dicom": "ecg.dcm"}


@dataclass(slots=True)
class Body:
    """What a request carried.

    Attributes
    ----------
    fields : mapping
        Of a multipart body: its parts that are no files.
    """

    document: Document
    fields: Mapping[str, str] = field(default_factory=dict)


class BodyRoom:
    """Reads bodies, keeping count of the bytes of all that are held.

    Parameters
    ----------
    max_bytes : int
        Of one body.
    chunk_s : float
        Longest wait for more of it, s.
    """

    def __init__(
        self, max_bytes: int, max_buffered_bytes: int = MAX_BUFFERED_BYTES, chunk_s: float = CHUNK_S
    ) -> None:
        self._chunk_s = chunk_s
        self._max_bytes = max_bytes
        self._free = max(max_buffered_bytes, max_bytes)

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[Body]:
        """Read the body; its bytes count as held while the context lasts.

        Raises
        ------
        ProblemError
            413 when it is larger than a delivery may be, 408 when it comes too slowly or stops, 503 when too
            many bytes are held already, 400 when it is empty, or a multipart body that is none.
        """
        held, n_held = bytearray(), 0
        try:
            try:
                await self._fill(held, request)
            finally:
                n_held = len(held)
            content = bytes(held)
            held.clear()
            yield _body(request.headers.get("content-type", ""), content)
        finally:
            self._free += n_held

    async def _fill(self, held: bytearray, request: Request) -> None:
        if int(_digits(request.headers.get("content-length", "0"))) > self._max_bytes:
            raise self._too_large()
        chunks = request.stream()
        try:
            async with asyncio.timeout(WHOLE_S):
                while chunk := await asyncio.wait_for(anext(chunks, b""), self._chunk_s):
                    if len(held) + len(chunk) > self._max_bytes:
                        raise self._too_large()
                    if len(chunk) > self._free:
                        raise ProblemError(
                            503, "FEED_BUSY", "too much is being delivered at this moment; send it again"
                        )
                    held += chunk
                    self._free -= len(chunk)
            if not held:
                raise ProblemError(
                    400, "EMPTY", "the body is empty; send the ECG in it (curl: --data-binary @FILE)"
                )
        except TimeoutError:
            raise ProblemError(408, "TOO_SLOW", "the body came too slowly; send it again") from None
        except ClientDisconnect:
            raise ProblemError(408, "DISCONNECTED", "the sender left") from None

    def _too_large(self) -> ProblemError:
        return ProblemError(
            413,
            "TOO_LARGE",
            f"more than the {self._max_bytes} bytes of one delivery (DIASTOLE_FEED_MAX_BYTES); "
            "export the 10 s resting ECG alone",
        )


async def small_body(request: Request, most_bytes: int, within_s: float = CHUNK_S) -> bytes:
    """Read the body of a request that is no delivery.

    Raises
    ------
    ProblemError
        413 when it is larger, 408 when it comes too slowly or stops.
    """
    held = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                if len(held) + len(chunk) > most_bytes:
                    raise ProblemError(413, "TOO_LARGE", f"more than {most_bytes} bytes; see /openapi.json")
                held += chunk
    except TimeoutError:
        raise ProblemError(408, "TOO_SLOW", "the body came too slowly; send it again") from None
    except ClientDisconnect:
        raise ProblemError(408, "DISCONNECTED", "the sender left") from None
    return bytes(held)


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdigit() and len(text) < 20 else "0"


def _body(content_type: str, content: bytes) -> Body:
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data" or kind == b"multipart/related":
        return _multipart(content, options.get(b"boundary", b""))
    return Body(document=Document(content=content, name=_NAMES.get(kind.decode("latin-1"), "")))


def _multipart(content: bytes, boundary: bytes) -> Body:
    parts = _Parts()
    if not boundary:
        raise ProblemError(400, "BAD_BODY", "a multipart body needs a boundary in its Content-Type")
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(content)
        parser.finalize()
    except FormParserError:
        raise ProblemError(400, "BAD_BODY", "the multipart body is damaged; send it again") from None
    if not parts.is_whole or not parts.files:
        raise ProblemError(400, "BAD_BODY", "the multipart body holds no file, or its end is missing")
    main = next((name for name in parts.files if name.lower().endswith(".hea")), next(iter(parts.files)))
    companions = {name: content for name, content in parts.files.items() if name != main}
    document = Document(content=parts.files[main], name=main, companions=companions)
    return Body(document=document, fields=parts.fields)


class _Parts:
    """Takes what the parser finds."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.fields: dict[str, str] = {}
        self.is_whole = False
        self._n_parts = 0
        self._header, self._written = b"", b""
        self._disposition = b""
        self._content = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._more,
            "on_part_end": self._end,
            "on_end": self._whole,
        }

    def _begin(self) -> None:
        self._n_parts += 1
        if self._n_parts > _MAX_PARTS:
            raise ProblemError(400, "BAD_BODY", f"a delivery has at most {_MAX_PARTS} parts")
        self._disposition = b""
        self._content = bytearray()

    def _header_name(self, written: bytes, start: int, end: int) -> None:
        self._header += written[start:end]

    def _header_value(self, written: bytes, start: int, end: int) -> None:
        self._written += written[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._written
        self._header, self._written = b"", b""

    def _more(self, written: bytes, start: int, end: int) -> None:
        self._content += written[start:end]

    def _end(self) -> None:
        _, options = parse_options_header(self._disposition)
        named = options.get(b"filename")
        if named is not None:
            name = PurePosixPath(named.decode("utf-8", "replace").replace("\\", "/")).name
            name = name or f"file{self._n_parts}"
            if name in self.files:
                raise ProblemError(400, "BAD_BODY", "two files have one name; give each its own")
            self.files[name] = bytes(self._content)
        elif len(self._content) <= _MAX_FIELD_BYTES:
            key = options.get(b"name", b"").decode("utf-8", "replace")
            if key in self.fields:
                raise ProblemError(400, "BAD_BODY", "two fields have one name; say each once")
            self.fields[key] = self._content.decode("utf-8", "replace").strip()
        else:
            raise ProblemError(400, "BAD_BODY", "a part without a file name is longer than a field may be")

    def _whole(self) -> None:
        self.is_whole = True
