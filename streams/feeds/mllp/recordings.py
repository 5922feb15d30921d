"""The ECGs inside the observations of an ORU message, decoded into documents.

=======  ==============================================================================
OBX-2    OBX-5
=======  ==============================================================================
ED       source ^ type ^ subtype ^ encoding (Base64, Hex, A) ^ the document
FT TX ST the document as text with escape sequences, in one OBX or line by line in several
RP       a pointer to a document that is elsewhere: refused
=======  ==============================================================================

Numbers, codes and remarks are measurements and findings beside an ECG, and not looked at. Neither are printed
reports (PDF, pictures) where an ECG stands beside them; a report alone is refused by its reader.
"""

import base64
import binascii
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from streams.feeds.document import Document
from streams.feeds.mllp.escapes import unescape
from streams.feeds.mllp.message import Message, Segment
from streams.feeds.mllp.orders import Order, orders_in
from streams.feeds.recognition import PAPER
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: More ECGs in one message are taken for a mistake of the sender.
MAX_RECORDINGS: Final = 64

#: Value types of text; senders of HL7 before 2.3 may leave OBX-2 empty.
_MAY_HOLD_TEXT: Final = frozenset({"FT", "TX", "ST", ""})

#: HL7 table 0299. A alone may be anything else, but for its own place.
_UNMISTAKABLE: Final = frozenset({"BASE64", "HEX"})
_ENCODINGS: Final = _UNMISTAKABLE | {"A"}

#: Source, type, subtype and encoding are short; what comes after is the document.
_ENCODING_WITHIN: Final = 1024

#: Pages for a browser, beside what :data:`~streams.feeds.recognition.PAPER` names.
_PAGES: Final = (b"<html", b"<HTML", b"<!DOCTYPE html", b"<!DOCTYPE HTML")

_REPORT_SUBTYPES: Final = frozenset({"PDF", "JPEG", "JPG", "PNG", "TIFF", "GIF", "RTF", "HTML", "JPEG2000"})

#: A text of this length that is Base64 from end to end is no remark.
_MIN_BASE64_CHARS: Final = 256

_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")

_NO_BLANKS: Final = {ord(blank): None for blank in " \t\r\n\v\f"}

#: An XML prolog is short; looking for one further would take a hostile text quadratic time.
_PROLOG_WITHIN: Final = 256
_PROLOG_ENCODING: Final = re.compile(r"^(\s*<\?xml[^>]*?)\s+encoding\s*=\s*([\"'])[^\"']*\2")

