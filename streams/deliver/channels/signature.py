"""Signing what a webhook sends, and checking it where it arrives.

::

    Diastole-Signature: t=1764000000,v1=5257a8…        one v1 for each secret in use
    v1 = hex(HMAC-SHA256(secret, "1764000000" + "." + body))

The time is signed with the body, so that an old notice cannot be sent again by somebody who overheard it.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

HEADER: Final = "Diastole-Signature"

#: A receiver takes no notice that was signed longer ago, or further ahead, s: clocks differ, queues do not
#: hold notices back after signing (each repeat is signed anew).
TOLERANCE_S: Final = 300.0

#: Secrets in use at a time while one replaces another; of a header with more nothing is believed.
_MOST_SIGNATURES: Final = 8

#: Digits of the largest time that ``datetime`` knows.
_MOST_TIME_DIGITS: Final = 12


def sign(body: bytes, secrets: Sequence[str], now: datetime) -> str:
    """Make the header of a body.

    >>> from datetime import UTC
    >>> sign(b"{}", ["secret"], datetime(2026, 3, 1, tzinfo=UTC))[:30]
    't=1772323200,v1=a48e46053abfa8'
    """
    stamp = str(int(now.timestamp()))
    return ",".join([f"t={stamp}", *(f"v1={_mac(stamp, body, secret)}" for secret in secrets)])


def verify(signature: str, body: bytes, secret: str, now: datetime, tolerance_s: float = TOLERANCE_S) -> bool:
    """Whether a body was signed with this secret, and just now; for receivers.

    Parameters
    ----------
    signature : str
        The header as received; anything may stand in it.
    body : bytes
        Exactly as received, before any parsing.
    now : datetime
        The receiver's time, aware.
    """
    pairs = [part.strip().partition("=") for part in signature.split(",", _MOST_SIGNATURES + 2)]
    stamps = [text for name, _, text in pairs if name == "t"]
    claimed = [text for name, _, text in pairs if name == "v1"]
    if len(stamps) != 1 or not 0 < len(claimed) <= _MOST_SIGNATURES or not _is_time(stamps[0]):
        return False
    expected = _mac(stamps[0], body, secret).encode()
    # Every one is compared, in constant time: nothing is told by how long it takes.
    matches = [hmac.compare_digest(expected, text.encode("utf-8", "surrogateescape")) for text in claimed]
    return any(matches) and abs(now.timestamp() - int(stamps[0])) <= tolerance_s


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_TIME_DIGITS


def _mac(stamp: str, body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
