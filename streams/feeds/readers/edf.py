"""EDF and EDF+ (16 bits), BDF and BDF+ (24 bits): the ECG channels of a recording.

The parser is our own: what the libraries for EDF only warn of (a file cut short, records with gaps between
them) or round (rates that are no whole number) would be a wrong ECG here, and the format is a plain table.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.recorded import Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.age import age_from_birth
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.edf_header import EdfHeader, Signal, read_header
from streams.feeds.readers.leads import Picked, pick_leads
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_SEX: Final = {"F": Sex.FEMALE, "M": Sex.MALE}
_UNKNOWN: Final = "X"

#: English whatever the locale (EDF+ §2.1.3.3).
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_LONG_DATE: Final = re.compile(r"(\d{2})-([A-Za-z]{3})-(\d{4})", re.ASCII)
_SHORT: Final = re.compile(r"(\d{2})[.:](\d{2})[.:](\d{2})", re.ASCII)

#: EDF+ §2.1.3.2: two digits of a year from 85 are of the last century.
_FIRST_YEAR: Final = 85

#: EDF's labels begin with the kind of signal; the German one is as frequent as "ECG".
_KIND: Final = re.compile(r"(EKG|ECG)[\s_]*", re.IGNORECASE)

_ANNOTATIONS: Final = ("EDF Annotations", "BDF Annotations")

#: Time-keeping annotation that begins each record of EDF+: ``+567.25``, then 0x14 0x14 (§2.2.2).
_ONSET: Final = re.compile(rb"\+(\d{1,9}(?:\.\d{1,9})?)\x14\x14")


def read_edf(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read the ECG channels of an EDF, EDF+C, BDF or BDF+C file.

    EDF knows no zone: its start is local. A patient is taken from the fields of EDF+ alone (code, sex, birth
    date, name); in plain EDF that text may be anything.

    Raises
    ------
    FeedRefusedError
        When its length is not what it declares, its records are discontinuous, leads have different rates or
        no unit of voltage, or leads, time or patient are missing.
    """
    header = read_header(document.content)
    if header.variant.startswith(("EDF+D", "BDF+D")):
        raise FeedRefusedError(
            f"a discontinuous recording ({header.variant[:5]}); export it as one continuous piece",
            RefusalReason.UNSUPPORTED,
        )
    return assemble(_found(document.content, header, options, limits), options)


def _found(content: bytes, header: EdfHeader, options: ReadOptions, limits: ReadLimits) -> Found:
    kept = [signal for signal in header.signals if signal.label not in _ANNOTATIONS]
    names = [_KIND.sub("", signal.label, count=1).strip() for signal in kept]
    picked = pick_leads(names)
    columns = {pick.column for pick in picked}
    patient = _patient(header)
    acquired_at = _acquired_at(content, header)
    born = patient.born.strftime("%Y%m%d") if patient.born else ""
    return Found(
        channels=_channels(content, header, [(kept[pick.column], pick) for pick in picked], limits),
        left_out=tuple(kept[column].label for column in range(len(kept)) if column not in columns),
        sample_rate_hz=_sample_rate_hz(header, [kept[column] for column in sorted(columns)]),
        source_format="BDF" if header.sample_bytes == 3 else "EDF",
        acquired_at=acquired_at,
        patient_id=patient.code,
        source_system=_equipment(header),
        device_id=_equipment(header),
        age_years=age_from_birth(born, acquired_at or options.acquired_at),
        sex=patient.sex,
    )


def _sample_rate_hz(header: EdfHeader, leads: Sequence[Signal]) -> float:
    if not header.record_s > 0.0 or not header.n_records:
        raise FeedRefusedError(
            "its records have no duration or there are none; export the 10 s rhythm recording",
            RefusalReason.NO_WAVEFORM,
        )
    per_record = {signal.per_record for signal in leads}
    if len(per_record) > 1:
        raise FeedRefusedError(
            "its leads have different rates; convert them to one rate first", RefusalReason.UNSUPPORTED
        )
    return (per_record.pop() if per_record else 1) / header.record_s


