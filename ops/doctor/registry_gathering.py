"""Facts of the schema registry: reads alone, for each record type one or two."""

import asyncio
import json
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from ops.doctor.facts import Missed, RegistryFacts, SubjectFacts
from schemas.registry import NAMESPACE, schema_ids
from streams.access import without_password
from streams.stage import UtcClock

_WITHIN_S: Final = 5.0
_ALL_WITHIN_S: Final = 10.0
_NOT_FOUND: Final = 404


async def registry_facts(url: str, now: UtcClock) -> RegistryFacts | Missed:
    """Ask the registry; each answer within five seconds, all within ten."""
    place = without_password(url)
    try:
        async with (
            asyncio.timeout(_ALL_WITHIN_S),
            httpx.AsyncClient(base_url=url.rstrip("/") + "/", timeout=_WITHIN_S) as client,
        ):
            begun_s = time.monotonic()
            first = await client.get("subjects")
            latency_ms = 1000 * (time.monotonic() - begun_s)
            first.raise_for_status()
            ahead_s = _ahead_s(first.headers.get("date"), now())
            subjects = {name: await _subject(client, f"{NAMESPACE}.{name}") for name in schema_ids()}
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        return Missed(reason=f"{place} refuses (HTTP {status})", is_configuration=status < 500)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return Missed(reason=f"no answer from {place} ({type(error).__name__})")
    except (ValueError, LookupError, TypeError):
        return Missed(reason=f"{place} answers, but not as a schema registry", is_configuration=True)
    return RegistryFacts(latency_ms=latency_ms, subjects=subjects, clock_ahead_s=ahead_s)


async def _subject(client: httpx.AsyncClient, subject: str) -> SubjectFacts:
    named = quote(subject, safe="")
    answer = await client.get(f"subjects/{named}/versions/latest")
    if answer.status_code == _NOT_FOUND:
        return SubjectFacts(latest=None)
    answer.raise_for_status()
    latest: Any = json.loads(answer.json()["schema"])
    rule = await client.get(f"config/{named}")
    level = rule.json().get("compatibilityLevel") if rule.is_success else None
    return SubjectFacts(latest=dict(latest), level=level)


def _ahead_s(told: str | None, now: datetime) -> float | None:
    if told is None:
        return None
    try:
        return (parsedate_to_datetime(told) - now).total_seconds()
    except (ValueError, TypeError):
        return None
