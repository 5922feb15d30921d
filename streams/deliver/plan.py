"""What is to be done about an alert now: a pure function of its records, the routes and the time.

Whoever carries a plan out notes each step as an act (:mod:`streams.deliver.own_acts`) and plans again until
nothing is left to do, then waits until :func:`next_due`. A crash between a step and its act repeats the step
under the same idempotency key; a step whose act is noted is never planned again.
"""

from dataclasses import dataclass
from datetime import datetime

from streams.deliver.case import AlertCase, CaseBook
from streams.deliver.routing import Routes


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
    """Nobody answered and the last of the ladder was asked; noted as EXPIRED."""


Step = Send | List | Escalate | Unmute | Expire

#: Reasons of :class:`List`.
CATCH_UP, MUTED = "catch-up", "muted"


def plan(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> tuple[Step, ...]:
    """Say what is to be done about this alert now.

    Parameters
    ----------
    now : datetime
        UTC.
    """
    raise NotImplementedError


def next_due(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> datetime | None:
    """Return when the plan will next have a step that it has not now; None: only another act changes it."""
    raise NotImplementedError


def is_overdue(case: AlertCase, book: CaseBook, routes: Routes, now: datetime) -> bool:
    """Whether nobody was reached at the alert's level within ``delivered_within``: a technical alarm."""
    raise NotImplementedError
