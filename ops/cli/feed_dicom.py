"""``diastole feed dicom``: ECGs that carts and archives send by C-STORE."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.console import out
from ops.cli.feed_mllp import is_loopback
from ops.cli.publish import parse_zone
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError
from streams.feeds.settings import FeedSettings, load_feed_settings
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.feeds.dicom.listener import AssociationRules
    from streams.feeds.gateway_assembly import OpenGateway
    from streams.feeds.readers.options import ReadOptions

#: An association waits for the gateway's answer without a word from the sender; it must outlast that, s.
_BEYOND_ACK_S = 60.0

_ANYBODY = "*"


def dicom(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need --allow.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 11112,
    ae_title: Annotated[
        str, typer.Option(help="Our AE title; a sender that calls another is rejected.")
    ] = "DIASTOLE",
    allow: Annotated[
        list[str] | None, typer.Option(help="Calling AE title that may associate; repeat. '*': any.")
    ] = None,
    max_associations: Annotated[
        int, typer.Option(min=1, max=256, help="Associations at a time; a further one is rejected for now.")
    ] = 16,
    acse_timeout: Annotated[
        float, typer.Option(min=1.0, help="Longest step of making or ending an association, s.")
    ] = 30.0,
    dimse_timeout: Annotated[
        float, typer.Option(min=1.0, help="Longest time one PDU may take to arrive, s.")
    ] = 60.0,
    network_timeout: Annotated[
        float, typer.Option(min=1.0, help="An association is ended after so long without a word, s.")
    ] = 120.0,
    site: Annotated[str, typer.Option(help="Site of these ECGs, over what the objects say.")] = "",
    ward: Annotated[str, typer.Option(help="Ward of these ECGs, over what the objects say.")] = "",
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
    """Take 12-lead, general and ambulatory ECG objects by C-STORE, until SIGTERM or Ctrl-C; answers C-ECHO.

    0x0000: the ECG is on Kafka. 0xC1nn: it is refused and kept in quarantine; sending it again changes
    nothing. 0xA700: send it again later.

    Example: diastole feed dicom --host 0.0.0.0 --ae-title DIASTOLE --allow CART1 --allow CART2
    """
    settings = prepared(broker=broker, timezone=timezone, metrics_port=metrics_port)
    feed_settings = load_feed_settings()
    # Imported here: pynetdicom takes half a second, which other commands need not wait.
    from streams.feeds.dicom.listener import AssociationRules
    from streams.feeds.readers.options import ReadOptions

    rules = AssociationRules(
        ae_title=ae_title,
        allowed=allowed_titles(host, allow or ()),
        max_associations=max_associations,
        acse_timeout_s=acse_timeout,
        dimse_timeout_s=dimse_timeout,
        network_timeout_s=max(network_timeout, feed_settings.ack_budget_s + _BEYOND_ACK_S),
    )
    options = ReadOptions(timezone=parse_zone(settings.timezone), site_id=site, ward_id=ward)
    run(_feed(host, port, rules, options, settings, feed_settings))


def allowed_titles(host: str, allow: Sequence[str]) -> tuple[str, ...]:
    """Read who may associate; empty for anybody, which is what nobody named means on loopback.

    Raises
    ------
    ConfigurationError
        When nobody is named and other machines could connect.
    """
    if not allow and not is_loopback(host):
        raise ConfigurationError(
            f"without --allow the DICOM feed listens on loopback alone, not on {host}: name the calling AE "
            "titles that may associate, like --allow CART1 ('*': anybody)"
        )
    return () if _ANYBODY in allow else tuple(allow)


async def _feed(
    host: str,
    port: int,
    rules: "AssociationRules",
    options: "ReadOptions",
    settings: Settings,
    feed_settings: FeedSettings,
) -> None:
    from streams.feeds.dicom.bounds import PeerBounds
    from streams.feeds.dicom.listener import listen
    from streams.feeds.dicom.storing import FEED, Storing
    from streams.feeds.gateway_assembly import open_gateway
    from streams.feeds.serving import serve_until_told
    from streams.stage import utc_now

    bounds = PeerBounds(feed_settings.max_bytes, rules.dimse_timeout_s)

    async def serve(gateway: "OpenGateway", stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        storing = Storing(gateway, loop, options, feed_settings.max_bytes, utc_now)
        async with listen(storing, bounds, rules, host, port) as (at, on):
            out().print(f"ready: DICOM {rules.ae_title} at {at}:{on}", markup=False, soft_wrap=True)
            await stop.wait()

    await serve_until_told(open_gateway(FEED, settings, feed_settings), serve)
