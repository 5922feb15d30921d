"""Addresses of channels as the routes file has them, checked before anything is sent."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

import httpx

from schemas.errors import ConfigurationError
from streams.deliver.routing import ChannelKind, ChannelSettings

#: A name or an address, IDNA-encoded.
_HOST: Final = re.compile(rb"[A-Za-z0-9._:-]+")

_HTTP_OPTIONS: Final = frozenset({"plain_http", "ca_file"})

#: What each kind of channel understands beyond address, secret and time.
OPTIONS: Final[Mapping[ChannelKind, frozenset[str]]] = {
    ChannelKind.WEBHOOK: _HTTP_OPTIONS | {"with_patient"},
    ChannelKind.APPRISE: frozenset({"with_patient"}),
    ChannelKind.FHIR: _HTTP_OPTIONS | {"patient_system"},
    ChannelKind.HL7: frozenset(
        {"tls", "ca_file", "facility", "receiving_application", "receiving_facility", "patient_authority"}
    ),
}


def require_options(settings: ChannelSettings) -> None:
    """Refuse options that the kind does not know: a slip of the pen must not be passed over.

    Raises
    ------
    ConfigurationError
        Names them, and those there are.
    """
    unknown = set(settings.options) - OPTIONS[settings.kind]
    if unknown:
        raise ConfigurationError(
            f"channel {settings.name} ({settings.kind}) has unknown options {', '.join(sorted(unknown))}; "
            f"known are {', '.join(sorted(OPTIONS[settings.kind]))}"
        )


def switch(settings: ChannelSettings, option: str) -> bool:
    """Read an option that is ``true`` or ``false``; false when it is left out.

    Raises
    ------
    ConfigurationError
        When it is something else.
    """
    text = settings.options.get(option, "false").lower()
    if text not in ("true", "false"):
        raise ConfigurationError(f'channel {settings.name}: {option} must be "true" or "false"')
    return text == "true"


def require_http_url(settings: ChannelSettings, url: str) -> None:
    """Refuse what is no URL, and plain HTTP beyond this machine unless the site wants it.

    Raises
    ------
    ConfigurationError
        Names the channel, not the URL.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    is_host = _HOST.fullmatch(parsed.raw_host) is not None
    if parsed.scheme not in ("http", "https") or not is_host:
        raise ConfigurationError(f"channel {settings.name} needs an https URL")
    if parsed.scheme == "http" and not (_is_loopback(parsed.host) or switch(settings, "plain_http")):
        raise ConfigurationError(
            f"channel {settings.name} would send alerts in the clear; use https, or "
            'options.plain_http = "true" where the network itself is guarded'
        )


def host_and_port(settings: ChannelSettings, target: str) -> tuple[str, int]:
    """Split ``host:port`` (an IPv6 address in brackets).

    Raises
    ------
    ConfigurationError
        When it is none.
    """
    host, _, port = target.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16
    if not is_port or not host.strip("[]"):
        raise ConfigurationError(f"channel {settings.name} needs target = host:port of an MLLP listener")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
