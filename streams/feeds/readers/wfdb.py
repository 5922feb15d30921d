"""WFDB records (PhysioNet): a ``.hea`` header with its signal files beside it."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import wfdb

from schemas.recorded import EcgRecorded, Sex
from streams.feeds.readers.assembly import Found, assemble
from streams.feeds.readers.leads import standard_name
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError

_SEX: Final = {"female": Sex.FEMALE, "f": Sex.FEMALE, "male": Sex.MALE, "m": Sex.MALE}

#: What wfdb raises on broken records: it checks little and fails where it happens to stumble.
_WFDB_STUMBLES: Final = (ValueError, TypeError, IndexError, KeyError, AttributeError, EOFError, OSError)


def read_wfdb(path: Path, options: ReadOptions) -> EcgRecorded:
    """Read a WFDB record of one segment.

    WFDB headers name no patient and often no date, so both may have to come from the options; dates in
    comments are not read, since their order of day and month is not stated. Age and sex are.

    Parameters
    ----------
    path : Path
        The ``.hea`` file.

    Raises
    ------
    FeedRefusedError
        When it cannot be read, has gaps, or lacks leads, time or patient.
    """
    return assemble(_found(_load(path), options), options)


def _load(path: Path) -> Any:
    try:
        record = wfdb.rdrecord(str(path.with_suffix("")), physical=False)
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise FeedRefusedError(f"the record is incomplete: {missing} is missing beside the header") from error
    except _WFDB_STUMBLES as error:
        raise FeedRefusedError(f"damaged WFDB record ({type(error).__name__}); copy it again") from error
    if not isinstance(record, wfdb.Record) or record.d_signal is None:
        raise FeedRefusedError("a record of several segments or rates; convert it to one segment first")
    return record


def _found(record: Any, options: ReadOptions) -> Found:
    comments = _comments(record.comments)
    return Found(
        channels=tuple(_channel(record, column) for column in range(record.n_sig)),
        sample_rate_hz=float(record.fs),
        source_format="WFDB",
        acquired_at=_acquired_at(record, options),
        source_system="WFDB",
        age_years=_number(comments.get("age", "")),
        sex=_SEX.get(comments.get("sex", "").lower(), Sex.UNKNOWN),
    )


def _channel(record: Any, column: int) -> Channel:
    counts = np.asarray(record.d_signal[:, column], dtype=np.int64)
    name = standard_name(str(record.sig_name[column]))
    n_missing = int(np.count_nonzero(counts == _no_sample(str(record.fmt[column]))))
    if n_missing:
        raise FeedRefusedError(
            f"{n_missing} samples of lead {name} are missing; give a recording without gaps"
        )
    uv_per_count = microvolts_per(str(record.units[column])) / float(record.adc_gain[column])
    return Channel(
        name=name,
        counts=counts,
        uv_per_count=uv_per_count,
        # wfdb: physical = (digital − baseline) / gain
        offset_uv=-float(record.baseline[column]) * uv_per_count,
    )


def _no_sample(storage_format: str) -> int | None:
    """Return the count meaning "no sample": the most negative of the storage format (WFDB signal(5))."""
    bits = {"80": 8, "16": 16, "61": 16, "24": 24, "32": 32, "212": 12, "310": 10, "311": 10}.get(
        storage_format
    )
    return None if bits is None else -(2 ** (bits - 1))


def _acquired_at(record: Any, options: ReadOptions) -> datetime | None:
    if record.base_date is None or record.base_time is None:
        return None
    return datetime.combine(record.base_date, record.base_time, tzinfo=options.timezone)


def _comments(lines: list[str]) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip().lower(): text.strip() for key, text in pairs}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
