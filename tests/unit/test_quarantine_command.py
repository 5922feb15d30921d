"""How quarantine looks on a terminal, and what its commands refuse before they ask anybody."""

import stat
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from quarantine_in_memory import NOW, MemoryGateway, MemoryQuarantine, delivery_of, dicom_of
from rich.console import Console
from typer.testing import CliRunner

from ops.cli.quarantine import app, save_document
from ops.cli.quarantine_tables import age_text, entries_table, shown_lines, size_text
from schemas.errors import ConfigurationError
from streams.feeds.document import Document
from streams.feeds.quarantine.acts import By, QuarantineDesk
from streams.feeds.quarantine.finding import Wanted
from streams.feeds.quarantine.gist import gist_of

BY = By(actor="engineer", origin="command")


async def lines_of(desk: QuarantineDesk, name: str) -> str:
    shown = await desk.show(name, BY)
    gist = await gist_of(shown.delivery, MemoryGateway()) if shown.delivery else None
    return "\n".join(shown_lines(shown, gist, NOW + timedelta(hours=3)))


async def test_the_list_fits_eighty_columns_and_names_no_patient() -> None:
    kept = MemoryQuarantine()
    desk = QuarantineDesk(kept, kept, None, lambda: NOW)
    name = kept.keep(delivery_of(dicom_of("PATIENT-4711"), expected_patient_id="PATIENT-2"))
    kept.keep(delivery_of(b"%PDF-1.7"))
    console = Console(width=80, record=True, file=StringIO())
    console.print(entries_table(await desk.entries(Wanted()), NOW + timedelta(minutes=5)))
    text = console.export_text()
    row = next(line for line in text.splitlines() if name[:8] in line)
    assert "patient mismatch" in row
    assert "5 min" in row
    assert "PATIENT" not in text
    assert max(map(len, text.splitlines())) <= 80


async def test_showing_says_why_what_mends_it_what_can_be_read_and_what_was_done() -> None:
    kept = MemoryQuarantine()
    desk = QuarantineDesk(kept, kept, None, lambda: NOW)
    name = kept.keep(delivery_of(dicom_of("one"), expected_patient_id="another"))
    text = await lines_of(desk, name)
    for said in (
        name,
        "patient mismatch",
        "correct the patient",
        "folder share, site north",
        "3 h ago",
        "patient   one",
        "names the patient another",
        "12 leads, 10.0 s at 1000 Hz",
        "would be refused",
        "shown  by engineer (command)",
    ):
        assert said in text
    await desk.correct(name, {"patient_id": "another"}, BY)
    text = await lines_of(desk, name)
    assert "corrected patient_id another" in text
    assert "would be read; replay it" in text
    await desk.replay(name, BY, MemoryGateway())
    assert "became" in await lines_of(desk, name)


def test_ages_and_sizes_are_read_at_a_glance() -> None:
    assert [age_text(timedelta(minutes=m)) for m in (-3, 0, 119, 120, 4319, 4320)] == [
        "0 min",
        "0 min",
        "119 min",
        "2 h",
        "71 h",
        "3 d",
    ]
    assert [size_text(n) for n in (0, 999, 1000, 999_400, 32_000_000)] == [
        "0 B",
        "999 B",
        "1 kB",
        "999 kB",
        "32.0 MB",
    ]


def test_a_saved_document_is_its_owners_alone_and_overwrites_nothing(tmp_path: Path) -> None:
    document = Document(content=b"header", name="x.hea", companions={"../../x.dat": b"signals"})
    folder = tmp_path / "saved"
    folder.mkdir()
    save_document(document, folder / "kept.hea")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "kept.hea": b"header",
        "x.dat": b"signals",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    with pytest.raises(ConfigurationError, match="File exists"):
        save_document(document, folder / "kept.hea")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay"], "give --all"),
        (["replay", "3f2a", "--all"], "give --all"),
        (["list", "--state", "LOST"], "HELD, CORRECTED"),
        (["list", "--since", "yesterday"], "no duration"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigurationError)
    assert said in str(result.exception)


def test_nothing_is_discarded_without_a_reason() -> None:
    result = CliRunner().invoke(app, ["discard", "3f2a"])
    assert result.exit_code == 2
    assert "--reason" in result.output
