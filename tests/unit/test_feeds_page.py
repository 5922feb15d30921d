"""What docs/feeds.md promises of codes and formats is what the code does."""

import json
import re
from pathlib import Path

import pytest

from streams.feeds.dicom.statuses import REFUSED
from streams.feeds.document import Document
from streams.feeds.folder.names import is_taken_note_of
from streams.feeds.read import read
from streams.feeds.refusal import CORRECTABLE, RefusalReason
from streams.feeds.settings import FEED_PREFIX, FeedSettings

PAGE = (Path(__file__).resolve().parents[2] / "docs/feeds.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    section = PAGE.split(f"\n{heading}\n", 1)[1]
    _, _, table = f"\n{section}".partition("\n|")
    lines = table.split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_refusal_is_explained_with_the_status_that_carts_see() -> None:
    explained = {code: status for code, status, *_ in rows("## Refusals")}
    assert explained == {reason.value: f"{number:X}" for reason, number in REFUSED.items()}
    assert explained.keys() == {reason.value for reason in RefusalReason}


def test_what_a_person_can_correct_is_marked_so() -> None:
    marked = {code for code, _, _, mends in rows("## Refusals") if "**correct**" in mends}
    assert marked >= {reason.value for reason in CORRECTABLE}


def test_the_json_example_is_read() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    given = json.loads(example)
    ecg = read(Document(content=example.encode())).ecg
    assert (ecg.patient_id, ecg.sample_rate_hz, ecg.acquired_zone) == (given["patient_id"], 500.0, "+01:00")
    assert [int(count) for count in ecg.samples[0] * ecg.uv_per_unit] == given["leads"]["I"]


@pytest.mark.parametrize("name", sorted(set(re.findall(rf"{FEED_PREFIX}([A-Z_]+)", PAGE))))
def test_every_setting_it_names_exists(name: str) -> None:
    assert name.lower() in FeedSettings.model_fields


def test_names_said_to_be_passed_over_are() -> None:
    (_, passed_over), *_ = [row for row in rows("### A folder") if row[0] == "never taken"]
    patterns = re.findall(r"`([^`]+)`", passed_over)
    assert len(patterns) >= 6
    assert not [pattern for pattern in patterns if is_taken_note_of(pattern.replace("*", "ecg"))]