_ROOT: Final = re.compile(r"<([A-Za-z_][\w.:-]*)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """One ECG of a message, or the reason why it cannot be taken out of it.

    Attributes
    ----------
    observation : Segment
        The OBX it was found in; where it goes over several, the first.
    document : Document or None
    refusal : FeedRefusedError or None
        One of the two is there.
    is_report : bool
        It is printed paper, not samples.
    """

    order: Order
    observation: Segment
    document: Document | None = None
    refusal: FeedRefusedError | None = None
    is_report: bool = False


def recordings_in(message: Message) -> Sequence[Recording]:
    """Find every ECG in a message, in order.

    Raises
    ------
    FeedRefusedError
        When there is none, or absurdly many.
    """
    found = [each for order in orders_in(message) for each in _recordings(order, message)]
    if not all(each.is_report for each in found):
        found = [each for each in found if not each.is_report]
    if not found:
        raise FeedRefusedError(
            "a message without a recording: send the ECG in OBX-5 as ED (Base64), or as text in FT or TX",
            RefusalReason.NO_WAVEFORM,
        )
    if len(found) > MAX_RECORDINGS:
        raise FeedRefusedError(
            f"{len(found)} recordings in one message, at most {MAX_RECORDINGS} are taken; send fewer in each",
            RefusalReason.TOO_LARGE,
        )
    return found


def _recordings(order: Order, message: Message) -> Iterator[Recording]:
    waiting = deque(order.observations)
    while waiting:
        observation = waiting.popleft()
        is_pointer = observation.component(2).upper() == "RP"
        try:
            document = None if is_pointer else _document(observation, waiting, message)
        except FeedRefusedError as refusal:
            yield Recording(order=order, observation=observation, refusal=refusal)
            continue
        if is_pointer:
            yield _pointed_at(order, observation)
        elif document is not None:
            is_report = _is_report(document)
            yield Recording(order=order, observation=observation, document=document, is_report=is_report)


def _document(observation: Segment, waiting: "deque[Segment]", message: Message) -> Document | None:
    value_type = observation.component(2).upper()
    if value_type == "ED" or (value_type in _MAY_HOLD_TEXT and _names_encoding(observation)):
        return _encapsulated(observation, message)
    return _text_document(observation, waiting, message) if value_type in _MAY_HOLD_TEXT else None


def _is_report(document: Document) -> bool:
    beginning = document.content[:64].lstrip()
    return beginning.startswith(PAPER + _PAGES) or document.suffix[1:].upper() in _REPORT_SUBTYPES


def _pointed_at(order: Order, observation: Segment) -> Recording:
    # RP: pointer ^ application ^ type ^ subtype
    refusal = FeedRefusedError(
        "OBX-5 only points to the recording (RP), and pointers are not followed; send it inside (ED)",
        RefusalReason.UNSUPPORTED,
    )
    is_report = observation.component(5, 4).upper() in _REPORT_SUBTYPES
    return Recording(order=order, observation=observation, refusal=refusal, is_report=is_report)


def _names_encoding(observation: Segment) -> bool:
    """Whether it is built like ED, whatever OBX-2 says."""
    parts = observation.field(5)[:_ENCODING_WITHIN].split(observation.delimiters.component, 4)[:-1]
    return any(part.strip().upper() in _UNMISTAKABLE for part in parts)


def _encapsulated(observation: Segment, message: Message) -> Document:
    parts = observation.field(5).split(message.delimiters.component, 4)
    at = _encoding_place(parts)
    encoded = parts[-1] if at is None else message.delimiters.component.join(parts[at + 1 :])
    encoding = "" if at is None else parts[at].strip().upper()
    text = unescape(encoded, message.delimiters, message.codec).strip()
    subtype = parts[at - 1].strip().lower().removeprefix("x-") if at else ""
    name = f"document.{subtype}" if subtype.isalnum() else ""
    if not text:
        raise FeedRefusedError("OBX-5 holds no document; export it again", RefusalReason.DAMAGED)
    if encoding == "HEX":
        return Document(content=_from_hex(text), name=name)
    if encoding == "BASE64" or _looks_like_base64(text):
        return Document(content=_from_base64(text), name=name)
    return Document(content=_as_utf8(text), name=name)


def _encoding_place(parts: Sequence[str]) -> int | None:
    """Return where the encoding stands: before the document, whatever a sender left out before it."""
    named = [part.strip().upper() for part in parts[:-1]]
    if named[3:] and named[3] in _ENCODINGS:
        return 3
    return next((i for i, name in enumerate(named) if name in _UNMISTAKABLE), None)


def _text_document(observation: Segment, waiting: "deque[Segment]", message: Message) -> Document | None:
    """Return what an OBX of text holds, with those after it that go on with it; None for a remark."""
    text = _text(observation, message)
    if text.startswith("<"):
        return Document(content=_as_utf8("\n".join(_lines(text, observation, waiting, message))))
    if text.startswith("{"):
        return Document(content=_as_utf8(text))
    return Document(content=_from_base64(text)) if _looks_like_base64(text) else None


def _lines(text: str, observation: Segment, waiting: "deque[Segment]", message: Message) -> Iterator[str]:
    """Give the texts of one XML document, up to the end of its root element."""
    yield text
    root = _ROOT.search(text)
    while not (root and text.endswith(f"</{root[1]}>")) and waiting and _goes_on(observation, waiting[0]):
        text = _text(waiting.popleft(), message)
        root = root or _ROOT.search(text)
        yield text


def _text(observation: Segment, message: Message) -> str:
    # A repetition of FT or TX is a further line.
    lines = observation.field(5).replace(message.delimiters.repetition, "\n")
    return unescape(lines, message.delimiters, message.codec).strip().removeprefix("\ufeff")


def _goes_on(observation: Segment, after: Segment) -> bool:
    return after.component(2).upper() in _MAY_HOLD_TEXT and after.component(3) == observation.component(3)


def _looks_like_base64(text: str) -> bool:
    return len(text) >= _MIN_BASE64_CHARS and _BASE64.fullmatch(text) is not None


def _from_base64(text: str) -> bytes:
    characters = text.translate(_NO_BLANKS)
    try:
        return base64.b64decode(characters + "=" * (-len(characters) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise FeedRefusedError(
            "OBX-5 is damaged or incomplete Base64; send it again", RefusalReason.DAMAGED
        ) from None


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise FeedRefusedError(
            "OBX-5 is damaged or incomplete Hex; send it again", RefusalReason.DAMAGED
        ) from None


def _as_utf8(text: str) -> bytes:
    """Encode a document that came as text; the encoding it names was that of the file it was copied from."""
    prolog, rest = text[:_PROLOG_WITHIN], text[_PROLOG_WITHIN:]
    return (_PROLOG_ENCODING.sub(r"\1", prolog, count=1) + rest).encode("utf-8", errors="replace")
