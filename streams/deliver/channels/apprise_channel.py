"""A notice as e-mail or chat message, through the apprise library.

Mail and most chats have no idempotency key: the key stands in the text, in a header ``X-Diastole-Key`` where
the service has headers, and every mail about an alert refers to the same message, so that mail programs show
them as one thread. Of several addresses only those that did not take the notice are tried again, as long as
this process remembers.
"""

import asyncio
import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import apprise

from schemas.alert import Priority
from schemas.errors import ConfigurationError
from streams.deliver.channels.channel import ChannelRetryError
from streams.deliver.channels.notice import Notice, subject_of, text_of
from streams.deliver.channels.secret_file import SecretFile

with warnings.catch_warnings():
    # Its mail plugin looks for a module that Python 3.13 no longer has, and does without it there.
    warnings.simplefilter("ignore", DeprecationWarning)
    from apprise.plugins.email.base import NotifyEmail

_KINDS: Final = {
    Priority.HIGH: apprise.NotifyType.FAILURE,
    Priority.MEDIUM: apprise.NotifyType.WARNING,
    Priority.LOW: apprise.NotifyType.INFO,
}

#: Takings remembered: those of a day with many alerts (a hundred beds raise a handful).
_MOST_REMEMBERED: Final = 4096

#: No addresses or secrets in the library's own log; nothing of a notice kept on disk.
_ASSET: Final = apprise.AppriseAsset(secure_logging=True, storage_mode=apprise.PersistentStoreMode.MEMORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseChannel:
    """A :class:`~streams.deliver.channels.channel.Channel` to all URLs of a file.

    Attributes
    ----------
    urls : SecretFile
        One apprise URL a line (``mailtos://user:password@host?to=…``); read again each time.
    with_patient : bool
        Whether the patient is named; mail and chat mostly leave the hospital.
    """

    name: str
    urls: SecretFile
    with_patient: bool = False
    _taken: "OrderedDict[tuple[str, str], None]" = field(default_factory=OrderedDict)

    def require(self) -> None:
        """Refuse to start with a URL that apprise does not understand.

        Raises
        ------
        ConfigurationError
            Names the line, not what it says.
        """
        self.urls.require()
        for number, url in enumerate(self.urls.lines(), start=1):
            if apprise.Apprise.instantiate(url, asset=_ASSET, suppress_exceptions=True) is None:
                raise ConfigurationError(
                    f"URL {number} of channel {self.name} is none that apprise knows; "
                    "try it with: apprise --dry-run -b test URL"
                )

    async def send(self, notice: Notice, key: str) -> None:
        """Send to each URL; see :meth:`streams.deliver.channels.channel.Channel.send`.

        Apprise does not tell a refusal from trouble on the way: all failures are to be tried again.
        """
        urls = [url for url in self.urls.lines() if (key, url) not in self._taken]
        took = await asyncio.gather(*(self._send_to(url, notice, key) for url in urls))
        n_failed = took.count(False)
        if n_failed:
            raise ChannelRetryError(
                f"{n_failed} of the {len(took)} addresses of {self.name} did not take the notice; "
                "see that the services are up and the URLs right"
            )

    async def _send_to(self, url: str, notice: Notice, key: str) -> bool:
        # A plugin of its own for each notice: they pause between notices and hold headers.
        plugin = apprise.Apprise.instantiate(url, asset=_ASSET, suppress_exceptions=True)
        if plugin is None:
            return False  # the file was changed since it was opened
        _mark(plugin, notice, key)
        service = apprise.Apprise(asset=_ASSET)
        service.add(plugin)
        took = bool(
            await service.async_notify(
                title=subject_of(notice),
                body=f"{text_of(notice, with_patient=self.with_patient)}\n\nNotice {key}",
                notify_type=_KINDS[notice.severity],
                body_format=apprise.NotifyFormat.TEXT,
            )
        )
        if took:
            self._remember(key, url)
        return took

    def _remember(self, key: str, url: str) -> None:
        self._taken[key, url] = None
        while len(self._taken) > _MOST_REMEMBERED:
            self._taken.popitem(last=False)


def _mark(plugin: object, notice: Notice, key: str) -> None:
    """Put the key into the headers of services that have some."""
    headers = getattr(plugin, "headers", None)
    if not isinstance(headers, dict):
        return
    headers["X-Diastole-Key"] = key
    if isinstance(plugin, NotifyEmail):
        headers["References"] = f"<{notice.alert.alert_id}@diastole.invalid>"
