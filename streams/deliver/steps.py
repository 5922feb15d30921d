"""The steps of a plan: what is to be done about an alert."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Tell a recipient over a channel; noted as DELIVERED or DELIVERY_FAILED.

    Attributes
    ----------
    not_before : datetime
        UTC; when it became due. Plans hold only what is due.
    attempt : int
        From 1; one more than the failures noted for this channel and level.
    """

    channel: str
    recipient: str
    level: int
    not_before: datetime
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """Show it in the inbox and page nobody; noted as LISTED with this reason."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalate:
    """Nobody answered in time: go to this level; noted as ESCALATED."""

    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmute:
    """The alert's own mute has run out; noted as UNMUTED, once for each mute.

    Attributes
    ----------
    mute_id : str
        The ``action_id`` of the mute that ended.
    """

    mute_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """Nobody answered, and the last of the ladder was asked; noted as EXPIRED."""


Step = Send | List | Escalate | Unmute | Expire
