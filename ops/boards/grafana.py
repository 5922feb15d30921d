"""Grafana as we use it, over grafana-client: by uid alone, as Grafana 13 wants it; errors say what to do.

What Grafana answers is put into messages; what it was sent never is, for it may hold a token.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from grafana_client.api import AsyncGrafanaApi
from grafana_client.client import GrafanaException
from niquests.exceptions import RequestException

from schemas.errors import ConfigurationError, DiastoleError, RetriableError

T = TypeVar("T")

#: Oldest Grafana whose provisioning takes what we write.
OLDEST: Final = 11

#: Longest time for one request, s.
_TIMEOUT_S: Final = 15.0

_NOT_FOUND: Final = 404
_CONFLICT: Final = (409, 412)


class GrafanaUnavailableError(RetriableError):
    """Grafana does not answer; doing the same again is harmless."""

    code = "GRAFANA_UNAVAILABLE"


class GrafanaDeniedError(ConfigurationError):
    """The token is none, or does not allow it."""

    code = "GRAFANA_DENIED"


class GrafanaRefusedError(DiastoleError):
    """Grafana answered that it will not have it."""

    code = "GRAFANA_REFUSED"


class Grafana:
    """One Grafana; made by :func:`open_grafana`."""

    def __init__(self, api: AsyncGrafanaApi, where: str) -> None:
        self._api: Any = api  # its methods have no types
        self._where = where

    async def require_version(self) -> str:
        """Return the version; raises ConfigurationError when it is too old or none is told."""
        info = await self._ask("version", lambda: self._api.health.check())
        version = str((info or {}).get("version", ""))
        major = version.partition(".")[0]
        if not major.isdigit() or int(major) < OLDEST:
            raise ConfigurationError(
                f"Grafana at {self._where} says it is version {version or 'unknown'}; "
                f"boards need {OLDEST} or newer"
            )
        return version

    async def folder(self, uid: str) -> dict[str, Any] | None:
        """Return a folder; None when there is none."""
        return await self._find(f"folder {uid}", lambda: self._api.folder.get_folder(uid))

    async def create_folder(self, uid: str, title: str) -> None:
        """Make a folder."""
        await self._ask(f"folder {uid}", lambda: self._api.folder.create_folder(title, uid=uid))

    async def rename_folder(self, uid: str, title: str, version: int) -> None:
        """Give a folder its title, unless somebody changed it meanwhile."""
        await self._ask(
            f"folder {uid}", lambda: self._api.folder.update_folder(uid, title=title, version=version)
        )

    async def source(self, uid: str) -> dict[str, Any] | None:
        """Return a data source, without its secrets; None when there is none."""
        return await self._find(f"data source {uid}", lambda: self._api.datasource.get_datasource_by_uid(uid))

    async def create_source(self, body: Mapping[str, Any]) -> None:
        """Make a data source."""
        uid = body["uid"]
        await self._ask(f"data source {uid}", lambda: self._api.datasource.create_datasource(dict(body)))

    async def update_source(self, body: Mapping[str, Any]) -> None:
        """Write a data source; secrets that are not in the body stay."""
        uid = body["uid"]
        await self._ask(
            f"data source {uid}",
            lambda: self._api.datasource.update_datasource_by_uid(uid, dict(body)),
        )

    async def board(self, uid: str) -> dict[str, Any] | None:
        """Return a board with its ``meta``; None when there is none."""
        return await self._find(f"board {uid}", lambda: self._api.dashboard.get_dashboard(uid))

    async def save_board(
        self, model: Mapping[str, Any], folder_uid: str, version: int | None, message: str
    ) -> None:
        """Write a board, unless somebody saved it after ``version`` (None: there was none)."""
        body = {
            "dashboard": {"id": None, **model, **({} if version is None else {"version": version})},
            "folderUid": folder_uid,
            "message": message,
            "overwrite": False,
        }
        await self._ask(f"board {model['uid']}", lambda: self._api.dashboard.update_dashboard(body))

    async def rules(self, folder_uid: str, group: str) -> dict[str, Any] | None:
        """Return a group of alert rules; None when there is none."""
        return await self._find(
            f"alert rules {group}",
            lambda: self._api.alertingprovisioning.get_rule_group(folder_uid, group),
        )

    async def save_rules(self, group: Mapping[str, Any]) -> None:
        """Write a group of alert rules; they cannot be edited on Grafana's pages afterwards."""
        title = group["title"]
        await self._ask(
            f"alert rules {title}",
            lambda: self._api.alertingprovisioning.update_rule_group(group["folderUid"], title, dict(group)),
        )

    async def _find(self, what: str, ask: Callable[[], Awaitable[Any]]) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._ask(what, ask)
        except _MissingError:
            return None
        return found

    async def _ask(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(_TIMEOUT_S + 1.0):
                return await ask()
        except GrafanaException as error:
            raise self._explained(what, error) from None
        except (RequestException, OSError, TimeoutError) as error:
            raise GrafanaUnavailableError(
                f"Grafana at {self._where} does not answer ({type(error).__name__}); "
                "check --url and that Grafana runs, then do it again"
            ) from None

    def _explained(self, what: str, error: GrafanaException) -> DiastoleError:
        status, said = int(error.status_code or 0), _said(error)
        if status == _NOT_FOUND:
            return _MissingError(f"Grafana at {self._where} has no {what}")
        if status == 401:
            return GrafanaDeniedError(
                f"Grafana at {self._where} does not take the token; make a service account of role Admin "
                "in Grafana, and put its token into the file of --token-file"
            )
        if status == 403:
            return GrafanaDeniedError(
                f"the token may not touch {what} ({said}); give its service account the role Admin, "
                "or rights to write folders, data sources, dashboards and alert rules"
            )
        if status in _CONFLICT:
            return GrafanaRefusedError(
                f"{what} was changed meanwhile, or another has its name ({said}); see: diastole boards diff"
            )
        if status == 0 or status >= 500:
            return GrafanaUnavailableError(f"Grafana at {self._where} failed over {what}; do it again later")
        return GrafanaRefusedError(f"Grafana refused {what}: {said}")


class _MissingError(GrafanaRefusedError):
    """There is no such thing."""


def _said(error: GrafanaException) -> str:
    """Return the one sentence of an answer; nothing else of it is shown."""
    response = error.response
    message = response.get("message") if isinstance(response, dict) else None
    return str(message or f"status {error.status_code}")[:300]


@asynccontextmanager
async def open_grafana(url: str, token: str) -> AsyncIterator[Grafana]:
    """Make a client for as long as the context lasts; nothing is asked yet.

    Raises
    ------
    ConfigurationError
        When the address is none, or holds a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("--url must be Grafana's address, such as https://grafana.example")
    if parts.username or parts.password:
        raise ConfigurationError("--url must not hold a password; give a token with --token-file")
    where = parts._replace(query="", fragment="").geturl()
    # The client glues "api" to the path, and wants the slash between them.
    api = AsyncGrafanaApi.from_url(where.rstrip("/") + "/", credential=token, timeout=_TIMEOUT_S)
    try:
        yield Grafana(api, where)
    finally:
        await api.client.s.close()
