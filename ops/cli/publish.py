"""``diastole publish``: files in, ECGs on Kafka out."""

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console

from ops.cli.console import err, out
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError, PoisonError
from schemas.recorded import Urgency
from streams.assembly import build_codec
from streams.feeds.readers.options import ReadOptions
from streams.settings import Settings
from streams.stage import utc_now


def publish(
    files: Annotated[list[Path], typer.Argument(help="ECG files of any format feeds take (WFDB: its .hea).")],
    broker: BrokerOption = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Zone of local times that carry no offset, e.g. Europe/Rome; default DIASTOLE_TIMEZONE."
        ),
    ] = None,
    acquired_at: Annotated[
        str | None, typer.Option(help="Start of the recording (ISO 8601), for files that give none.")
    ] = None,
    patient_id: Annotated[
        str, typer.Option(help="The site's patient identifier, for files that name none.")
    ] = "",
    site: Annotated[str, typer.Option(help="Site, over what the file says.")] = "",
    ward: Annotated[str, typer.Option(help="Ward, over what the file says.")] = "",
    stat: Annotated[bool, typer.Option("--stat", help="Score these before routine ECGs.")] = False,
) -> None:
    """Publish some ECG files by hand, without a gateway.

    Each is on ecg.recorded.v1 when it is said to be. Publishing a file again writes it again, under the same
    id, which is harmless. Exit code 1 when any file was refused; nothing is kept of it (for that: diastole
    feed folder). Patients' identifiers are published as the files have them.

    Example: diastole publish cart/*.dcm --timezone Europe/Rome --ward W3
    """
    settings = prepared(broker=broker, timezone=timezone)
    zone = parse_zone(settings.timezone)
    options = ReadOptions(
        timezone=zone,
        acquired_at=parse_acquired_at(acquired_at, zone),
        patient_id=patient_id,
        site_id=site,
        ward_id=ward,
        urgency=Urgency.STAT if stat else Urgency.ROUTINE,
    )
    refused = run(_publish_all(files, options, settings))
    if refused:
        raise typer.Exit(code=1)


def parse_zone(name: str) -> tzinfo:
    """Return the zone of an IANA name.

    Raises
    ------
    ConfigurationError
        When there is no such zone.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"--timezone {name}: no such zone; write it like Europe/Rome or UTC"
        ) from None


def parse_acquired_at(text: str | None, zone: tzinfo) -> datetime | None:
    """Read an ISO 8601 moment; without an offset it is local to ``zone``.

    Raises
    ------
    ConfigurationError
        When it is no moment.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--acquired-at {text}: write it like 2026-01-31T08:15:00+01:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


async def _publish_all(files: list[Path], options: ReadOptions, settings: Settings) -> int:
    # Imported here: readers and Kafka's client take half a second, which other commands need not wait.
    from streams.feeds.files import document_at
    from streams.feeds.plausibility import remarks, require_plausible
    from streams.feeds.publish import open_publisher
    from streams.feeds.reading import open_reading
    from streams.feeds.settings import load_feed_settings

    refused = 0
    console, problems = out(), err()
    limits = load_feed_settings().limits()
    async with (
        open_publisher(settings.kafka, build_codec(settings)) as publisher,
        open_reading(1, limits) as reads,
    ):
        for path in files:
            try:
                reading = await reads.read(document_at(path, limits), options)
                ecg, now = reading.ecg, utc_now()
                require_plausible(ecg, now)
                at = await publisher.publish(ecg)
            except PoisonError as error:
                refused += 1
                _say(problems, f"refused {path.name}: {error}")
                continue
            where = f"{at.topic}[{at.partition}]@{at.offset}"
            leads = f"{len(ecg.lead_names)} leads at {ecg.sample_rate_hz:g} Hz"
            _say(console, f"published {path.name} as {at.ecg_id} ({ecg.source_format}, {leads}) to {where}")
            for note in (*reading.notes, *remarks(ecg, now)):
                _say(problems, f"note on {path.name}: {note}")
    return refused


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
