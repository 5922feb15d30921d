"""Which characters the bytes of an HL7 v2 message are (MSH-18, HL7 table 0211)."""

from typing import Final

#: Names of table 0211 as Python calls them. UTF-16 and UTF-32 are left out: MLLP forbids their bytes.
_CODECS: Final = {
    "ASCII": "ascii",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/3": "iso8859-3",
    "8859/4": "iso8859-4",
    "8859/5": "iso8859-5",
    "8859/6": "iso8859-6",
    "8859/7": "iso8859-7",
    "8859/8": "iso8859-8",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "CNS 11643-1992": "big5hkscs",
    "BIG-5": "big5hkscs",
    "ISO IR6": "ascii",
    "ISO IR100": "iso8859-1",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
}

#: Takes any byte and gives it back unchanged: for senders that do not write what they declare.
ANY_BYTE: Final = "latin-1"


def decode(content: bytes, declared: str) -> tuple[str, str]:
    r"""Turn bytes into text, whatever they are.

    The declared set is taken where the bytes fit it, then UTF-8, then a set that loses no byte: a wrong
    letter in a name we do not keep must not cost an ECG.

    Parameters
    ----------
    declared : str
        MSH-18, its first repetition; empty when not stated.

    Returns
    -------
    text, codec : str
        Encoding the text with the codec gives the bytes again.

    >>> decode(b"M\xfcller", "UNICODE UTF-8")
    ('Müller', 'latin-1')
    """
    stated = _CODECS.get(declared.strip().upper().replace("ISO 8859", "8859").replace("ISO8859", "8859"))
    for codec in filter(None, (stated, "utf-8")):
        try:
            return content.decode(codec), codec
        except UnicodeDecodeError:
            continue
    return content.decode(ANY_BYTE), ANY_BYTE
