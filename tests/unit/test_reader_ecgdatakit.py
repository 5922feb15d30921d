"""ecgdatakit behind its door: what its parsers warn of is judged, what they quote is never passed on."""

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from ecgdatakit.exceptions import (
    ChecksumWarning,
    CorruptedFileError,
    ECGDataKitError,
    MissingElementError,
    UnsupportedFormatError,
)
from ecgdatakit.models import ECGRecord, Lead
from ecgdatakit.parsing.parsers import scp_ecg

from schemas.leads import LEADS_12
from schemas.recorded import CartStatement, Sex
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.cart import cart_statement
from streams.feeds.readers.ecgdatakit_adapter import Parsed, found_from, parse_with
from streams.feeds.refusal import FeedRefusedError, RefusalReason

PATIENT = "PAT-0815"


def lead(label: str, **changes: object) -> Lead:
    given = {
        "samples": np.arange(5000.0),
        "sampling_rate": 500,
        "resolution": 2.5,
        "resolution_unit": "uV",
    } | changes
    return Lead(label=label, **given)  # type: ignore[arg-type]


def a_record(**changes: object) -> ECGRecord:
    record = ECGRecord(source_format="test")
    record.leads = [lead(name, **changes) for name in LEADS_12]
    record.patient.patient_id = PATIENT
    record.patient.birth_date = datetime(1950, 3, 1)  # noqa: DTZ001 - the library's dates bear no zone
    record.patient.sex = "F"
    record.patient.has_pacemaker = True
    record.recording.date = datetime(2020, 2, 3, tzinfo=UTC)
    record.recording.device.manufacturer = "Maker"
    record.recording.device.model = "Model"
    record.recording.device.serial_number = "SN-1"
    record.recording.device.institution = "General"
    record.recording.device.department = "Cardiology"
    record.measurements.heart_rate = 72
    record.measurements.qt_interval = 29999
    record.measurements.p_axis = 999
    return record


def reason_of(record: ECGRecord) -> RefusalReason:
    with pytest.raises(FeedRefusedError) as refused:
        found_from(Parsed(record=record), "TEST")
    return refused.value.reason


def test_a_record_is_turned_over_exactly() -> None:
    record = a_record(samples=np.arange(-2500.0, 2500.0))
    record.leads.append(lead("RESP", resolution_unit="Ohm"))
    found = found_from(Parsed(record=record, notes=("noted",)), "TEST", source_uid="1.2")

    assert [channel.name for channel in found.channels] == list(LEADS_12)
    assert found.channels[0].counts.dtype == np.int64
    np.testing.assert_array_equal(found.channels[0].counts, np.arange(-2500, 2500))
    assert (found.channels[0].uv_per_count, found.sample_rate_hz) == (2.5, 500.0)
    assert (found.left_out, found.notes, found.source_uid) == (("RESP",), ("noted",), "1.2")
    assert (found.patient_id, found.sex, found.age_years, found.has_pacemaker) == (
        PATIENT,
        Sex.FEMALE,
        69.0,
        True,
    )
    assert (found.source_system, found.device_id) == ("Maker Model", "SN-1")
    assert (found.site_id, found.ward_id) == ("General", "Cardiology")
    assert found.cart == CartStatement(heart_rate_bpm=72)


def test_samples_that_are_physical_already_keep_their_unit() -> None:
    record = a_record(resolution=1.0, is_raw=False, units="uV")
    assert found_from(Parsed(record=record), "TEST").channels[0].uv_per_count == 1.0


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (lambda: a_record(resolution_unit=""), RefusalReason.UNIT_UNKNOWN),
        (lambda: a_record(resolution_unit="Ohm"), RefusalReason.UNIT_UNKNOWN),
        (lambda: a_record(samples=np.array([0.5, 1.0])), RefusalReason.DAMAGED),
        (lambda: a_record(samples=np.array([np.nan, 1.0])), RefusalReason.DAMAGED),
        (lambda: ECGRecord(source_format="test"), RefusalReason.NO_WAVEFORM),
    ],
)
def test_a_record_without_units_or_samples_is_refused(
    record: Callable[[], ECGRecord], reason: RefusalReason
) -> None:
    assert reason_of(record()) is reason


