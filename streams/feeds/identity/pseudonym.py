"""Patient identifiers to pseudonyms: keyed, one way, always the same."""

import base64
import hashlib
import hmac
import re
import unicodedata
from typing import Final

#: Crockford's base 32: no I, L, O or U, so that a pseudonym read aloud or typed is not mistaken.
_CROCKFORD: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")

#: What a pseudonym begins with, so that it is seen for one.
PREFIX: Final = "P-"

_FORM: Final = re.compile(r"P-[0-9A-HJKMNP-TV-Z]{32}")

#: Of the HMAC's 32 bytes: 160 bits are 32 characters without padding, and among 10⁹ patients two collide with
#: a probability of 10⁻³⁰.
_PSEUDONYM_BYTES: Final = 20


class Pseudonyms:
    """Names the patients of one numbering (domain).

    Parameters
    ----------
    key : bytes or None
        Derived from the gateway's secret for this purpose alone; None lets identifiers through unchanged.
    domain : str
        Names the numbering: number 1 of one hospital is not number 1 of another.
    """

    def __init__(self, key: bytes | None, domain: str) -> None:
        self._key = key
        self._domain = domain

    @property
    def is_keyed(self) -> bool:
        """Whether identifiers are replaced at all."""
        return self._key is not None

    def of(self, patient_id: str) -> str:
        """Name a patient; the same identifier in the same domain under the same key has the same name.

        Examples
        --------
        >>> Pseudonyms(bytes(32), "north").of("0012")
        'P-1S2GDNSC2FHHQ81ZVR209M0GD0WKHVZM'
        >>> Pseudonyms(None, "north").of("0012")
        '0012'
        """
        if self._key is None:
            return patient_id
        digest = hmac.digest(self._key, _message(self._domain, normalised(patient_id)), hashlib.sha256)
        text = base64.b32encode(digest[:_PSEUDONYM_BYTES]).decode("ascii")
        return PREFIX + text.translate(_CROCKFORD)


def is_pseudonym(text: str) -> bool:
    """Whether a text has the form of a pseudonym; a site's identifier could have it only by intent.

    >>> is_pseudonym("P-1S2GDNSC2FHHQ81ZVR209M0GD0WKHVZM"), is_pseudonym("P-12")
    (True, False)
    """
    return _FORM.fullmatch(text) is not None


def normalised(patient_id: str) -> str:
    """Make one of the spellings that mean the same identifier in any numbering.

    Surrounding white space goes, and composed and decomposed characters become one (NFC). Nothing else: in
    many numberings case tells patients apart, and ``007`` is not ``7``.

    Examples
    --------
    >>> normalised(" 007a ")
    '007a'
    """
    return unicodedata.normalize("NFC", patient_id).strip()


def _message(domain: str, identifier: str) -> bytes:
    # Length-prefixed, so that domain "a" with "bc" and domain "ab" with "c" differ.
    encoded = domain.encode()
    return len(encoded).to_bytes(4, "big") + encoded + identifier.encode()
