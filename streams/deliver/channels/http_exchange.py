"""One bounded request over HTTP, and what its answer means for a notice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from streams.deliver.channels.channel import ChannelRefusedError, ChannelRetryError

#: Kept of an answer: an OperationOutcome or the response to a transaction of three is far smaller.
_MOST_ANSWER_BYTES: Final = 256 * 1024

#: Not the notice's fault (RFC 9110 §15.5.9, RFC 8470, RFC 6585): timeout, too early, too many.
_LATER: Final = frozenset({408, 425, 429})

#: Nobody is made to wait longer than this by a header, s.
_LONGEST_WAIT_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What came back.

    Attributes
    ----------
    body : bytes
        Its first 256 KiB.
    retry_after_s : float or None
        Of ``Retry-After``, seconds from ``now`` of the request.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether it was taken."""
        return 200 <= self.status < 300

    @property
    def is_for_later(self) -> bool:
        """Whether the same request may be taken later."""
        return self.status in _LATER or self.status >= 500


async def post(
    client: httpx.AsyncClient, channel: str, url: str, body: bytes, headers: Mapping[str, str], now: datetime
) -> HttpAnswer:
    """Send a request and read its answer.

    Raises
    ------
    ChannelRetryError
        When none came. The message does not name the URL, which may hold a secret.
    """
    try:
        # As bytes: a name or a token beyond ASCII must not end in an error of encoding.
        encoded = [(name.encode(), text.encode()) for name, text in headers.items()]
        async with client.stream(
            "POST", url, content=body, headers=encoded, follow_redirects=False
        ) as answer:
            return HttpAnswer(
                status=answer.status_code,
                body=await _beginning(answer),
                retry_after_s=retry_after_s(answer.headers.get("retry-after"), now),
            )
    except httpx.InvalidURL:
        raise ChannelRefusedError(f"{channel} has no valid URL; mend it in its file") from None
    except httpx.RequestError as error:
        raise ChannelRetryError(f"{channel} was not reached: {type(error).__name__}") from None


def require_taken(answer: HttpAnswer, channel: str) -> None:
    """Turn an answer that is no success into an error.

    Raises
    ------
    ChannelRetryError
        408, 425, 429 and 5xx.
    ChannelRefusedError
        Everything else, redirects too: a notice goes where the routes say.
    """
    if answer.is_success:
        return
    if answer.is_for_later:
        raise ChannelRetryError(
            f"{channel} answered {answer.status}; it is asked again later", retry_after_s=answer.retry_after_s
        )
    if 300 <= answer.status < 400:
        raise ChannelRefusedError(
            f"{channel} answered {answer.status}: redirects are not followed; set the URL it points to"
        )
    raise ChannelRefusedError(f"{channel} refused with {answer.status}; see its log for the reason")


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Read ``Retry-After`` (RFC 9110 §10.2.3): seconds, or a date; None when it is neither.

    >>> retry_after_s("120", datetime(2026, 3, 1, tzinfo=UTC))
    120.0
    """
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return min(float(header), _LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), _LONGEST_WAIT_S)


async def _beginning(answer: httpx.Response) -> bytes:
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) >= _MOST_ANSWER_BYTES:
            break
    return body[:_MOST_ANSWER_BYTES]
