"""``/v1/card``, ``/v1/feeds``, ``/v1/alarms``, ``/v1/me``: the model, the sources, the system, the caller."""

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from starlette.responses import PlainTextResponse, Response

from models.card import headline, model_card
from models.manifest import to_json
from schemas.feed import FeedHealth
from streams.api.alert_views import AlarmView
from streams.api.auth import caller_of
from streams.api.doors import Caller
from streams.api.problems import DESCRIBED
from streams.api.services import Services
from streams.api.tokens import Role
from streams.api.views import View

Asking = Annotated[Caller, Depends(caller_of)]


class CardView(View):
    """What the model is, on what it was trained, how it did, and what it is not for."""

    bundle_version: str
    bundle_sha256: str
    headline: str
    intended_use: str
    not_for_text: str
    limits: list[str]
    high_from_probability: float
    text: str
    """The whole card, Markdown."""
    manifest: dict[str, Any]
    """The bundle's manifest as it is."""


class RefusalView(View):
    """How many deliveries were refused for one reason."""

    code: str
    count: int


class FeedView(View):
    """One source of ECGs at one site. Counts run since it was first seen."""

    feed: str
    source: str
    site_id: str
    reported_at: datetime
    n_received: int
    n_accepted: int
    n_repeated: int
    n_quarantined: int
    last_received_at: datetime | None
    last_acquired_at: datetime | None
    refusals: list[RefusalView]
    rate_per_h: float
    clock_skew_s: float | None
    """How far the cart's clock runs ahead; null when nothing can be said."""
    silent_after_s: float | None
    """A longer silence is none of its rhythm; null while too little is known."""
    silent_since: datetime | None
    silence_s: float | None
    """Since its last ECG; null before the first."""


class MeView(View):
    """The caller."""

    name: str
    roles: list[Role]
    wards: list[str]
    """Patterns of the wards that may be seen; empty: all."""
    sites: list[str]
    may_act: bool
    csrf: str | None
    """What a page sends back as X-Diastole-Csrf with everything it changes; null for programs."""


def about_routes(services: Services) -> APIRouter:
    """Make the endpoints."""
    router = APIRouter(tags=["about"], responses=DESCRIBED)
    manifest = services.manifest
    card = CardView(
        bundle_version=manifest.bundle_version,
        bundle_sha256=manifest.sha256,
        headline=headline(manifest),
        intended_use=manifest.intended_use,
        not_for_text=manifest.not_for_text,
        limits=list(manifest.limits),
        high_from_probability=manifest.threshold.probability,
        text=model_card(manifest),
        manifest=json.loads(to_json(manifest)),
    )

    @router.get(
        "/v1/card",
        summary="Model card, as JSON, or as Markdown where text is asked for",
        response_model=CardView,
        responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
    )
    async def card_of(accept: Annotated[str, Header()] = "application/json") -> CardView | Response:
        if accept.startswith("text/"):
            return PlainTextResponse(card.text, media_type="text/markdown; charset=utf-8")
        return card

    @router.get("/v1/feeds", summary="How each source of ECGs is doing")
    async def feeds(caller: Asking) -> list[FeedView]:
        return [_feed(health, services.now()) for health in services.sources(caller.token)]

    @router.get("/v1/alarms", summary="Technical alarms that have not ended, the newest first")
    async def alarms(caller: Asking) -> list[AlarmView]:
        return [AlarmView.model_validate(alarm) for alarm in await services.alarms(caller.token)]

    @router.get("/v1/me", summary="Who asks, and what they may")
    async def me(caller: Asking) -> MeView:
        token = caller.token
        return MeView(
            name=token.name,
            roles=sorted(token.roles),
            wards=list(token.wards),
            sites=list(token.sites),
            may_act=token.may(Role.CLINICIAN),
            csrf=caller.csrf or None,
        )

    return router


def _feed(health: FeedHealth, now: datetime) -> FeedView:
    last = health.last_received_at
    silence_s = None if last is None else max((now - last).total_seconds(), 0.0)
    names = FeedView.model_fields.keys() - {"silence_s", "refusals"}
    return FeedView(
        **{name: getattr(health, name) for name in names},
        refusals=[RefusalView.model_validate(each) for each in health.refusals],
        silence_s=silence_s,
    )
