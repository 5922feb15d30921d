"""What a person found out after a refusal wins over what file and message say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydicom.data import get_testdata_file

from schemas.identity import quarantine_id
from streams.feeds.document import Document
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions, require_acquired_at, require_patient_id
from streams.feeds.refusal import FeedRefusedError, RefusalReason

SAMPLE = Document(content=Path(str(get_testdata_file("waveform_ecg.dcm", download=False))).read_bytes())
BERLIN = ZoneInfo("Europe/Berlin")


def test_a_corrected_patient_wins_over_file_message_and_setting() -> None:
    options = ReadOptions(patient_id="a", expected_patient_id="b", corrected_patient_id=" right ")
    assert require_patient_id("wrong", options) == "right"


def test_without_a_correction_file_and_message_must_still_agree() -> None:
    with pytest.raises(FeedRefusedError) as caught:
        require_patient_id("one", ReadOptions(expected_patient_id="another"))
    assert caught.value.reason is RefusalReason.PATIENT_MISMATCH


def test_a_corrected_time_wins_over_the_files() -> None:
    corrected = datetime(2026, 1, 31, 8, 15, tzinfo=BERLIN)
    options = ReadOptions(corrected_acquired_at=corrected, acquired_at=corrected + timedelta(days=1))
    assert require_acquired_at(datetime(2031, 1, 1, tzinfo=UTC), options) == corrected.astimezone(UTC)


def test_a_corrected_time_is_no_longer_taken_for_one_whose_zone_was_assumed() -> None:
    as_written = read(SAMPLE, ReadOptions(timezone=BERLIN))
    assert as_written.ecg.is_zone_assumed
    corrected = ReadOptions(timezone=BERLIN, corrected_acquired_at=datetime(2020, 1, 1, 7, tzinfo=UTC))
    reading = read(SAMPLE, corrected)
    assert not reading.ecg.is_zone_assumed
    assert reading.ecg.acquired_zone == "UTC"
    assert not [note for note in reading.notes if "zone" in note]
    assert reading.ecg.acquired_at == corrected.corrected_acquired_at


def test_a_corrected_ecg_has_the_same_id_each_time_it_is_read() -> None:
    options = ReadOptions(corrected_patient_id="right")
    first, second = read(SAMPLE, options).ecg, read(SAMPLE, options).ecg
    assert first.patient_id == "right"
    assert first.ecg_id == second.ecg_id


def test_the_same_bytes_from_the_same_source_are_one_delivery() -> None:
    asked = {"feed": "mllp", "source": "HIS", "digest": "d"}
    assert quarantine_id(**asked) == quarantine_id(**asked)
    others = [{**asked, "feed": "http"}, {**asked, "source": "LAB"}, {**asked, "digest": "e"}]
    ids = {quarantine_id(**each) for each in (asked, *others)}
    ids.add(quarantine_id(feed="mllp", source="HIS", digest="d", claims=("another patient",)))
    assert len(ids) == 5
