"""``diastole feed folder``: ECG files that something puts into a folder."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.cli.console import err, out
from ops.cli.publish import parse_zone
from ops.cli.setup import BrokerOption, prepared, run
from ops.folder_progress import describe, shown_backlog, shown_watch
from streams.feeds.folder.opening import Places, open_folder_feed, require_folder
from streams.feeds.folder.plan import Rules
from streams.feeds.folder.taking import Source
from streams.feeds.settings import FeedSettings, load_feed_settings
from streams.logs import configure_logs
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.feeds.admission import Admits
    from streams.feeds.folder.tally import Tally

#: Documents taken at once for each process that reads: while one is read, others wait for Kafka and the disk.
AT_ONCE_PER_READER: Final = 4

#: Told to stop before a backlog was at its end; as ops.cli.main.
INTERRUPTED: Final = 130


def folder(
    path: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where ECG files are put, e.g. a share.")],
    once: Annotated[
        bool, typer.Option("--once", help="Take what is there, then end. Can be killed and started again.")
    ] = False,
    site: Annotated[str, typer.Option(help="Site of these ECGs, over what the files say.")] = "",
    ward: Annotated[str, typer.Option(help="Ward of these ECGs, over what the files say.")] = "",
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Zone of local times that carry no offset, e.g. Europe/Rome; default DIASTOLE_TIMEZONE."
        ),
    ] = None,
    label: Annotated[
        str, typer.Option(help="Name of this source in metrics and alarms; default the folder's own name.")
    ] = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the files where they are; only note that they were taken.")
    ] = False,
    accepted: Annotated[
        Path, typer.Option(help="Where accepted files go; a relative path lies in the folder.")
    ] = Path("accepted"),
    quarantined: Annotated[
        Path, typer.Option(help="Where refused files go, each with a note of the reason.")
    ] = Path("quarantined"),
    settle: Annotated[
        float, typer.Option(min=0.0, help="A file must not have changed for so long, s.")
    ] = Rules().settle_s,
    patience: Annotated[
        float, typer.Option(min=0.0, help="A WFDB header waits so long for its signal files, s.")
    ] = Rules().patience_s,
    broker: BrokerOption = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of /healthz, /readyz, /metrics; 0: any.")
    ] = None,
) -> None:
    """Take ECG files from a folder and those within it, until SIGTERM or Ctrl-C.

    A file that stands still is read; once Kafka has it, it moves to accepted/, or with the reason to
    quarantined/. Unfinished and hidden files (*.tmp, *.part, .*, ~*) and links are passed over. With --once
    the exit code is 1 when something was quarantined or is left.

    Example: diastole feed folder /mnt/carts --site north --timezone Europe/Rome
    """
    settings = prepared(broker=broker, timezone=timezone, metrics_port=metrics_port)
    if err().is_terminal and settings.log_level == "info":
        # The bar or the line below says what each delivery's own line would, which would tear it apart.
        configure_logs(settings.log_format, "warning")
    feed_settings = load_feed_settings()
    rules = Rules(settle_s=settle, patience_s=patience, keeps_files=keep)
    source = _source(label or path.resolve().name, site, ward, settings, feed_settings, rules)
    places = Places(folder=path, home=settings.home, accepted=accepted, quarantined=quarantined)
    code = run(_feed(places, source, settings, feed_settings, once=once))
    if code:
        raise typer.Exit(code=code)


def _source(
    label: str, site: str, ward: str, settings: Settings, feed_settings: FeedSettings, rules: Rules
) -> Source:
    from streams.feeds.admission import Origin
    from streams.feeds.readers.options import ReadOptions

    return Source(
        origin=Origin(feed="folder", source=label, site_id=site),
        options=ReadOptions(timezone=parse_zone(settings.timezone), site_id=site, ward_id=ward),
        limits=feed_settings.limits(),
        rules=rules,
        at_once=AT_ONCE_PER_READER * feed_settings.readers,
    )


async def _feed(
    places: Places, source: Source, settings: Settings, feed_settings: FeedSettings, *, once: bool
) -> int:
    # Imported here: Kafka's client takes half a second, which other commands need not wait.
    from streams.feeds.folder.running import take_backlog, watch
    from streams.feeds.gateway_assembly import open_gateway
    from streams.feeds.serving import serve_until_told

    shown = shown_backlog(err()) if once else shown_watch(err(), source.origin.source)
    code = INTERRUPTED if once else 0

    async def serve(gateway: "Admits", stop: asyncio.Event) -> None:
        nonlocal code
        with shown as tell, open_folder_feed(gateway, places, source, tell) as feed:
            if not once:
                await watch(feed, stop)
            elif await take_backlog(feed, stop):
                code = int(bool(feed.tally.quarantined or feed.tally.held or feed.tally.stuck))
        _say_end(feed.tally)

    require_folder(places)
    await serve_until_told(open_gateway("folder", settings, feed_settings), serve)
    return code


def _say_end(tally: "Tally") -> None:
    out().print(f"{tally.ended} ECGs taken: {describe(tally)}", markup=False, soft_wrap=True)
