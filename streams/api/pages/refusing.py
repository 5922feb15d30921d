"""What a person is told when a page cannot be shown: a page, with what to do next."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from schemas.errors import RetriableError
from streams.api.doors import Caller
from streams.api.pages.rendering import Renderer
from streams.feeds.http.problems import ProblemError
from streams.stage import UtcClock

_TITLES: Final = {
    400: "That was not understood",
    401: "Sign in first",
    403: "Not allowed",
    404: "Nothing here",
    409: "That cannot be done now",
    422: "Something is missing",
    503: "Not available at the moment",
}
_OTHER: Final = "That did not work"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Makes pages of errors."""

    renderer: Renderer
    now: UtcClock

    def page(self, request: Request, status: int, detail: str) -> Response:
        """Answer a person's request that failed.

        Parameters
        ----------
        detail : str
            Says what to do next; without patient identifiers.
        """
        caller = getattr(request.state, "caller", None)
        return self.renderer.page(
            request,
            "problem.html",
            now=self.now(),
            caller=caller if isinstance(caller, Caller) else None,
            status=status,
            problem_title=_TITLES.get(status, _OTHER),
            detail=detail[:1].upper() + detail[1:],
            code=status,
        )


def refusing_route(refusals: Refusals) -> type[APIRoute]:
    """Make a route class whose errors are answered as pages."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def answered(request: Request) -> Response:
                return await _answered(handler, request, refusals)

            return answered

    return PageRoute


async def _answered(
    handler: Callable[[Request], Awaitable[Response]], request: Request, refusals: Refusals
) -> Response:
    try:
        return await handler(request)
    except ProblemError as error:
        return refusals.page(request, error.status, error.detail)
    except RequestValidationError:
        return refusals.page(request, 400, "The form or the address is incomplete. Go back and try again.")
    except RetriableError as error:
        return refusals.page(request, 503, f"{error}. Nothing was lost; try again in a moment.")
