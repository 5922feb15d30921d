"""WFDB records (PhysioNet): a ``.hea`` header with its signal files, beside it or zipped with it."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import wfdb
from wfdb.io._signal import INVALID_SAMPLE_VALUE

from schemas.recorded import Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.leads import Picked, pick_leads
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.readers.wfdb_header import SignalLine, check_header
from streams.feeds.readers.wfdb_zip import unzipped
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_SEX: Final = {"female": Sex.FEMALE, "f": Sex.FEMALE, "male": Sex.MALE, "m": Sex.MALE}

#: ``Age: 63``, and PhysioNet's ``<age>: 63 <sex>: M`` in one line.
_STATED: Final = re.compile(
    r"<?\b(age|sex|gender|subject[ _]id|patient[ _]id)>?[ \t]*:[ \t]*([^\s<]+)", re.IGNORECASE
)

#: A signal line of format 61, which is format 16 in the other byte order; wfdb stumbles over its counts.
_BIG_ENDIAN: Final = re.compile(rb"\A(\s*[^\s#]\S*\s+)61(?=[\sx:+])")


def read_wfdb(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read a WFDB record of one segment, its checksums verified where it carries them.

    WFDB headers mostly name no patient and often no date, so both may have to come from the options; dates
    in comments are not read, since their order of day and month is not stated. Age, sex and a comment
    ``subject_id:`` or ``patient_id:`` are.

    Raises
    ------
    FeedRefusedError
        When it cannot be read, is damaged, has gaps, is not calibrated, or lacks leads, time or patient.
    """
    signals = check_header(document, limits)
    with TemporaryDirectory() as folder:  # wfdb reads paths alone
        header = Path(folder) / "record.hea"
        header.write_bytes(_as_format_16(document.content))
        for signal in signals:
            (header.parent / signal.file).write_bytes(
                _little_endian(document.companions[signal.file], signal)
            )
        # Frames stay as they are: smoothing would average an ECG down to the rate of a slower channel.
        record = wfdb.rdrecord(str(header.with_suffix("")), physical=False, smooth_frames=False)
    return assemble(_found(record, signals), options)


def read_wfdb_zip(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read a WFDB record that comes as a zip of its header and signal files; :func:`read_wfdb` of them.

    Raises
    ------
    FeedRefusedError
        Also when the zip holds anything but one record, or swells beyond the limits.
    """
    return read_wfdb(unzipped(document, limits), options, limits)


def _as_format_16(header: bytes) -> bytes:
    lines = header.splitlines(keepends=True)
    described = [
        place for place, line in enumerate(lines) if line.strip() and not line.lstrip().startswith(b"#")
    ]
    for place in described[1:]:  # the first is the record's own
        lines[place] = _BIG_ENDIAN.sub(rb"\g<1>16", lines[place], count=1)
    return b"".join(lines)


def _little_endian(content: bytes, signal: SignalLine) -> bytes:
    if signal.storage != "61":
        return content
    head, samples = content[: signal.offset_bytes], content[signal.offset_bytes :]
    return head + np.frombuffer(samples[: len(samples) // 2 * 2], dtype=">i2").astype("<i2").tobytes()


def _found(record: Any, signals: Sequence[SignalLine]) -> Found:
    comments = _comments(record.comments)
    names = [str(name or "") for name in record.sig_name]
    picked = pick_leads(names)
    columns = {pick.column for pick in picked}
    has_checksums = any(record.checksum) or any(record.init_value)
    return Found(
        channels=tuple(_channel(record, pick, signals[pick.column], has_checksums) for pick in picked),
        left_out=tuple(name for column, name in enumerate(names) if column not in columns),
        sample_rate_hz=_sample_rate_hz(record, sorted(columns)),
        source_format="WFDB",
        acquired_at=_acquired_at(record),
        patient_id=comments.get("subject_id", comments.get("patient_id", "")),
        source_system="WFDB",
        age_years=_number(comments.get("age", "")),
        sex=_SEX.get(comments.get("sex", comments.get("gender", "")).lower(), Sex.UNKNOWN),
        notes=() if has_checksums else ("its header carries no checksums",),
    )


def _sample_rate_hz(record: Any, columns: Sequence[int]) -> float:
    rates_hz = {float(record.fs) * int(record.samps_per_frame[column]) for column in columns}
    if len(rates_hz) > 1:
        raise FeedRefusedError(
            "its leads have different rates; convert them to one rate first", RefusalReason.UNSUPPORTED
        )
    return rates_hz.pop() if rates_hz else float(record.fs)


def _channel(record: Any, pick: Picked, signal: SignalLine, has_checksums: bool) -> Channel:
    counts = np.asarray(record.e_d_signal[pick.column], dtype=np.int64)
    _require_no_gaps(counts, str(record.fmt[pick.column]), pick.lead)
    if has_checksums:
        _require_as_written(counts, record, pick)
    if not signal.has_gain:
        raise FeedRefusedError(
            f"lead {pick.lead} has no gain, so no voltage; write its calibration into the header",
            RefusalReason.UNIT_UNKNOWN,
        )
    uv_per_count = microvolts_per(str(record.units[pick.column])) / float(record.adc_gain[pick.column])
    return Channel(
        name=pick.lead,
        counts=counts,
        uv_per_count=uv_per_count,
        # wfdb: physical = (digital − baseline) / gain
        offset_uv=-float(record.baseline[pick.column]) * uv_per_count,
        sign=pick.sign,
    )


def _require_no_gaps(counts: npt.NDArray[np.int64], storage_format: str, lead: str) -> None:
    # wfdb's own table: the most negative count of each storage format means "no sample" (WFDB signal(5)).
    no_sample = INVALID_SAMPLE_VALUE.get(storage_format)
    n_missing = 0 if no_sample is None else int(np.count_nonzero(counts == no_sample))
    if n_missing:
        raise FeedRefusedError(
            f"{n_missing} samples of lead {lead} are missing; give a recording without gaps",
            RefusalReason.UNSUPPORTED,
        )


def _require_as_written(counts: npt.NDArray[np.int64], record: Any, pick: Picked) -> None:
    """Hold samples to the first one and the 16-bit sum of all that the header states (header(5))."""
    first, checksum = record.init_value[pick.column], record.checksum[pick.column]
    is_first_other = first is not None and int(first) != int(counts[0])
    if is_first_other or (checksum is not None and (int(counts.sum()) - int(checksum)) % 2**16):
        raise FeedRefusedError(
            f"samples of lead {pick.lead} are not those its header was written for; send header and signal "
            "files again",
            RefusalReason.DAMAGED,
        )


def _acquired_at(record: Any) -> datetime | None:
    """Return the header's moment, a local time of no stated zone."""
    if record.base_date is None or record.base_time is None:
        return None
    return datetime.combine(record.base_date, record.base_time)


def _comments(lines: Sequence[str]) -> dict[str, str]:
    stated = (match for line in lines for match in _STATED.finditer(line))
    return {match[1].lower().replace(" ", "_"): match[2] for match in stated}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
