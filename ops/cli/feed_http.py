"""``diastole feed http``: ECGs over HTTP."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.publish import parse_zone
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError
from streams.feeds.settings import FeedSettings, load_feed_settings
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.feeds.gateway_assembly import OpenGateway
    from streams.feeds.http.serving import Address, Certificate


def http(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any.")] = 8008,
    tokens: Annotated[
        Path | None, typer.Option(help="TOML file of the tokens; default DIASTOLE_FEED_TOKENS.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file of the certificate; with --key it speaks HTTPS.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Zone of local times that carry no offset, e.g. Europe/Rome; default DIASTOLE_TIMEZONE."
        ),
    ] = None,
    broker: BrokerOption = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of /healthz, /readyz, /metrics; 0: any.")
    ] = None,
) -> None:
    """Take ECGs at POST /v1/ecgs, until SIGTERM or Ctrl-C.

    201 is answered once Kafka has the ECG, 200 when it had it already, 422 when it is in quarantine, with the
    reason; after 503 it is to be sent again. On SIGTERM nothing new is taken and what is under way ends.

    Example: diastole feed http --port 8008, then: curl --data-binary @ecg.dcm http://127.0.0.1:8008/v1/ecgs
    """
    # Imported here: Kafka's client and FastAPI take a second, which other commands need not wait.
    from streams.feeds.http.serving import Address, Certificate, require_guarded

    settings = prepared(broker=broker, timezone=timezone, metrics_port=metrics_port)
    feed_settings = load_feed_settings(tokens=tokens)
    require_guarded(host, has_tokens=feed_settings.tokens is not None)
    if (certificate is None) != (key is None):
        raise ConfigurationError("HTTPS needs both --certificate and --key, PEM files")
    guarded = Certificate(chain=certificate, key=key) if certificate is not None and key is not None else None
    run(_serve(Address(host=host, port=port), guarded, settings, feed_settings))


async def _serve(
    address: "Address", certificate: "Certificate | None", settings: Settings, feed_settings: FeedSettings
) -> None:
    from streams.feeds.gateway_assembly import open_gateway
    from streams.feeds.http.app import FEED, build_app
    from streams.feeds.http.operators import operator_routes
    from streams.feeds.http.serving import listen, serve_http
    from streams.feeds.http.tokens import Tokens
    from streams.feeds.serving import serve_until_told

    tokens = Tokens(feed_settings.tokens) if feed_settings.tokens is not None else None

    async def serve(gateway: "OpenGateway", stop: asyncio.Event) -> None:
        app = build_app(
            gateway,
            tokens=tokens,
            max_bytes=feed_settings.max_bytes,
            zone=parse_zone(settings.timezone),
            operators=operator_routes(gateway, tokens),
            health=gateway.health,
        )
        await serve_http(app, listen(address), stop, settings.drain_budget_s, certificate)

    await serve_until_told(open_gateway(FEED, settings, feed_settings), serve)
