"""Messages that are no ECG: what they are made of, and as what they must end."""

import random
from dataclasses import dataclass
from typing import Final

#: Kind of poison → error code its dead letter must bear.
POISONS: Final = {
    "garbage": "DECODE",
    "truncated": "DECODE",
    "unknown-schema": "UNKNOWN_SCHEMA",
    "invalid": "INVALID_RECORD",
    "empty": "EMPTY_RECORD",
    "oversized": "PAYLOAD_TOO_LARGE",
}

#: Above the workers' ``max_record_bytes`` (2 MiB), below what the topic takes (8 MiB). One in twenty: a
#: campaign of some thousands would otherwise write gigabytes of it.
OVERSIZED_BYTES: Final = 2 * 2**20 + 64 * 2**10
_OVERSIZED_ODDS: Final = 0.05

#: Beyond what any registry has come to, within what it may give.
_NO_SCHEMA: Final = (2_000_000_123).to_bytes(4, "big")

_UUID_CHARS: Final = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """One message that is no ECG.

    Attributes
    ----------
    key : bytes
        Its own: by it the message is found again, whatever its bytes are.
    """

    key: bytes
    kind: str

    @property
    def code(self) -> str:
        """Error code that its dead letter must bear."""
        return POISONS[self.kind]

    def payload(self, lawful: bytes, ecg_id: str) -> bytes | None:
        """Make its bytes out of an encoded ECG of this id; the same every time."""
        chance = random.Random(self.key)
        match self.kind:
            case "garbage":
                return b"\xff" + chance.randbytes(chance.randrange(400))
            case "truncated":
                return lawful[: chance.randrange(6, len(lawful) - 1)]
            case "unknown-schema":
                return b"\x00" + _NO_SCHEMA + lawful[5:]
            case "invalid":
                return lawful.replace(ecg_id.encode(), b"x" * _UUID_CHARS, 1)
            case "oversized":
                return bytes(OVERSIZED_BYTES)
            case _:
                return None


def draw_poison(key: bytes, chance: random.Random) -> Poison:
    """Draw a kind: large ones seldom."""
    if chance.random() < _OVERSIZED_ODDS:
        return Poison(key=key, kind="oversized")
    return Poison(key=key, kind=chance.choice([kind for kind in POISONS if kind != "oversized"]))