def test_leads_of_several_rates_are_refused() -> None:
    record = a_record()
    record.leads[3].sampling_rate = 250
    assert reason_of(record) is RefusalReason.UNSUPPORTED


def test_a_duration_that_the_samples_do_not_have_is_damage() -> None:
    record = a_record()
    record.recording.duration = timedelta(seconds=10)
    assert found_from(Parsed(record=record), "TEST").sample_rate_hz == 500.0
    record.recording.duration = timedelta(seconds=12)
    assert reason_of(record) is RefusalReason.DAMAGED


_RAISES: dict[bytes, type[ECGDataKitError]] = {
    b"corrupt": CorruptedFileError,
    b"missing": MissingElementError,
    b"unsupported": UnsupportedFormatError,
}


class _Scripted(scp_ecg.SCPECGParser):
    """A parser that does what its file says, with messages as the library writes them."""

    def parse(self, file_path: Path) -> ECGRecord:
        content = Path(file_path).read_bytes()
        quoted = f"of {PATIENT} in {file_path}"
        if content in _RAISES:
            raise _RAISES[content](quoted)
        if content == b"checksum":
            warnings.warn(f"CRC mismatch {quoted}", ChecksumWarning, stacklevel=2)
        if content == b"truncated":
            warnings.warn(f"EDF file truncated {quoted}", stacklevel=2)
        if content == b"odd":
            warnings.warn(f"Odd header {quoted}", stacklevel=2)
            warnings.warn(
                "SCP-ECG: Section 12 (long-term rhythm data) is present but not loaded", stacklevel=2
            )
        return a_record()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"corrupt", RefusalReason.DAMAGED),
        (b"missing", RefusalReason.DAMAGED),
        (b"unsupported", RefusalReason.UNSUPPORTED),
        (b"checksum", RefusalReason.DAMAGED),
        (b"truncated", RefusalReason.DAMAGED),
    ],
)
def test_what_the_library_raises_or_warns_of_is_judged_and_not_quoted(
    content: bytes, reason: RefusalReason
) -> None:
    with pytest.raises(FeedRefusedError) as refused:
        parse_with(_Scripted, content)
    assert refused.value.reason is reason
    assert PATIENT not in str(refused.value)
    assert "/proc" not in str(refused.value)


def test_other_warnings_become_notes_without_what_they_quote() -> None:
    notes = parse_with(_Scripted, b"odd").notes
    assert notes[0].startswith("SCP-ECG: Section 12")
    assert "1 oddities" in notes[1]
    assert not any(PATIENT in note for note in notes)


def test_more_samples_than_allowed_are_refused() -> None:
    with pytest.raises(FeedRefusedError, match="60000 samples") as refused:
        parse_with(_Scripted, b"", ReadLimits(max_samples=59_999))
    assert refused.value.reason is RefusalReason.TOO_LARGE


@pytest.mark.parametrize(
    ("written", "kept"),
    [(270, -90.0), (-180, 180.0), (180, 180.0), (-181, 179.0), (360, 0.0), (999, None), (32767, None)],
)
def test_an_axis_has_one_number_and_a_code_for_none_is_none(written: float, kept: float | None) -> None:
    found = cart_statement(heart_rate_bpm=1, qrs_axis_deg=written)
    assert found is not None
    assert found.qrs_axis_deg == kept


@pytest.mark.parametrize("nothing", ["", "Failed", "0", 0, -1, 29999, 65535, "nan", "inf", None])
def test_what_is_no_interval_is_dropped(nothing: str | float | None) -> None:
    assert cart_statement(pr_ms=nothing, qt_ms=nothing) is None
