"""Who is told of which alert, when, over what: the site's routes.

Routes say what one alert means for whom; :mod:`streams.deliver.routes_file` reads and checks them, and
:mod:`streams.deliver.plan` follows them. The ladder says after how long without an answer the next level is
asked; each route says at which levels it is asked, and every route that fits an alert is (two audiences: the
ward below, the rapid response team above a probability of its own).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from schemas.alert import AlertKind, AlertRaised, Priority

#: Severities an alert can have; LOW is left to technical alarms.
SEVERITIES: Final = (Priority.HIGH, Priority.MEDIUM)


class ChannelKind(StrEnum):
    """By what an alert leaves the house."""

    WEBHOOK = "webhook"
    APPRISE = "apprise"
    FHIR = "fhir"
    HL7 = "hl7"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """One channel as the file names it; it holds no secret, only where secrets lie.

    Attributes
    ----------
    name : str
        Named in acts, alarms and idempotency keys.
    target : str
        Address without credentials: a URL (webhook, fhir) or ``host:port`` (hl7); "" with ``target_file``.
    target_file : Path or None
        Holds the address where the address itself is secret (apprise URLs).
    secret_file : Path or None
        Holds the key of the signature (webhook) or the bearer token (fhir).
    timeout_s : float
        After so long one attempt has failed.
    options : mapping of str to str
        What only this kind of channel understands.
    """

    name: str
    kind: ChannelKind
    target: str = ""
    target_file: Path | None = None
    secret_file: Path | None = None
    timeout_s: float = 10.0
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Part of the day, in the site's time; ``since`` in it, ``until`` not. May go over midnight."""

    since: time
    until: time

    def hold(self, local: time) -> bool:
        """Whether the clock on the wall shows a time in it.

        >>> Hours(since=time(19), until=time(7)).hold(time(3, 30))
        True
        """
        if self.since < self.until:
            return self.since <= local < self.until
        return local >= self.since or local < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who is asked at some levels of the ladder about the alerts that fit.

    Attributes
    ----------
    name : str
        For messages about the file.
    levels : tuple of int
        Levels of the ladder at which it is asked, from 0.
    recipient : str
        A role, no person; written to the audit.
    channels : tuple of str
        All of them are used; none: the alert is to be seen in the inbox alone.
    second : tuple of str
        Used as well when one of ``channels`` has refused, or failed as often as ``Retry.attempts`` says.
    wards, sites : tuple of str
        Patterns such as ``cardio*``; ``*`` also fits an alert that names none.
    severities : tuple of Priority
    hours : Hours or None
        None: all day.
    min_probability : float
        Only alerts at or above it; [0, 1].
    quiet_h : float
        Nothing more to this recipient about the same patient for so many hours after a delivery; 0: always.
    """

    name: str
    levels: tuple[int, ...]
    recipient: str
    channels: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    wards: tuple[str, ...] = ("*",)
    sites: tuple[str, ...] = ("*",)
    severities: tuple[Priority, ...] = SEVERITIES
    hours: Hours | None = None
    min_probability: float = 0.0
    quiet_h: float = 0.0

    @property
    def takes_all(self) -> bool:
        """Whether no alert of its severities and hours is beyond it."""
        anywhere = "*" in self.wards and "*" in self.sites
        return anywhere and self.min_probability == 0 and self.quiet_h == 0

    def fits(self, alert: AlertRaised, severity: Priority, local: time) -> bool:
        """Whether the alert is for it at that time of the site's day; levels and quiet hours apart."""
        return (
            severity in self.severities
            and alert.probability >= self.min_probability
            and any(fnmatchcase(alert.ward_id, pattern) for pattern in self.wards)
            and any(fnmatchcase(alert.site_id, pattern) for pattern in self.sites)
            and (self.hours is None or self.hours.hold(local))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a channel that fails is tried again.

    Attributes
    ----------
    attempts : int
        After so many failures the second channel is used too; the first goes on at ``longest_s``.
    first_s, longest_s : float
        Wait after the first failure; it doubles with each, up to the longest.
    """

    attempts: int = 4
    first_s: float = 5.0
    longest_s: float = 300.0

    def wait(self, n_failed: int) -> timedelta:
        """How long to wait after so many failures; without chance in it, so that a plan can be made again.

        >>> Retry(first_s=5, longest_s=300).wait(3)
        datetime.timedelta(seconds=20)
        """
        doublings = min(max(n_failed - 1, 0), 32)
        return timedelta(seconds=min(self.first_s * 2**doublings, self.longest_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Everything a site says about delivery.

    Attributes
    ----------
    version : str
        Label and digest of the file's content.
    channels : mapping of str to ChannelSettings
    routes : tuple of Route
        In the order of the file; where two want one channel at one level, the first one's recipient is named.
    ladder : mapping of Priority to tuple of timedelta
        For each severity: how long after the raise each level is asked, when nobody answered; the first is 0.
    high_probability : float
        At or above it an alert is of HIGH severity, else MEDIUM.
    high_kinds : tuple of AlertKind
        Always of HIGH severity.
    fresh, expire, delivered_within : timedelta
        How old an ECG may be when its alert is raised, and still page; how long an alert may stay
        unanswered; after how long a route without any delivery at a level is a technical alarm.
    zone : tzinfo
        The sites' time of day, for ``Route.hours``.
    zones : mapping of str to tzinfo
        Of sites that have another.
    """

    version: str
    routes: tuple[Route, ...]
    channels: Mapping[str, ChannelSettings] = field(default_factory=dict)
    ladder: Mapping[Priority, tuple[timedelta, ...]] = field(
        default_factory=lambda: dict.fromkeys(SEVERITIES, (timedelta(0),))
    )
    high_probability: float = 0.85
    high_kinds: tuple[AlertKind, ...] = (AlertKind.STEPPED_UP,)
    retry: Retry = field(default_factory=Retry)
    fresh: timedelta = timedelta(hours=12)
    expire: timedelta = timedelta(hours=24)
    delivered_within: timedelta = timedelta(seconds=60)
    zone: tzinfo = UTC
    zones: Mapping[str, tzinfo] = field(default_factory=dict)

    @property
    def is_inbox_only(self) -> bool:
        """Whether nothing at all leaves the house."""
        return not any(route.channels for route in self.routes)

    def severity(self, alert: AlertRaised) -> Priority:
        """Priority of the alert in the words of IEC 60601-1-8."""
        is_high = alert.kind in self.high_kinds or alert.probability >= self.high_probability
        return Priority.HIGH if is_high else Priority.MEDIUM

    def ladder_of(self, alert: AlertRaised) -> tuple[timedelta, ...]:
        """How long after the raise each level is asked."""
        return self.ladder[self.severity(alert)]

    def matching(self, alert: AlertRaised, level: int, at: datetime) -> tuple[Route, ...]:
        """Routes of one level for this alert at a time; levels above the ladder are asked as its last.

        Parameters
        ----------
        at : datetime
            UTC.
        """
        rung = min(level, len(self.ladder_of(alert)) - 1)
        local = at.astimezone(self.zones.get(alert.site_id, self.zone)).time()
        severity = self.severity(alert)
        return tuple(
            route for route in self.routes if rung in route.levels and route.fits(alert, severity, local)
        )
