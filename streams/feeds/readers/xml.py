"""One safe way to parse XML: no entities, nothing fetched, and bounds that hold while it is being parsed."""

import binascii
import math
from base64 import b64decode
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers.expat import errors

from defusedxml.common import DefusedXmlException, DTDForbidden
from defusedxml.ElementTree import DefusedXMLParser

from streams.feeds.limits import ReadLimits
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: What expat says when bytes are not of the encoding that the document declares.
_WRONG_ENCODING: Final = frozenset(
    errors.codes[message]
    for message in (
        errors.XML_ERROR_INVALID_TOKEN,
        errors.XML_ERROR_PARTIAL_CHAR,
        errors.XML_ERROR_INCORRECT_ENCODING,
    )
)

#: Attributes are counted by their equals signs, before expat makes objects of them: 2 an element on average.
_ATTRIBUTES_PER_ELEMENT: Final = 2


class _BoundedBuilder(TreeBuilder):
    """Builds the tree; refuses what grows too deep or too large when it does, not when it is done.

    Names of elements and attributes come in lower case and without namespace: exporters differ in both.
    """

    def __init__(self, limits: ReadLimits) -> None:
        super().__init__()
        self._limits = limits
        self._depth = 0
        self._n_elements = 0
        self._names: dict[str, str] = {}

    def start(self, tag: str, attrs: dict[Any, Any], /) -> Element:
        self._depth += 1
        self._n_elements += 1
        if self._depth > self._limits.max_depth:
            raise FeedRefusedError(
                f"XML nested deeper than {self._limits.max_depth} elements, which no ECG is; refused unread",
                RefusalReason.UNSAFE,
            )
        if self._n_elements > self._limits.max_elements:
            raise FeedRefusedError(
                f"XML of more than {self._limits.max_elements} elements; export the 10 s resting ECG alone",
                RefusalReason.TOO_LARGE,
            )
        return super().start(self._local(tag), {self._local(name): text for name, text in attrs.items()})

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(self._local(tag))

    def _local(self, name: str) -> str:
        local = self._names.get(name)
        if local is None:
            local = self._names[name] = name.rpartition("}")[2].lower()
        return local


def parse_xml(content: bytes, limits: ReadLimits) -> Element:
    """Parse a document: names in lower case without namespaces, whatever single-byte or UTF encoding.

    A document type that only names its DTD is passed over and never fetched. Text whose bytes are not of the
    declared encoding (exports that say UTF-8 and write Windows-1252, or the reverse) is read as what it is.

    Raises
    ------
    FeedRefusedError
        UNSAFE: it declares entities or other markup of its own, refers to other documents, or nests absurdly.
        TOO_LARGE: more elements or attributes than allowed. DAMAGED: not well-formed. UNSUPPORTED: written in
        an encoding that is not read.
    """
    _require_few_attributes(content, limits)
    try:
        return _built(content, limits)
    except ParseError as error:
        if error.code not in _WRONG_ENCODING:
            raise _not_well_formed() from None
    try:
        return _built(_despite_its_declaration(content), limits)
    except ParseError:
        raise _not_well_formed() from None


def text_at(element: Element | None, path: str = ".") -> str:
    """Text of the first element at a path, stripped; empty when there is none."""
    found = None if element is None else element.find(path)
    return "" if found is None else (found.text or "").strip()


def attribute_at(element: Element | None, path: str, name: str) -> str:
    """Attribute of the first element at a path, stripped; empty when there is none."""
    found = None if element is None else element.find(path)
    return "" if found is None else (found.get(name) or "").strip()


def number(text: str) -> float | None:
    """Read a finite number; None when it is none.

    >>> number("4.88"), number("1e999"), number("---")
    (4.88, None, None)
    """
    try:
        read = float(text)
    except ValueError:
        return None
    return read if math.isfinite(read) else None


def base64_at(element: Element, path: str, what: str) -> bytes:
    """Decode the Base64 of the first element at a path, line breaks and all.

    Raises
    ------
    FeedRefusedError
        When there is none or it is cut or spoilt; ``what`` names it.
    """
    try:
        decoded = b64decode("".join(text_at(element, path).split()), validate=True)
    except (binascii.Error, ValueError):
        raise FeedRefusedError(f"{what} is cut or spoilt (Base64); export it again") from None
    if not decoded:
        raise FeedRefusedError(f"{what} holds no samples; export it again", RefusalReason.NO_WAVEFORM)
    return decoded


def _built(content: bytes | str, limits: ReadLimits) -> Element:
    parser = DefusedXMLParser(target=_BoundedBuilder(limits))
    parser.parser.StartDoctypeDeclHandler = _require_no_markup_of_its_own
    try:
        parser.feed(content)
        root: Element = parser.close()
        return root
    except DefusedXmlException as error:
        raise FeedRefusedError(
            f"unsafe XML ({type(error).__name__}): it declares entities or refers to other documents; "
            "export it without them",
            RefusalReason.UNSAFE,
        ) from None
    except ParseError:
        raise
    except (ValueError, LookupError):
        # expat knows UTF-8, UTF-16, and encodings of one byte a character.
        raise FeedRefusedError(
            "XML in an encoding that is not read (Shift_JIS?); export it as UTF-8", RefusalReason.UNSUPPORTED
        ) from None


def _require_no_markup_of_its_own(name: str, system: str | None, public: str | None, own: bool) -> None:
    # Beside entities, default attributes swell: each element of a name bears them, whatever their length.
    if own:
        raise DTDForbidden(name, system, public)


def _require_few_attributes(content: bytes, limits: ReadLimits) -> None:
    most = _ATTRIBUTES_PER_ELEMENT * limits.max_elements
    if content.count(b"=") > most:
        raise FeedRefusedError(
            f"XML of more than {most} attributes; export the 10 s resting ECG alone", RefusalReason.TOO_LARGE
        )


def _despite_its_declaration(content: bytes) -> str:
    """Decode as what the bytes are; text, unlike bytes, is parsed whatever its declaration says."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def _not_well_formed() -> FeedRefusedError:
    return FeedRefusedError("damaged XML, not well-formed; export it again")
