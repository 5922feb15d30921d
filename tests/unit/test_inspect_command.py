import asyncio
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from pydicom import dcmread
from pydicom.data import get_testdata_file
from rich.console import Console
from typer.testing import CliRunner

from models.manifest import Eligibility
from ops.cli.inspect_ecg import inspect, print_inspection
from ops.inspection import Inspection, inspect_document
from ops.inspection_text import acquired_text, as_json, fact_lines, measurement_lines, verdict_lines
from schemas.recorded import EcgRecorded
from streams.feeds.document import Document
from streams.feeds.files import document_at
from streams.feeds.plausibility import remarks, require_plausible
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

SAMPLE = Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))
NOW = datetime(2026, 1, 31, 8, 15, tzinfo=UTC)
PATIENT = "642341"
ROME = ReadOptions(timezone=ZoneInfo("Europe/Rome"))


class HereAndNow:
    """Reads in this process."""

    async def read(self, document: Document, options: ReadOptions) -> Reading:
        return read(document, options)


class Gives:
    """Reads whatever it is given as one ECG."""

    def __init__(self, ecg: EcgRecorded) -> None:
        self._ecg = ecg

    async def read(self, document: Document, options: ReadOptions) -> Reading:
        return Reading(ecg=self._ecg)


def judged(ecg: EcgRecorded, now: datetime) -> tuple[str, ...]:
    require_plausible(ecg, now)
    return remarks(ecg, now)


def inspected(
    document: Document | Path, options: ReadOptions = ROME, ecg: EcgRecorded | None = None
) -> Inspection:
    document = document_at(document) if isinstance(document, Path) else document
    reads = HereAndNow() if ecg is None else Gives(ecg)
    eligibility = Eligibility(min_age_years=18.0, paced_allowed=False)
    return asyncio.run(inspect_document(document, options, reads, judged, eligibility, NOW))


