"""ecgdatakit behind one door: bytes in, one of its parsers run and judged, its record as what we assemble."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Final

import numpy as np
import numpy.typing as npt
from ecgdatakit.exceptions import (
    ChecksumWarning,
    CorruptedFileError,
    MissingElementError,
    UnsupportedFormatError,
)
from ecgdatakit.models import ECGRecord, GlobalMeasurements, Lead
from ecgdatakit.parsing.parser import Parser

from schemas.recorded import CartStatement, Sex
from streams.feeds.limits import DEFAULT_LIMITS, ReadLimits
from streams.feeds.readers.age import age_from_birth
from streams.feeds.readers.assembly import Found
from streams.feeds.readers.cart import cart_statement
from streams.feeds.readers.leads import Picked, pick_leads
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_SEX: Final = {"F": Sex.FEMALE, "M": Sex.MALE}

#: What the library only warns of, and what makes a wrong waveform: samples that are not those recorded.
_DAMAGE: Final = re.compile(r"truncated|gaps between", re.IGNORECASE)

#: Warnings that quote nothing but numbers of their format's parts, so that they can be shown.
_QUOTES_NOTHING: Final = re.compile(r"SCP-ECG: (Section|reference beat)")

#: A note longer than this is cut.
_NOTE_CHARS: Final = 120

#: A stated duration may differ from the samples by this much: sources round it to a tenth of a second.
_DURATION_SLACK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parsed:
    """A record as ecgdatakit read it, leads in raw counts.

    Attributes
    ----------
    notes : tuple of str
        What the library warned of and an operator may want to know; nothing of a patient.
    """

    record: ECGRecord
    notes: tuple[str, ...] = ()


def parse_with(parser: str | type[Parser], content: bytes, limits: ReadLimits = DEFAULT_LIMITS) -> Parsed:
    """Run one parser of ecgdatakit over bytes, without the library's own scaling.

    The library is asked for this parser alone, never to guess; it reads paths only, so it is given one of a
    file in memory, and no patient's ECG touches a disk. What a decoder can make of few bytes has to be
    bounded by the caller before; how many samples came out is checked here.

    Parameters
    ----------
    parser : str or type
        Module and class below ``ecgdatakit.parsing.parsers``, as ``scp_ecg.SCPECGParser``; or the class.

    Raises
    ------
    FeedRefusedError
        When the library cannot read it, or read it in spite of a wrong checksum, of missing parts, of gaps.
    """
    parser_class = _named(parser) if isinstance(parser, str) else parser
    with _path_of(content) as path, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record = _run(parser_class, path)
    _require_sound(caught)
    _require_few_samples(record, limits)
    return Parsed(record=record, notes=tuple(_notes(caught)))


def found_from(parsed: Parsed, source_format: str, *, source_uid: str = "") -> Found:
    """Turn the library's record into what :func:`~streams.feeds.readers.assembly.assemble` takes.

    Counts come through exactly; each lead's scale must be stated in a unit of voltage.

    Raises
    ------
    FeedRefusedError
        When it has no waveform, a lead has no unit, rates differ, or samples are not whole counts.
    """
    record = parsed.record
    names = [lead.label for lead in record.leads]
    picked = pick_leads(names)
    leads = [record.leads[pick.column] for pick in picked]
    device, recording, patient = record.recording.device, record.recording, record.patient
    columns = {pick.column for pick in picked}
    found = Found(
        channels=tuple(_channel(lead, pick) for lead, pick in zip(leads, picked, strict=True)),
        left_out=tuple(name for column, name in enumerate(names) if column not in columns),
        sample_rate_hz=_sample_rate_hz(leads or record.leads),
        source_format=source_format,
        acquired_at=recording.date,
        patient_id=patient.patient_id,
        source_uid=source_uid,
        source_system=f"{device.manufacturer} {device.model}".strip(),
        site_id=device.institution,
        ward_id=recording.location or device.department,
        device_id=device.serial_number or device.name or device.model,
        age_years=_age_years(patient.age, patient.birth_date, recording.date),
        sex=_SEX.get(patient.sex, Sex.UNKNOWN),
        has_pacemaker=patient.has_pacemaker,
        cart=cart_from(record.measurements),
        notes=parsed.notes,
    )
    _require_duration(record, found)
    return found


def cart_from(measured: GlobalMeasurements) -> CartStatement | None:
    """Take the library's measurements; a QTc of no stated formula is not among them."""
    qtc_ms = measured.qtc_bazett if measured.qtc_bazett is not None else measured.qtc_fridericia
    return cart_statement(
        heart_rate_bpm=measured.heart_rate,
        pr_ms=measured.pr_interval,
        qrs_ms=measured.qrs_duration,
        qt_ms=measured.qt_interval,
        qtc_ms=qtc_ms,
        p_axis_deg=measured.p_axis,
        qrs_axis_deg=measured.qrs_axis,
        t_axis_deg=measured.t_axis,
    )


