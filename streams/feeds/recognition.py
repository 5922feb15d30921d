"""Which format a delivery is of, told by its bytes; the table of formats that are read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from streams.feeds.document import Document
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: Bytes looked at to tell formats apart: the DICOM preamble is 128 bytes and its magic 4 (PS3.10 §7.1); an
#: XML prolog with a document type or a stylesheet stays well below 4 kB.
SNIFF_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format: its name, how its bytes look, and where its reader is.

    Attributes
    ----------
    name : str
        As written into ``source_format`` and metrics.
    looks_like : callable
        From document and its first bytes as lower-case text without an XML prolog's encoding trouble.
    module, function : str
        The reader; imported when it is needed, since one format's libraries should not slow down another's.
    """

    name: str
    looks_like: Callable[[Document, str], bool]
    module: str
    function: str

    def load(self) -> Callable[..., Any]:
        """Import the reader, a :data:`streams.feeds.read.Reader`."""
        reader: Callable[..., Any] = getattr(
            import_module(f"streams.feeds.readers.{self.module}"), self.function
        )
        return reader


def _is_dicom(document: Document, _: str) -> bool:
    head = document.content[:6]
    # Without a preamble it begins with group 0002 or 0008, and mostly with a value's two-letter type.
    is_bare = head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0" and head[4:6].isalpha()
    return document.content[128:132] == b"DICM" or is_bare or document.suffix in (".dcm", ".dicom")


def _is_wfdb(document: Document, _: str) -> bool:
    return document.suffix == ".hea"


def _is_scp(document: Document, _: str) -> bool:
    # EN 1064 §5: CRC, record size, then section 0: CRC, id 0, length 16 + 10 n; first it points to itself.
    head = document.content
    if len(head) < 32:
        return False
    length = int.from_bytes(head[10:14], "little")
    return head[8:10] == b"\0\0" and length >= 26 and (length - 16) % 10 == 0 and head[22:24] == b"\0\0"


def _is_edf(document: Document, _: str) -> bool:
    return document.content[:8] in (b"0       ", b"\xffBIOSEMI")


def _is_aecg(_: Document, text: str) -> bool:
    return _has_element("annotatedecg", text)


def _is_muse(_: Document, text: str) -> bool:
    return _has_element("restingecg", text) or _has_element("museinfo", text)


def _is_sierra(_: Document, text: str) -> bool:
    return _has_element("restingecgdata", text)


def _is_fhir_xml(_: Document, text: str) -> bool:
    return "http://hl7.org/fhir" in text


def _is_json(_: Document, text: str) -> bool:
    return text.startswith("{")


def _is_hl7_v2(_: Document, text: str) -> bool:
    return text.startswith("msh") and len(text) > 8 and not text[3].isalnum()


def _is_paper(document: Document, _: str) -> bool:
    return document.content.startswith(PAPER)


def _is_zip(document: Document, _: str) -> bool:
    return document.content[:4] == b"PK\x03\x04"


def _has_element(name: str, text: str) -> bool:
    return re.search(rf"<(\w+:)?{name}[\s>/]", text) is not None


#: How printed reports and pictures begin: PDF, JPEG, PNG, TIFF of either byte order, GIF, RTF.
PAPER: Final = (b"%PDF", b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"GIF8", b"{\\rtf")

#: Asked in this order; magic numbers before looser signs.
FORMATS: Final = (
    Format(name="DICOM", looks_like=_is_dicom, module="dicom", function="read_dicom"),
    Format(name="WFDB", looks_like=_is_wfdb, module="wfdb", function="read_wfdb"),
    Format(name="WFDB", looks_like=_is_zip, module="wfdb", function="read_wfdb_zip"),
    Format(name="PDF or picture", looks_like=_is_paper, module="paper", function="refuse_paper"),
    Format(name="HL7 v2", looks_like=_is_hl7_v2, module="hl7_v2", function="read_hl7_v2"),
    Format(name="EDF", looks_like=_is_edf, module="edf", function="read_edf"),
    Format(name="aECG", looks_like=_is_aecg, module="aecg", function="read_aecg"),
    Format(name="Sierra XML", looks_like=_is_sierra, module="sierra", function="read_sierra"),
    Format(name="MUSE XML", looks_like=_is_muse, module="muse", function="read_muse"),
    Format(name="FHIR", looks_like=_is_fhir_xml, module="fhir", function="read_fhir_xml"),
    Format(name="JSON", looks_like=_is_json, module="json_ecg", function="read_json"),
    Format(name="SCP-ECG", looks_like=_is_scp, module="scp", function="read_scp"),
)


def format_of(document: Document) -> Format:
    """Recognise a delivery.

    Raises
    ------
    FeedRefusedError
        When it looks like none of :data:`FORMATS`.
    """
    text = beginning(document.content)
    for known in FORMATS:
        if known.looks_like(document, text):
            return known
    names = ", ".join(dict.fromkeys(known.name for known in FORMATS if known.module != "paper"))
    raise FeedRefusedError(f"format not recognised; known are {names}", RefusalReason.UNKNOWN_FORMAT)


def beginning(content: bytes) -> str:
    """First bytes as lower-case text, whatever their encoding: enough to look for element names.

    >>> beginning("<A/>".encode("utf-16"))
    '<a/>'
    """
    head = content[:SNIFF_BYTES]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", errors="replace").lower()
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1").replace("\0", "").lstrip().lower()
