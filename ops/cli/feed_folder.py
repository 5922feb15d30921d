"""``diastole feed folder``: ECG files that something puts into a folder."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.cli.console import err, out
from ops.cli.publish import parse_zone
from ops.cli.setup import BrokerOption, prepared, run
from ops.folder_progress import describe, shown_backlog, shown_watch
from streams.feeds.folder.opening import Places, open_folder_feed
from streams.feeds.folder.plan import Rules
from streams.feeds.folder.taking import Source
from streams.feeds.settings import FeedSettings, load_feed_settings
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.feeds.folder.tally import Tally

#: Documents taken at once for each process that reads: while one is read, others wait for Kafka and the disk.
_AT_ONCE_PER_READER: Final = 4

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
) -> None:
    """Take ECG files from a folder and those within it, until SIGTERM or Ctrl-C.

    A file that stands still is read; once Kafka has it, it moves to accepted/, or with the reason to
    quarantined/. Unfinished and hidden files (*.tmp, *.part, .*, ~*) and links are passed over. With --once
    the exit code is 1 when something was quarantined or is left.

    Example: diastole feed folder /mnt/carts --site north --timezone Europe/Rome
    """
    settings = prepared(broker=broker, timezone=timezone)
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
        at_once=_AT_ONCE_PER_READER * feed_settings.readers,
    )


async def _feed(
    places: Places, source: Source, settings: Settings, feed_settings: FeedSettings, *, once: bool
) -> int:
    # Imported here: Kafka's client takes half a second, which other commands need not wait.
    from streams.feeds.folder.running import take_backlog, watch
    from streams.feeds.gateway_assembly import open_gateway

    label = source.origin.source
    shown = shown_backlog(err()) if once else shown_watch(err(), label)
    async with open_gateway("folder", settings, feed_settings) as gateway:
        with _told_to_stop() as stop, shown as tell, open_folder_feed(gateway, places, source, tell) as feed:
            if once:
                is_done = await take_backlog(feed, stop)
            else:
                await watch(feed, stop)
                is_done = True
    _say_end(feed.tally)
    if not is_done:
        return INTERRUPTED
    tally = feed.tally
    return int(once and bool(tally.quarantined or tally.held or tally.stuck))


def _say_end(tally: "Tally") -> None:
    out().print(f"{tally.ended} ECGs taken: {describe(tally)}", markup=False, soft_wrap=True)


@contextmanager
def _told_to_stop() -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM and the first Ctrl-C set; the second Ctrl-C ends at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def end() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
