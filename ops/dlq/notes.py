"""Notes of what was replayed, on a topic of their own: read before a replay, so that a second one is told."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ops.dlq.letter import Place, parse_place
from ops.dlq.replaying import Replay
from schemas.errors import ConfigurationError
from streams.message import Outgoing
from streams.topology import DEAD_LETTER_REPLAYED


def note_of(replay: Replay) -> Outgoing:
    """Write a note; the place a message came from is its key, and nothing of it is a patient's."""
    said = {"at": replay.at.isoformat(), "by": replay.by, "became": str(replay.became)}
    return Outgoing(
        topic=DEAD_LETTER_REPLAYED, key=str(replay.origin).encode(), value=json.dumps(said).encode()
    )


def replay_of(raw: Any) -> Replay | None:
    """Read a note as Kafka's client hands it out; None for a record that is none, whoever wrote it."""
    try:
        said = json.loads(raw.value)
        return Replay(
            origin=parse_place(raw.key.decode()),
            at=_aware(said["at"]),
            by=str(said["by"]),
            became=parse_place(said["became"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigurationError):
        return None


def newest(replays: list[Replay]) -> Mapping[Place, Replay]:
    """Newest replay of each message, by the place it came from."""
    return {replay.origin: replay for replay in sorted(replays, key=lambda replay: replay.at)}


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a note's time must carry its offset")
    return moment
