"""Strips and synthetic motion as pictures, drawn in a thread when they are asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from schemas.risk import Motion
from streams.api.alert_lists import AlertId, case_of
from streams.api.auth import caller_of
from streams.api.doors import Caller
from streams.api.headers import PICTURE_POLICY
from streams.api.motion_png import motion_png
from streams.api.motion_svg import Wall, motion_svg
from streams.api.picture_style import standing_alone
from streams.api.problems import DESCRIBED, not_found
from streams.api.services import Services
from streams.api.strip_png import strip_png
from streams.feeds.http.problems import ProblemError
from streams.strip import StripOptions, strip_svg
from streams.strip_layout import Layout
from streams.waveform import Strip, as_recorded

#: Pictures that are drawn at a time: each takes a core for 20 to 500 ms.
_AT_A_TIME: Final = 2

EcgId = Annotated[str, Path(pattern="^[0-9a-f-]{36}$", description="UUID in lower case.")]
Asking = Annotated[Caller, Depends(caller_of)]
Salient = Annotated[bool, Query(description="Shade what the answer rests on most.")]
Arranged = Annotated[Layout, Query(description="Rows and columns of leads.")]


class PictureKind(StrEnum):
    """As what a picture is sent."""

    SVG = "image/svg+xml"
    PNG = "image/png"


#: Draws in a thread, when it is one's turn, and answers with the picture.
Drawn = Callable[[PictureKind, Callable[[], str | bytes]], Awaitable[Response]]


def picture_routes(services: Services) -> APIRouter:
    """Make the endpoints."""
    router = APIRouter(tags=["pictures"], responses=DESCRIBED)
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def drawn(kind: PictureKind, draw: Callable[[], str | bytes]) -> Response:
        async with turns:
            content = await asyncio.to_thread(draw)
        headers = {"Content-Security-Policy": PICTURE_POLICY}
        return Response(content, media_type=kind.value, headers=headers)

    _add_strips(router, services, drawn)
    _add_motion(router, services, drawn)
    return router


def _add_strips(router: APIRouter, services: Services, drawn: Drawn) -> None:
    async def asked(ecg_id: str, caller: Caller, salient: bool, layout: Layout) -> tuple[Strip, StripOptions]:
        strip = await services.waveforms.strip(ecg_id)
        if strip is None:
            raise not_found("ECG whose waveform is kept")
        services.looks.at_patient(caller.name, strip.patient_id)
        spans = await services.explains.spans(strip) if salient else ()
        acquired = f"{strip.acquired_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return strip, StripOptions(layout=layout, heading=(f"12-lead ECG, {acquired}",), spans=spans)

    @router.get("/v1/ecgs/{ecg_id}/strip.svg", summary="12-lead strip", **_sent(PictureKind.SVG))
    async def strip_as_svg(
        ecg_id: EcgId, caller: Asking, salient: Salient = False, layout: Arranged = Layout.STANDARD
    ) -> Response:
        strip, options = await asked(ecg_id, caller, salient, layout)
        return await drawn(PictureKind.SVG, lambda: strip_svg(as_recorded(strip), options))

    @router.get("/v1/ecgs/{ecg_id}/strip.png", summary="12-lead strip", **_sent(PictureKind.PNG))
    async def strip_as_png(
        ecg_id: EcgId, caller: Asking, salient: Salient = False, layout: Arranged = Layout.STANDARD
    ) -> Response:
        strip, options = await asked(ecg_id, caller, salient, layout)
        return await drawn(PictureKind.PNG, lambda: strip_png(as_recorded(strip), options))


def _add_motion(router: APIRouter, services: Services, drawn: Drawn) -> None:
    def motion_of(alert_id: str, caller: Caller) -> Motion:
        motion = case_of(services, alert_id).alert.motion
        services.looks.at_alert(caller.name, alert_id)
        if motion is None:
            raise ProblemError(404, "NO_MOTION", "this ECG had no whole beat, so there is no motion of it")
        return motion

    @router.get(
        "/v1/alerts/{alert_id}/motion.svg",
        summary="Synthetic motion of one wall beside a normal one",
        **_sent(PictureKind.SVG),
    )
    async def motion_as_svg(
        alert_id: AlertId,
        caller: Asking,
        wall: Annotated[Wall, Query(description="Of the mitral annulus.")] = "septal",
    ) -> Response:
        motion = motion_of(alert_id, caller)
        return await drawn(PictureKind.SVG, lambda: standing_alone(motion_svg(motion, wall)))

    @router.get(
        "/v1/alerts/{alert_id}/motion.png",
        summary="Synthetic motion of both walls beside a normal one",
        **_sent(PictureKind.PNG),
    )
    async def motion_as_png(alert_id: AlertId, caller: Asking) -> Response:
        motion = motion_of(alert_id, caller)
        return await drawn(PictureKind.PNG, lambda: motion_png(motion))


def _sent(kind: PictureKind) -> dict[str, Any]:
    content = {kind.value: {"schema": {"type": "string", "format": "binary"}}}
    return {
        "response_class": Response,
        "responses": {200: {"description": "The picture.", "content": content}},
    }
