"""From a site's routes to its channels, ready to be used; what is wrong is said before the first alert."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from schemas.errors import ConfigurationError
from streams.deliver.channels.addresses import host_and_port, require_http_url, require_options, switch
from streams.deliver.channels.apprise_channel import AppriseChannel
from streams.deliver.channels.channel import Channel
from streams.deliver.channels.fhir import FhirChannel
from streams.deliver.channels.guarded import ChannelMetrics, guarded
from streams.deliver.channels.hl7_pcd04 import Hl7Channel
from streams.deliver.channels.mllp_exchange import MllpAddress
from streams.deliver.channels.pcd04_message import Parties
from streams.deliver.channels.secret_file import LEAST_SECRET_CHARS, SecretFile
from streams.deliver.channels.webhook import WebhookChannel
from streams.deliver.routing import ChannelKind, ChannelSettings, Routes

#: Connections of one channel at a time; more alerts wait for one, within their time.
_LIMITS: Final = httpx.Limits(max_connections=8, max_keepalive_connections=2)


@asynccontextmanager
async def open_channels(
    routes: Routes, base: Path, metrics: ChannelMetrics | None = None
) -> AsyncIterator[Mapping[str, Channel]]:
    """Open all channels that the routes name, by their names; connections are closed at the end.

    Those that also implement :class:`streams.deliver.channels.channel.RetractingChannel` can be told that an
    alert is over. Nothing is sent, so that a receiver that is down does not keep alerts from the others.

    Parameters
    ----------
    base : Path
        Folder that paths in the routes are relative to.
    metrics : ChannelMetrics or None
        None counts into a registry of its own.

    Raises
    ------
    ConfigurationError
        When a channel cannot be what it is to be; names the channel and what to do.
    """
    counted = metrics or ChannelMetrics()
    async with AsyncExitStack() as open_clients:
        channels: dict[str, Channel] = {}
        for name, settings in routes.channels.items():
            require_options(settings)
            opening = _Opening(settings=settings, base=base, clients=open_clients)
            channel = await _OPENERS[settings.kind](opening)
            channels[name] = guarded(channel, settings.timeout_s, counted)
        yield channels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """One channel being opened."""

    settings: ChannelSettings
    base: Path
    clients: AsyncExitStack

    def secret(self, path: Path | None, what: str, least_chars: int = 1) -> SecretFile:
        """Find a file of secrets, and see that it holds some."""
        if path is None:
            raise ConfigurationError(f"channel {self.settings.name} ({self.settings.kind}) needs {what}")
        file = SecretFile(channel=self.settings.name, path=self.base / path)
        file.require(least_chars)
        return file

    def url(self) -> SecretFile | str:
        """Find the address of a channel over HTTP, and see that it is one."""
        settings = self.settings
        if settings.target_file is None:
            require_http_url(settings, settings.target)
            return settings.target
        file = self.secret(settings.target_file, "target_file")
        require_http_url(settings, file.first())
        return file

    async def client(self) -> httpx.AsyncClient:
        """Make a client that verifies certificates and follows neither redirects nor the environment."""
        return await self.clients.enter_async_context(
            httpx.AsyncClient(
                verify=self.trust(),
                timeout=self.settings.timeout_s,
                limits=_LIMITS,
                follow_redirects=False,
                trust_env=False,
            )
        )

    def trust(self) -> ssl.SSLContext:
        """Take the authorities of ``ca_file``, or those of this machine."""
        ca_file = self.settings.options.get("ca_file")
        try:
            return ssl.create_default_context(cafile=None if ca_file is None else self.base / ca_file)
        except OSError as error:
            raise ConfigurationError(
                f"channel {self.settings.name}: ca_file holds no certificates ({type(error).__name__}); "
                "give a PEM file"
            ) from None


async def _webhook(opening: _Opening) -> Channel:
    settings = opening.settings
    return WebhookChannel(
        name=settings.name,
        client=await opening.client(),
        url=opening.url(),
        secret=opening.secret(
            settings.secret_file, "secret_file, the key of its signature", LEAST_SECRET_CHARS
        ),
        with_patient=switch(settings, "with_patient"),
    )


async def _apprise(opening: _Opening) -> Channel:
    settings = opening.settings
    channel = AppriseChannel(
        name=settings.name,
        urls=opening.secret(settings.target_file, "target_file, with an apprise URL a line"),
        with_patient=switch(settings, "with_patient"),
    )
    channel.require()
    return channel


async def _fhir(opening: _Opening) -> Channel:
    settings = opening.settings
    return FhirChannel(
        name=settings.name,
        client=await opening.client(),
        url=opening.url(),
        token=None if settings.secret_file is None else opening.secret(settings.secret_file, "secret_file"),
        patient_system=settings.options.get("patient_system", ""),
    )


async def _hl7(opening: _Opening) -> Channel:
    settings, options = opening.settings, opening.settings.options
    host, port = host_and_port(settings, settings.target)
    return Hl7Channel(
        name=settings.name,
        address=MllpAddress(host=host, port=port, tls=opening.trust() if switch(settings, "tls") else None),
        parties=Parties(
            facility=options.get("facility", ""),
            receiving_application=options.get("receiving_application", ""),
            receiving_facility=options.get("receiving_facility", ""),
            patient_authority=options.get("patient_authority", ""),
        ),
    )


_OPENERS: Final[Mapping[ChannelKind, Callable[[_Opening], Awaitable[Channel]]]] = {
    ChannelKind.WEBHOOK: _webhook,
    ChannelKind.APPRISE: _apprise,
    ChannelKind.FHIR: _fhir,
    ChannelKind.HL7: _hl7,
}
