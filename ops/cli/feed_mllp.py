"""``diastole feed mllp``: ECGs inside HL7 v2 messages."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.console import out
from ops.cli.publish import parse_zone
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError
from streams.feeds.settings import FeedSettings, load_feed_settings
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.feeds.gateway_assembly import OpenGateway
    from streams.feeds.mllp.answering import SiteRules
    from streams.feeds.mllp.server import Bounds

#: Of the drain budget: what a message in flight needs beyond the wait for Kafka to be answered, s.
_ANSWER_S = 5.0


def mllp(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need --allow.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 2575,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Address or network that may connect, e.g. 10.1.0.0/16; repeat. 0.0.0.0/0: any."),
    ] = None,
    max_connections: Annotated[
        int, typer.Option(min=1, max=1000, help="Connections at a time; a further one is closed at once.")
    ] = 64,
    idle_timeout: Annotated[
        float, typer.Option(min=1.0, help="A connection is closed after so long without a message, s.")
    ] = 3600.0,
    patient_id_type: Annotated[
        str, typer.Option(help="Identifier of PID-3 to go by: its type (CX-5), e.g. MR. Default: the first.")
    ] = "",
    patient_id_authority: Annotated[
        str, typer.Option(help="Identifier of PID-3 to go by: its assigning authority (CX-4).")
    ] = "",
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
    """Take ECGs inside HL7 v2 messages (ORU over MLLP), until SIGTERM or Ctrl-C.

    AA: every ECG of the message is on Kafka. AE: one is refused and kept in quarantine; sending it again
    changes nothing. AR: send the same message again later. ADT^A40 and its like merge patients; other ADT
    events are acknowledged and not used.

    Example: diastole feed mllp --host 0.0.0.0 --allow 10.1.0.0/16 --timezone Europe/Rome
    """
    settings = prepared(broker=broker, timezone=timezone, metrics_port=metrics_port)
    feed_settings = load_feed_settings()
    # Imported here: Kafka's client takes half a second, which other commands need not wait.
    from streams.feeds.mllp.answering import SiteRules
    from streams.feeds.mllp.identifiers import IdentifierChoice
    from streams.feeds.mllp.server import Bounds

    rules = SiteRules(
        timezone=parse_zone(settings.timezone),
        patient=IdentifierChoice(type_code=patient_id_type, authority=patient_id_authority),
        max_bytes=feed_settings.max_bytes,
    )
    bounds = Bounds(
        max_bytes=feed_settings.max_bytes,
        max_connections=max_connections,
        idle_timeout_s=idle_timeout,
        drain_budget_s=feed_settings.ack_budget_s + _ANSWER_S,
        allowed=allowed_networks(host, allow or ()),
    )
    run(_feed(host, port, rules, bounds, settings, feed_settings))


def allowed_networks(host: str, allow: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read who may connect; without any, whoever is on this machine.

    Raises
    ------
    ConfigurationError
        When one is no network, or nobody is named and other machines could connect.
    """
    if not allow and not is_loopback(host):
        raise ConfigurationError(
            f"without --allow the MLLP feed listens on loopback alone, not on {host}: name who may connect, "
            "like --allow 10.1.0.0/16 (0.0.0.0/0: anybody)"
        )
    return tuple(map(parse_network, allow))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Read an address or a network.

    Raises
    ------
    ConfigurationError
        When it is neither.
    """
    try:
        return ip_network(text)
    except ValueError:
        raise ConfigurationError(
            f"--allow {text}: write an address or a network, like 10.1.2.3 or 10.1.0.0/16"
        ) from None


async def _feed(
    host: str,
    port: int,
    rules: "SiteRules",
    bounds: "Bounds",
    settings: Settings,
    feed_settings: FeedSettings,
) -> None:
    from streams.feeds.gateway_assembly import open_gateway
    from streams.feeds.mllp.answering import FEED, Answering
    from streams.feeds.mllp.server import listen
    from streams.feeds.serving import serve_until_told
    from streams.stage import utc_now

    async def serve(gateway: "OpenGateway", stop: asyncio.Event) -> None:
        answering = Answering(gateway, gateway.names, rules, utc_now)
        async with listen(answering.answer, bounds, host, port) as (at, on):
            out().print(f"ready: HL7 v2 over MLLP at {at}:{on}", markup=False, soft_wrap=True)
            await stop.wait()

    await serve_until_told(open_gateway(FEED, settings, feed_settings), serve)
