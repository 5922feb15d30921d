"""What the pages are made with: the services of the read API, its doors, and the site's policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta, tzinfo

from streams.api.doors import Caller, Doors
from streams.api.pages.inbox import Look
from streams.api.services import Services
from streams.api.tokens import CareToken, Role
from streams.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageParts:
    """Everything the pages are made with.

    Attributes
    ----------
    zone : tzinfo
        In which times are shown.
    gap : timedelta
        ECGs further apart than this are not joined on a trend.
    """

    services: Services
    doors: Doors
    policy: Policy
    zone: tzinfo
    gap: timedelta = timedelta(days=30)

    def look(self, caller: Caller, lying: Mapping[str, str] | None = None) -> Look:
        """See alerts as this caller does, now.

        Parameters
        ----------
        lying : mapping of str to str or None
            In which wards patients lie now, as far as the page needs it and it is known.
        """
        return Look(
            now=self.services.now(),
            zone=self.zone,
            routes=self.services.routes,
            book=self.services.book.book,
            enter_threshold=self.policy.enter_threshold,
            lying=lying or {},
            may_act=may_act(caller.token),
        )


def may_act(token: CareToken) -> bool:
    """Whether the caller may answer alerts."""
    return token.may(Role.CLINICIAN)
