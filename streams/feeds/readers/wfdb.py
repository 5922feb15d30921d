"""WFDB records (PhysioNet): a ``.hea`` header with its signal files beside it."""

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
from streams.feeds.readers.leads import Picked, pick_leads, shown
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError

_SEX: Final = {"female": Sex.FEMALE, "f": Sex.FEMALE, "male": Sex.MALE, "m": Sex.MALE}


def read_wfdb(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read a WFDB record of one segment.

    WFDB headers name no patient and often no date, so both may have to come from the options; dates in
    comments are not read, since their order of day and month is not stated. Age and sex are.

    Raises
    ------
    FeedRefusedError
        When it cannot be read, has gaps, or lacks leads, time or patient.
    """
    with TemporaryDirectory() as folder:  # wfdb reads paths alone
        header = Path(folder) / "record.hea"
        header.write_bytes(document.content)
        for name, companion in document.companions.items():
            (header.parent / Path(name).name).write_bytes(companion)
        return assemble(_found(_load(header)), options)


def _load(path: Path) -> Any:
    name = str(path.with_suffix(""))
    header = wfdb.rdheader(name)
    if not isinstance(header, wfdb.Record) or not header.n_sig:
        raise FeedRefusedError(
            "a record of several segments or of no signal; convert it to one segment first"
        )
    try:
        # Frames stay as they are: smoothing would average an ECG down to the rate of a slower channel.
        return wfdb.rdrecord(name, physical=False, smooth_frames=False)
    except FileNotFoundError as error:
        missing = shown(Path(str(error.filename)).name)
        raise FeedRefusedError(f"the record is incomplete: {missing} is missing beside the header") from None


def _found(record: Any) -> Found:
    comments = _comments(record.comments)
    names = [str(name) for name in record.sig_name]
    picked = pick_leads(names)
    columns = {pick.column for pick in picked}
    return Found(
        channels=tuple(_channel(record, pick) for pick in picked),
        left_out=tuple(name for column, name in enumerate(names) if column not in columns),
        sample_rate_hz=_sample_rate_hz(record, sorted(columns)),
        source_format="WFDB",
        acquired_at=_acquired_at(record),
        source_system="WFDB",
        age_years=_number(comments.get("age", "")),
        sex=_SEX.get(comments.get("sex", "").lower(), Sex.UNKNOWN),
    )


def _sample_rate_hz(record: Any, columns: Sequence[int]) -> float:
    rates_hz = {float(record.fs) * int(record.samps_per_frame[column]) for column in columns}
    if len(rates_hz) > 1:
        raise FeedRefusedError("its leads have different rates; convert them to one rate first")
    return rates_hz.pop() if rates_hz else float(record.fs)


def _channel(record: Any, pick: Picked) -> Channel:
    counts = np.asarray(record.e_d_signal[pick.column], dtype=np.int64)
    _require_no_gaps(counts, str(record.fmt[pick.column]), pick.lead)
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
            f"{n_missing} samples of lead {lead} are missing; give a recording without gaps"
        )


def _acquired_at(record: Any) -> datetime | None:
    """Return the header's moment, a local time of no stated zone."""
    if record.base_date is None or record.base_time is None:
        return None
    return datetime.combine(record.base_date, record.base_time)


def _comments(lines: list[str]) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip().lower(): text.strip() for key, text in pairs}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
