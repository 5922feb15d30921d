"""Identifiers of patients who do not exist, unlike anything else, and the search for what is left of them."""

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

from streams.history_encoding import patient_digest

#: In every identifier below, in three spellings. Eight letters are in no text by chance, encoded or not.
_SPELLINGS: Final = (b"ZQX7VELD", b"Zqx7veld", b"zqx7veld")

#: Identifiers with signs to which URLs, JSON, HTML, formats and shells give a meaning; one is long.
PATIENT_IDS: Final = (
    "ZQX7VELD-1",
    "Zqx7veld/b 2?x=1#y&z",
    "zqx7veld%2F3%s{0}<b>'\"",
    "ZQX7VELD-ä-患者",
    "Zqx7veld" + "-5" * 28,
)
NAME: Final = "Zqx7veld^Zqx7veldine"
ACCESSION: Final = "ZQX7VELD44"
#: For a merge: the identifier that is given up, and the one that stays.
PRIOR_ID, SURVIVING_ID = "ZQX7VELDOLD", "ZQX7VELDNEW"


def _in_base64(token: bytes) -> set[bytes]:
    """What stands in the Base64 of any text around the token, whichever byte of three it begins at."""
    found = set()
    for n_before in range(3):
        encoded = base64.b64encode(b"\0" * n_before + token + b"\0" * 3)
        begins, ends = -(-8 * n_before // 6), 8 * (n_before + len(token)) // 6
        found.add(encoded[begins:ends])
    return found


def _digests(patient_id: str) -> set[bytes]:
    """Digests that whoever guesses identifiers can make without any key."""
    content = patient_id.encode()
    plain = {hashlib.new(name, content).hexdigest() for name in ("md5", "sha1", "sha256")}
    return {digest.encode() for digest in (*plain, patient_digest(patient_id))}


def _needles() -> frozenset[bytes]:
    needles = set(_SPELLINGS)
    for token in _SPELLINGS:
        needles |= _in_base64(token)
        needles |= {token.hex().encode(), token.hex().upper().encode(), token.decode().encode("utf-16-le")}
    for patient_id in (*PATIENT_IDS, PRIOR_ID, SURVIVING_ID):
        needles |= _digests(patient_id)
    return frozenset(needles)


_NEEDLES: Final = _needles()


def leaks(said: Iterable[tuple[str, bytes]]) -> list[str]:
    """Name the places where an identifier is found, plain, encoded or as a digest, with what stands around.

    Parameters
    ----------
    said : iterable of (str, bytes)
        Place and text.
    """
    return [
        f"{place}: …{text[max(0, at - 120) : at + 80].decode(errors='replace')}…"
        for place, text in said
        for needle in _NEEDLES
        if (at := text.find(needle)) >= 0
    ]