def _named(parser: str) -> type[Parser]:
    module, _, name = parser.partition(".")
    parser_class: type[Parser] = getattr(import_module(f"ecgdatakit.parsing.parsers.{module}"), name)
    return parser_class


@contextmanager
def _path_of(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("ecg", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


def _run(parser_class: type[Parser], path: str) -> ECGRecord:
    name = parser_class.FORMAT_NAME
    try:
        return parser_class().parse(path)  # type: ignore[arg-type]
    # The library's messages quote labels, values and paths of the file, which may be a patient's.
    except UnsupportedFormatError:
        raise FeedRefusedError(
            f"a variant of {name} that is not read; export it in another version or format",
            RefusalReason.UNSUPPORTED,
        ) from None
    except MissingElementError:
        raise FeedRefusedError(f"{name} without a part it must have; export it again") from None
    except CorruptedFileError:
        raise FeedRefusedError(f"damaged or incomplete {name}; export it again") from None


def _require_sound(caught: list[warnings.WarningMessage]) -> None:
    for warning in caught:
        if issubclass(warning.category, ChecksumWarning):
            raise FeedRefusedError("its checksum does not match its content; send it again")
        if _DAMAGE.search(str(warning.message)):
            raise FeedRefusedError("parts of its recording are missing; export it again")


def _notes(caught: list[warnings.WarningMessage]) -> Iterator[str]:
    texts = dict.fromkeys(str(warning.message) for warning in caught)
    for text in texts:
        if _QUOTES_NOTHING.match(text):
            yield text[:_NOTE_CHARS]
    n_unsaid = sum(not _QUOTES_NOTHING.match(text) for text in texts)
    if n_unsaid:
        yield f"{n_unsaid} oddities of its header were passed over"


def _require_few_samples(record: ECGRecord, limits: ReadLimits) -> None:
    n_samples = sum(len(lead.samples) for lead in record.leads)
    if n_samples > limits.max_samples:
        raise FeedRefusedError(
            f"{n_samples} samples are more than the {limits.max_samples} of one delivery; "
            "export the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )


def _channel(lead: Lead, pick: Picked) -> Channel:
    # Samples that already are physical have resolution 1 and offset 0, so one formula serves both.
    unit_uv = microvolts_per(lead.resolution_unit)
    return Channel(
        name=pick.lead,
        counts=_whole(lead.samples, pick.lead),
        uv_per_count=float(lead.resolution) * unit_uv,
        offset_uv=float(lead.offset) * unit_uv,
        sign=pick.sign,
    )


def _whole(samples: npt.NDArray[np.float64], lead: str) -> npt.NDArray[np.int64]:
    if not np.isfinite(samples).all():
        raise FeedRefusedError(f"samples of lead {lead} are missing; give a recording without gaps")
    counts = np.rint(samples).astype(np.int64)
    if not np.array_equal(counts, samples):
        raise FeedRefusedError(f"samples of lead {lead} are no whole counts; export it again")
    return counts


def _sample_rate_hz(leads: list[Lead]) -> float:
    rates_hz = {float(lead.sampling_rate) for lead in leads}
    if len(rates_hz) > 1:
        raise FeedRefusedError(
            "its leads have different rates; convert them to one rate first", RefusalReason.UNSUPPORTED
        )
    if not rates_hz:
        raise FeedRefusedError(
            "no waveform in it; export the 10 s rhythm recording of all leads",
            RefusalReason.NO_WAVEFORM,
        )
    return rates_hz.pop()


def _age_years(age: int | None, birth: datetime | None, acquired_at: datetime | None) -> float | None:
    if age is not None:
        return float(age)
    return None if birth is None else age_from_birth(birth.strftime("%Y%m%d"), acquired_at)


def _require_duration(record: ECGRecord, found: Found) -> None:
    stated = record.recording.duration
    if stated is None or not found.channels or not found.sample_rate_hz > 0.0:
        return
    read_s = found.channels[0].counts.size / found.sample_rate_hz
    if abs(read_s - stated.total_seconds()) > _DURATION_SLACK_S:
        raise FeedRefusedError(
            f"it states {stated.total_seconds():.1f} s and holds {read_s:.1f} s of samples; export it again"
        )
