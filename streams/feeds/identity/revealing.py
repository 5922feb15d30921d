"""Pseudonyms turned back into patients: only where key and table are, and never unnoticed."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError
from streams.feeds.identity.names import open_pseudonyms
from streams.feeds.settings import FeedSettings
from streams.settings import Settings
from streams.stage import UtcClock, utc_now

#: Below the feeds' folder in DIASTOLE_HOME; one line of JSON for each pseudonym asked about.
FILE_NAME: Final = "identity-revealed.jsonl"


class NotRevealedError(ConfigurationError):
    """There is no way back from here: no key, or the table does not have the pseudonym."""

    code = "NOT_REVEALED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealing:
    """Who asked for whom, when and why."""

    pseudonym: str
    actor: str
    asked_at: datetime
    reason: str = ""

    def line(self) -> str:
        """Write it as one line of JSON; the site's identifier is not in it."""
        return json.dumps(
            {
                "asked_at": self.asked_at.isoformat(),
                "actor": self.actor,
                "pseudonym": self.pseudonym,
                "reason": self.reason,
            }
        )


def reveal(
    pseudonym: str,
    settings: Settings,
    feed_settings: FeedSettings,
    *,
    actor: str,
    reason: str = "",
    now: UtcClock = utc_now,
) -> str:
    """Give the site's identifier back; that it was asked for is on disk before it is known.

    Asking again is noted again.

    Raises
    ------
    NotRevealedError
        When there is no key here, or the table does not have the pseudonym.
    SealError
        When the table was written with another key.
    TableUnavailableError, OSError
        When table or audit cannot be used; nothing is revealed then.
    """
    _, table = open_pseudonyms(settings, feed_settings)
    if table is None:
        raise NotRevealedError(
            "without a key there are no pseudonyms; set DIASTOLE_FEED_KEY_FILE to the gateway's key file"
        )
    with table:
        asked = Revealing(pseudonym=pseudonym, actor=actor, asked_at=now(), reason=reason)
        _append(audit_path(settings), asked.line())
        patient_id = table.reveal(pseudonym)
    if patient_id is None:
        raise NotRevealedError(
            "the table of this gateway does not have this pseudonym; ask where its ECGs came in"
        )
    return patient_id


def audit_path(settings: Settings) -> Path:
    """Where it is noted who asked for whom."""
    return settings.home / "feeds" / FILE_NAME


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # O_APPEND: what several processes write at once stands one after the other.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
