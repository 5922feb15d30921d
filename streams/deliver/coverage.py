"""What routes leave open: hours at which nobody is asked, and wards of which nobody is paged.

A route without channels asks those who look at the inbox. That covers an alert, and is often meant; whoever
pages one ward and lets all others fall to such a route is told so.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import time
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Final

from schemas.alert import Priority
from streams.deliver.routing import SEVERITIES, Hours, Route, Routes

#: Stands for the wards, or sites, that no route names.
_OTHERS: Final = "*"

_MIDNIGHT: Final = time(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxOnly:
    """Alerts that page nobody, whatever the level: somebody must look at the inbox.

    Attributes
    ----------
    wards : tuple of str
        Patterns as routes name them; ``*``: all wards that no route names.
    site : str
        Likewise.
    severities : tuple of Priority
    hours : Hours
        Of the site's day; from midnight to midnight is all of it.
    below : float or None
        Only alerts below this probability; None: all.
    """

    wards: tuple[str, ...]
    site: str
    severities: tuple[Priority, ...]
    hours: Hours
    below: float | None


def open_hours(routes: Iterable[Route]) -> tuple[Hours, ...]:
    """Return the parts of the day at which none of the routes holds.

    >>> [hours_text(each) for each in open_hours([])]
    ['all day']
    """
    held = [route.hours for route in routes]
    if None in held:
        return ()
    spans = [each for each in held if each is not None]
    # Whether somebody is asked can only change where some route's hours begin or end.
    edges = sorted({edge for span in spans for edge in (span.since, span.until)} or {_MIDNIGHT})
    parts = [Hours(since=since, until=until) for since, until in pairwise([*edges, edges[0]])]
    return _joined([part for part in parts if not any(span.hold(part.since) for span in spans)])


def inbox_only(routes: Routes) -> tuple[InboxOnly, ...]:
    """Return which alerts are shown in the inbox alone; none when every alert pages somebody at some level.

    A route with ``quiet_h`` counts as paging: it has paged of that patient lately.
    """
    paging = [route for route in routes.routes if route.channels and route.levels]
    places = [
        (ward, site)
        for site in _named([route.sites for route in routes.routes])
        for ward in _named([route.wards for route in routes.routes])
    ]
    found: dict[tuple[str, tuple[Priority, ...], Hours, float | None], list[str]] = {}
    for ward, site in places:
        of_place = [each for each in paging if _names(each.wards, ward) and _names(each.sites, site)]
        for severities, hours, below in _unpaged(routes, of_place):
            found.setdefault((site, severities, hours, below), []).append(ward)
    return tuple(
        InboxOnly(wards=tuple(wards), site=site, severities=severities, hours=hours, below=below)
        for (site, severities, hours, below), wards in found.items()
    )


def inbox_only_text(each: InboxOnly, routes: Routes) -> str:
    """Say which alerts page nobody, in one line."""
    place = _place("ward", each.wards, [route.wards for route in routes.routes])
    at_site = _place("site", (each.site,), [route.sites for route in routes.routes])
    what = "every alert" if each.severities == SEVERITIES else f"{each.severities[0]} alerts"
    below = "" if each.below is None else f" below {each.below:g}"
    when = "" if each.hours.since == each.hours.until else f", {hours_text(each.hours)}"
    where = " ".join(part for part in (place, at_site) if part)
    return f"{what}{below} {where}{when}: in the inbox alone, pages nobody"


def hours_text(hours: Hours) -> str:
    """Write hours as the file of routes has them."""
    if hours.since == hours.until:
        return "all day"
    return f"{hours.since:%H:%M}-{hours.until:%H:%M}"


def _unpaged(
    routes: Routes, paging: Sequence[Route]
) -> list[tuple[tuple[Priority, ...], Hours, float | None]]:
    found: dict[tuple[Hours, float | None], list[Priority]] = {}
    for severity in SEVERITIES:
        asked = [each for each in paging if _is_asked(each, severity, routes)]
        said: set[Hours] = set()
        for below in (None, *_thresholds(asked, _lowest(severity, routes))):
            spans = open_hours(each for each in asked if below is None or each.min_probability < below)
            for hours in spans:
                if hours not in said:
                    found.setdefault((hours, below), []).append(severity)
            said.update(spans)
    return [(tuple(severities), hours, below) for (hours, below), severities in found.items()]


def _thresholds(asked: Iterable[Route], lowest: float) -> list[float]:
    """Return the probabilities from which on more is paged, the highest first: it says the most."""
    return sorted({each.min_probability for each in asked if each.min_probability > lowest}, reverse=True)


def _is_asked(route: Route, severity: Priority, routes: Routes) -> bool:
    rungs = range(len(routes.ladder[severity]))
    return severity in route.severities and any(level in rungs for level in route.levels)


def _lowest(severity: Priority, routes: Routes) -> float:
    # Of HIGH severity are also alerts of some kinds, whatever their probability.
    return routes.high_probability if severity is Priority.HIGH and not routes.high_kinds else 0.0


def _joined(parts: list[Hours]) -> tuple[Hours, ...]:
    joined: list[Hours] = []
    for part in parts:
        if joined and joined[-1].until == part.since:
            joined[-1] = Hours(since=joined[-1].since, until=part.until)
        else:
            joined.append(part)
    if len(joined) > 1 and joined[-1].until == joined[0].since:
        joined[0] = Hours(since=joined.pop().since, until=joined[0].until)
    return tuple(joined)


def _named(given: Iterable[Sequence[str]]) -> list[str]:
    """Return all patterns in the order of the file, and last what stands for those that none names."""
    return [*dict.fromkeys(each for patterns in given for each in patterns if each != _OTHERS), _OTHERS]


def _names(patterns: Collection[str], place: str) -> bool:
    # A pattern within another, such as "cardio-*" within "cardio*", is named by it too.
    return place in patterns or any(fnmatchcase(place, pattern) for pattern in patterns)


def _place(kind: str, those: tuple[str, ...], given: Iterable[Sequence[str]]) -> str:
    named = [each for each in _named(given) if each != _OTHERS]
    if _OTHERS not in those:
        return f"of {kind} {', '.join(those)}"
    others = [each for each in named if each not in those]
    if others:
        return f"of every {kind} other than {', '.join(others)}"
    return f"of every {kind}" if kind == "ward" else ""