def shown(inspection: Inspection, *, encoding: str = "utf-8", width: int = 120, hide: bool = False) -> str:
    """What a terminal of that encoding and width would show."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict", write_through=True)
    console = Console(file=stream, width=width, highlight=False)
    print_inspection(console, inspection, hide_patient=hide)
    return raw.getvalue().decode(encoding)


def changed(**elements: object) -> Document:
    """The sample with other elements."""
    dataset = dcmread(SAMPLE)
    for name, stated in elements.items():
        setattr(dataset, name, stated)
    raw = io.BytesIO()
    dataset.save_as(raw)
    return Document(content=raw.getvalue(), name="x.dcm")


@pytest.fixture(scope="module")
def sound() -> Inspection:
    return inspected(SAMPLE)


def test_a_sound_file_is_shown_with_all_that_was_read(sound: Inspection) -> None:
    said = shown(sound)
    for part in (
        "DICOM",
        f"patient       {PATIENT}",
        "2013-01-25 09:59:19 UTC = 2013-01-25 10:59:19 Europe/Rome (assumed, the file states none)",
        "10.0 s at 1000 Hz, 1.25 µV per unit",
        "12: I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6",
        "time carries no zone, read as Europe/Rome",
        "quality       1.00 of 1",
        "would be scored",
    ):
        assert part in said
    assert said.rstrip().endswith("would be accepted")


def test_the_carts_measurements_stand_beside_ours(sound: Inspection) -> None:
    assert sound.ecg is not None
    assert sound.ecg.cart is not None
    assert sound.featurized is not None
    rate = next(line for line in measurement_lines(sound) if line.startswith("heart rate"))
    cart, ours = sound.ecg.cart.heart_rate_bpm, sound.featurized.measurements.heart_rate_bpm
    assert cart is not None
    assert ours is not None
    assert rate.split() == ["heart", "rate", f"{cart:.0f}", f"{ours:.0f}", "/min"]


def test_a_measurement_that_is_not_there_is_a_dash(sound: Inspection) -> None:
    assert sound.ecg is not None
    silent = replace(sound, ecg=replace(sound.ecg, cart=None))
    assert next(line for line in measurement_lines(silent) if line.startswith("PR")).split()[1] == "—"


@pytest.mark.parametrize("width", [80, 160])
def test_the_strip_is_drawn_in_braille_within_the_terminal(sound: Inspection, width: int) -> None:
    lines = shown(sound, width=width).splitlines()
    drawn = [line for line in lines if any("\u2800" <= char <= "\u28ff" for char in line)]
    assert len(drawn) > 12
    assert max(map(len, drawn)) <= width


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_without_braille_gets_what_it_can_show(sound: Inspection, encoding: str) -> None:
    said = shown(sound, encoding=encoding)
    assert "1.25 uV per unit" in said
    assert "||" in said


def test_the_patient_is_hidden_when_asked(sound: Inspection) -> None:
    assert PATIENT not in shown(sound, hide=True)
    assert PATIENT not in json.dumps(as_json(sound, hide_patient=True))
    assert as_json(sound, hide_patient=False)["ecg"]["patient_id"] == PATIENT


def test_a_file_without_patient_and_time_is_shown_and_its_refusals_are_told(shared_ecg: Path) -> None:
    inspection = inspected(shared_ecg / "wfdb/s0010_re.hea")
    assert [each.reason for each in inspection.refusals] == [RefusalReason.NO_PATIENT, RefusalReason.NO_TIME]
    said = shown(inspection)
    assert "patient       not stated" in said
    assert "acquired      not stated" in said
    assert "would be refused, NO_PATIENT" in said
    assert "diastole quarantine correct" in said
    assert "clocks that nobody set" not in said, "nothing is said of the time that stands in"
    as_data = as_json(inspection, hide_patient=False)
    assert (as_data["accepted"], as_data["ecg"]["patient_id"], as_data["ecg"]["acquired_at"]) == (
        False,
        None,
        None,
    )


def test_what_the_operator_states_mends_it(shared_ecg: Path) -> None:
    options = replace(ROME, patient_id="P7", acquired_at=datetime(2026, 1, 30, 9, 0, tzinfo=UTC))
    inspection = inspected(shared_ecg / "wfdb/s0010_re.hea", options)
    assert inspection.refusals == []
    assert "patient       P7" in "\n".join(fact_lines(inspection, hide_patient=False))


def test_what_cannot_be_read_says_why_and_what_to_do() -> None:
    inspection = inspected(Document(content=b"no ECG", name="notes.txt"))
    assert inspection.ecg is None
    assert next(iter(verdict_lines(inspection))).startswith("would be refused, UNKNOWN_FORMAT: ")
    assert "export it again" in shown(inspection)
    assert as_json(inspection, hide_patient=False)["ecg"] is None


def test_an_ecg_of_tomorrow_is_shown_and_refused() -> None:
    inspection = inspected(changed(AcquisitionDateTime=f"{NOW + timedelta(days=1):%Y%m%d%H%M%S}"))
    assert [each.reason for each in inspection.refusals] == [RefusalReason.TIME_IN_FUTURE]
    assert "acquired in future" in shown(inspection)


def test_what_would_not_be_scored_says_why_though_it_would_be_accepted(sound: Inspection) -> None:
    assert sound.ecg is not None
    short = replace(sound.ecg, samples=sound.ecg.samples[:, :5000])
    inspection = inspected(SAMPLE, ecg=short)
    assert inspection.refusals == []
    said = shown(inspection)
    assert "would be NOT_SCORED: too short" in said
    assert said.rstrip().endswith("would be accepted")
    child = inspected(SAMPLE, ecg=replace(sound.ecg, age_years=9.0))
    assert child.not_scored == ("AGE_UNDER_18",)


def test_limb_leads_that_contradict_each_other_are_drawn_all_the_same(sound: Inspection) -> None:
    assert sound.ecg is not None
    samples = sound.ecg.samples.copy()
    samples[2] = -samples[2]
    inspection = inspected(SAMPLE, ecg=replace(sound.ecg, samples=samples))
    assert [each.reason for each in inspection.refusals] == [RefusalReason.CONTRADICTORY_LEADS]
    assert "not einthoven" in shown(inspection)


@pytest.mark.parametrize(
    ("zone", "is_assumed", "said"),
    [
        ("+01:00", False, "2013-01-25 10:59:19 +01:00 (as the file states)"),
        ("-05:30", False, "2013-01-25 04:29:19 -05:30 (as the file states)"),
        ("UTC", True, "UTC, zone assumed"),
        ("", False, "09:59:19 UTC"),
        ("Nowhere/Land", False, "09:59:19 UTC"),
        ("+99:99", False, "09:59:19 UTC"),
    ],
)
def test_the_time_is_told_in_utc_and_by_the_carts_clock(
    sound: Inspection, zone: str, is_assumed: bool, said: str
) -> None:
    assert sound.ecg is not None
    ecg = replace(sound.ecg, acquired_zone=zone, is_zone_assumed=is_assumed)
    assert acquired_text(ecg).startswith("2013-01-25 09:59:19 UTC")
    assert acquired_text(ecg).endswith(said)


def test_reading_stops_where_no_stand_in_helps() -> None:
    class Refuses:
        async def read(self, document: Document, options: ReadOptions) -> Reading:
            raise FeedRefusedError("no patient; name one", RefusalReason.NO_PATIENT)

    eligibility = Eligibility(min_age_years=18.0, paced_allowed=False)
    document = Document(content=b"x")
    inspection = asyncio.run(inspect_document(document, ROME, Refuses(), judged, eligibility, NOW))
    assert inspection.ecg is None
    assert len(inspection.refusals) == 2


def command(*arguments: str, exit_code: int = 0) -> str:
    app = typer.Typer()
    app.command()(inspect)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.stdout


def test_the_command_reads_in_bounds_and_writes_the_picture(tmp_path: Path) -> None:
    picture = tmp_path / "strip.svg"
    said = command(str(SAMPLE), "--timezone", "Europe/Rome", "--svg", str(picture), "--json")
    assert json.loads(said)["accepted"]
    text = picture.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert f"Patient {PATIENT}" in text
    hidden = tmp_path / "hidden.svg"
    command(str(SAMPLE), "--hide-patient", "--svg", str(hidden), "--layout", "12x1")
    assert PATIENT not in hidden.read_text(encoding="utf-8")


def test_the_command_ends_with_1_when_the_file_would_be_refused(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_bytes(b"no ECG")
    assert "UNKNOWN_FORMAT" in command(str(notes), exit_code=1)
    assert "check the path" in command(str(tmp_path / "none.dcm"), exit_code=1)
