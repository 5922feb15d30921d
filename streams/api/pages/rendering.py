"""Templates into answers; the headers that keep a page to itself are the guard's."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from schemas.alert import Priority
from schemas.audit import CareVerb
from streams.api.doors import Caller
from streams.api.pages.reading import may_act
from streams.api.wording import MARKS, age_words, moment, reason_words

STATIC: Final = Path(__file__).parent / "static"

Theme = Literal["auto", "light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("auto", "light", "dark")
THEME_COOKIE: Final = "diastole_theme"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all pages of one server have in common.

    Attributes
    ----------
    zone : tzinfo
        In which times are shown.
    not_for_text : str
        What the model must not be used for.
    """

    zone: tzinfo
    not_for_text: str
    name: str = "Diastole"

    @property
    def zone_key(self) -> str:
        """Name of the zone, such as Europe/Rome."""
        return self.zone.key if isinstance(self.zone, ZoneInfo) else "UTC"


class Renderer:
    """Renders pages of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._environment = Environment(
            loader=PackageLoader("streams.api.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "moment": lambda at: moment(at, site.zone),
            "clock": lambda at: f"{at.astimezone(site.zone):%H:%M:%S}",
            "iso": lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "reasons": reason_words,
            "segment": lambda text: quote(text, safe=""),
            "risk": lambda risk: "–" if risk is None else f"{risk:.2f}",
            "signed": _signed,
            "age": age_words,
            "whole": lambda number: "–" if number is None else f"{number:.0f}",
            "tenth": lambda number: "–" if number is None else f"{number:.1f}",
        }
        self._environment.globals |= {
            "site": site,
            "zone_name": lambda at: at.astimezone(site.zone).tzname() or "",
            "marks": MARKS,
            "Priority": Priority,
            "Verb": CareVerb,
            "themes": THEMES,
            "asset": _asset,
            "new_occasion": lambda: secrets.token_urlsafe(12),
        }

    def page(
        self,
        request: Request,
        template: str,
        *,
        now: datetime,
        caller: Caller | None = None,
        status: int = 200,
        **context: Any,
    ) -> Response:
        """Render a page for whoever asked; ``now`` is the instant the page is true of, UTC."""
        html = self._environment.get_template(template).render(
            request_path=request.url.path,
            theme=theme_of(request),
            caller=caller,
            may_act=caller is not None and may_act(caller.token),
            now=now,
            **context,
        )
        return HTMLResponse(html, status_code=status)


def _signed(change: float | None) -> str:
    if change is None:
        return "–"
    return "0.00" if abs(change) < 0.005 else f"{change:+.2f}".replace("-", "−")


@cache
def _asset(name: str) -> str:
    """Address of a static file, other whenever its content is, so that no browser shows an old one."""
    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def theme_of(request: Request) -> Theme:
    """Which theme the reader chose on this device."""
    asked = request.cookies.get(THEME_COOKIE, "")
    return next((theme for theme in THEMES if theme == asked), "auto")
