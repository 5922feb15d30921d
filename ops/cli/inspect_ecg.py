"""``diastole inspect``: what is read of an ECG file, and why it would be refused."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from ops.cli.console import out
from ops.cli.publish import parse_acquired_at, parse_zone
from ops.cli.setup import prepared, run
from schemas.errors import ConfigurationError
from streams.feeds.settings import load_feed_settings
from streams.stage import utc_now
from streams.strip_layout import Layout

if TYPE_CHECKING:
    from models.manifest import Eligibility
    from ops.inspection import Inspection
    from schemas.recorded import EcgRecorded
    from streams.feeds.limits import ReadLimits
    from streams.feeds.readers.options import ReadOptions
    from streams.settings import Settings

#: What a terminal that has only ASCII or Latin-1 shows instead.
_PLAINER: Final = str.maketrans({"µ": "u", "°": "deg", "–": "-", "—": "-", "…": "..."})

#: Widest strip: beyond it nothing more is to be seen of 10 s.
_MOST_COLUMNS: Final = 200


def inspect(
    file: Annotated[Path, typer.Argument(help="An ECG file of any format that feeds take.")],
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
    hide_patient: Annotated[
        bool, typer.Option("--hide-patient", help="Show no patient identifier, also in the picture.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(help="Write the strip on ECG paper (25 mm/s, 10 mm/mV) to this file.")
    ] = None,
    layout: Annotated[
        Layout, typer.Option(help="Rows × columns on that paper; 3x4 has the rhythm lead below.")
    ] = Layout.STANDARD,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, without the strip.")] = False,
) -> None:
    """Show what would be read of one ECG file, and why it would be refused.

    Also the cart's measurements beside ours, the quality, whether it would be scored, and the strip. Nothing
    is published. Exit code 1 when it would be refused.

    Example: diastole inspect cart-export.xml --timezone Europe/Rome --svg strip.svg
    """
    from streams.feeds.readers.options import ReadOptions

    settings = prepared(timezone=timezone)
    zone = parse_zone(settings.timezone)
    options = ReadOptions(
        timezone=zone, acquired_at=parse_acquired_at(acquired_at, zone), patient_id=patient_id
    )
    inspection = run(_inspect(file, options, load_feed_settings().limits(), settings))
    if svg is not None and inspection.ecg is not None:
        _write_svg(svg, inspection, layout, hide_patient=hide_patient)
    if as_json:
        _print_json(inspection, hide_patient=hide_patient)
    else:
        print_inspection(out(), inspection, hide_patient=hide_patient)
    if inspection.refusals:
        raise typer.Exit(code=1)


async def _inspect(
    file: Path, options: "ReadOptions", limits: "ReadLimits", settings: "Settings"
) -> "Inspection":
    # Imported here: torch takes seconds, and most commands do without.
    from ops.inspecting_process import INSPECTING_READER
    from ops.inspection import Inspection, inspect_document
    from streams.feeds.files import document_at
    from streams.feeds.reading import open_reading
    from streams.feeds.refusal import FeedRefusedError

    try:
        document = document_at(file, limits)
    except FeedRefusedError as refusal:
        return Inspection(ecg=None, refusals=[refusal])
    async with open_reading(1, limits, INSPECTING_READER) as reads:
        return await inspect_document(document, options, reads, _judged, _eligibility(settings), utc_now())


def _judged(ecg: "EcgRecorded", now: datetime) -> tuple[str, ...]:
    from streams.feeds.plausibility import remarks, require_plausible

    require_plausible(ecg, now)
    return remarks(ecg, now)


def _eligibility(settings: "Settings") -> "Eligibility":
    from models.bundle import DEFAULT_BUNDLE, load_bundle

    return load_bundle(settings.bundle or DEFAULT_BUNDLE).manifest.eligibility


def _write_svg(path: Path, inspection: "Inspection", layout: Layout, *, hide_patient: bool) -> None:
    from ops.inspection_text import acquired_text
    from streams.strip import StripOptions, strip_svg

    ecg = inspection.ecg
    if ecg is None:
        return
    patient = f"Patient {ecg.patient_id}" if inspection.names_patient and not hide_patient else ""
    when = acquired_text(ecg) if inspection.has_time else ""
    where = ", ".join(filter(None, (ecg.site_id, ecg.ward_id, ecg.device_id, ecg.source_format)))
    heading = [line for line in ("   ".join(filter(None, (patient, when))), where) if line]
    try:
        path.write_text(strip_svg(ecg, StripOptions(layout=layout, heading=heading)), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--svg cannot be written: {error.strerror}; name another file") from None


def _print_json(inspection: "Inspection", *, hide_patient: bool) -> None:
    from ops.inspection_text import as_json

    text = json.dumps(as_json(inspection, hide_patient=hide_patient), indent=2, ensure_ascii=True)
    out().print(text, markup=False, soft_wrap=True)


def print_inspection(console: Console, inspection: "Inspection", *, hide_patient: bool) -> None:
    """Print an inspection with its strip, in characters that the console can show."""
    from ops.inspection_text import fact_lines, measurement_lines, quality_lines, verdict_lines

    _say(console, fact_lines(inspection, hide_patient=hide_patient))
    _say(console, measurement_lines(inspection))
    _say(console, quality_lines(inspection))
    _print_strip(console, inspection)
    _say(console, verdict_lines(inspection))


def _print_strip(console: Console, inspection: "Inspection") -> None:
    from ops.terminal_strip import charset_for, draw, scale_text
    from streams.strip import twelve_leads_mv

    ecg = inspection.ecg
    if ecg is None:
        return
    charset, width = charset_for(console.encoding), min(console.width, _MOST_COLUMNS)
    leads_mv = twelve_leads_mv(ecg)
    _say(console, draw(leads_mv, ecg.sample_rate_hz, width, charset))
    _say(console, [scale_text(leads_mv, ecg.sample_rate_hz, width, charset)])


def _say(console: Console, lines: Iterable[str]) -> None:
    """Print lines as they are, in characters that the terminal has."""
    for line in lines:
        said = line.translate(_PLAINER) if _is_poor(console.encoding) else line
        shown = said.encode(console.encoding, "replace").decode(console.encoding)
        console.print(Text(shown), soft_wrap=True)


def _is_poor(encoding: str) -> bool:
    return not encoding.lower().startswith("utf")