def _channels(
    content: bytes, header: EdfHeader, leads: Sequence[tuple[Signal, Picked]], limits: ReadLimits
) -> tuple[Channel, ...]:
    n_samples = header.n_records * sum(signal.per_record for signal, _ in leads)
    if n_samples > limits.max_samples:
        raise FeedRefusedError(
            f"{n_samples} samples are more than the {limits.max_samples} that are read; "
            "export the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )
    records = np.frombuffer(content, dtype=np.uint8, offset=header.n_bytes).reshape(
        header.n_records, header.per_record, header.sample_bytes
    )  # (n_records, samples of all signals, bytes)
    return tuple(_channel(records, signal, pick) for signal, pick in leads)


def _channel(records: npt.NDArray[np.uint8], signal: Signal, pick: Picked) -> Channel:
    (low, high), (digital_low, digital_high) = signal.physical, signal.digital
    if digital_high <= digital_low or high == low:
        raise FeedRefusedError(
            f"lead {pick.lead} spans nothing, so it has no scale; export it with its calibration",
            RefusalReason.UNIT_UNKNOWN,
        )
    unit_uv = microvolts_per(signal.unit)
    gain = (high - low) / (digital_high - digital_low)
    offset = low - gain * digital_low
    polarity = 1.0 if gain > 0 else -1.0  # a maximum below the minimum is an inverted channel
    stored = records[:, signal.place : signal.place + signal.per_record]
    return Channel(
        name=pick.lead,
        counts=_counts(stored.reshape(-1, records.shape[2])),
        uv_per_count=abs(gain) * unit_uv,
        offset_uv=polarity * offset * unit_uv,
        sign=pick.sign * polarity,
    )


def _counts(stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Put two or three bytes, the least first, together with their sign."""
    counts = stored[:, -1].astype(np.int8).astype(np.int64)
    for column in range(stored.shape[1] - 2, -1, -1):
        counts = counts * 256 + stored[:, column]
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patient:
    code: str = ""
    sex: Sex = Sex.UNKNOWN
    born: date | None = None


def _patient(header: EdfHeader) -> _Patient:
    """Read ``code sex birthdate name`` (EDF+ §2.1.3.3), spaces written as ``_``, X for unknown."""
    fields = header.patient.split()
    is_plus = header.variant.startswith(("EDF+", "BDF+"))
    if not is_plus or len(fields) < 3 or fields[1] not in ("F", "M", _UNKNOWN):
        return _Patient()
    code = "" if fields[0] == _UNKNOWN else fields[0].replace("_", " ")
    return _Patient(code=code, sex=_SEX.get(fields[1], Sex.UNKNOWN), born=_long_date(fields[2]))


def _equipment(header: EdfHeader) -> str:
    """Read the fifth field of ``Startdate date code technician equipment``."""
    fields = header.recording.split()
    is_known = len(fields) > 4 and fields[0] == "Startdate" and fields[4] != _UNKNOWN
    return fields[4].replace("_", " ") if is_known else ""


def _acquired_at(content: bytes, header: EdfHeader) -> datetime | None:
    """Return the local start; None where the date is unknown: X in EDF+, beside 1 January 1985."""
    short, clock = _short_date(header.date), _clock(header.time)
    fields = header.recording.split()
    day = short
    if len(fields) > 1 and fields[0] == "Startdate":
        day = _long_date(fields[1])
        if day is not None and short is not None and day.strftime("%d%m%y") != short.strftime("%d%m%y"):
            raise FeedRefusedError(
                "its two dates contradict each other; correct one at its source and send it again",
                RefusalReason.NO_TIME,
            )
    if day is None or clock is None:
        return None
    return datetime.combine(day, clock) + timedelta(seconds=_first_onset_s(content, header))


def _first_onset_s(content: bytes, header: EdfHeader) -> float:
    """Return the fraction of a second after the header's start at which the first record began."""
    signal = next((signal for signal in header.signals if signal.label in _ANNOTATIONS), None)
    if signal is None:
        return 0.0
    begins_at = header.n_bytes + signal.place * header.sample_bytes
    match = _ONSET.match(content, begins_at, begins_at + signal.per_record * header.sample_bytes)
    return float(match[1]) if match else 0.0


def _long_date(text: str) -> date | None:
    match = _LONG_DATE.fullmatch(text)
    if match is None or match[2].upper() not in _MONTHS:
        return None
    try:
        return date(int(match[3]), _MONTHS.index(match[2].upper()) + 1, int(match[1]))
    except ValueError:
        return None


def _short_date(text: str) -> date | None:
    match = _SHORT.fullmatch(text)
    if match is None:
        return None
    day, month, year = (int(number) for number in match.groups())
    try:
        return date(year + (1900 if year >= _FIRST_YEAR else 2000), month, day)
    except ValueError:
        return None


def _clock(text: str) -> time | None:
    match = _SHORT.fullmatch(text)
    try:
        return None if match is None else time(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
