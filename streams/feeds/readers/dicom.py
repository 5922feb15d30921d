"""DICOM ECG waveforms: 12-Lead, General and Ambulatory ECG Waveform Storage (PS3.3 A.34, C.10.9)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue

from schemas.recorded import CartStatement, Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.age import age_from_birth, age_from_string
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.dicom_opening import open_dicom, wrong_lengths
from streams.feeds.readers.dicom_waveform import Recording, channels_of, choose_recording, skew_note
from streams.feeds.readers.leads import pick_leads
from streams.feeds.readers.measured import Measured, statement_of
from streams.feeds.readers.moments import parse_moment, utc_offset
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_SEX: Final = {"F": Sex.FEMALE, "M": Sex.MALE}

#: Onset and offset of the P wave as annotated points: SCPECG's section 5.10.3, and in words.
_P_EDGES: Final = {"5.10.3-1": 0, "5.10.3-2": 1}


def read_dicom(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read the rhythm recording of a DICOM ECG.

    Samples are taken as stored; sensitivities only set the scale. Of several multiplex groups the longest
    original one that carries the twelve leads is taken, or several that were recorded at once and carry them
    together; never median beats. The cart's measurements come from the waveform annotations.

    Raises
    ------
    FeedRefusedError
        When it is no DICOM file, carries no 12-lead waveform, has padded samples, or lacks time or patient.
    """
    try:
        return assemble(_found(open_dicom(document.content, limits), options, limits), options)
    except (
        BytesLengthException
    ):  # of a value looked at late; the one error of pydicom's that is no ValueError
        raise wrong_lengths() from None


def _found(dataset: Dataset, options: ReadOptions, limits: ReadLimits) -> Found:
    groups = dataset.get("WaveformSequence") or ()
    if not groups:
        raise FeedRefusedError(
            "a DICOM file without a waveform; send the 12-lead ECG waveform object", RefusalReason.NO_WAVEFORM
        )
    recording = choose_recording(groups)
    acquired_at = _acquired_at(dataset, recording)
    columns = {pick.column for pick in pick_leads(recording.names)}
    note = skew_note(recording)
    return Found(
        channels=channels_of(recording, limits, is_little_endian=dataset.original_encoding[1] is not False),
        left_out=tuple(name for column, name in enumerate(recording.names) if column not in columns),
        sample_rate_hz=recording.sample_rate_hz,
        source_format="DICOM",
        acquired_at=acquired_at,
        patient_id=_text(dataset, "PatientID"),
        source_uid=_text(dataset, "SOPInstanceUID"),
        source_system=_text(dataset, "Manufacturer", "ManufacturerModelName"),
        site_id=_text(dataset, "InstitutionName"),
        ward_id=_text(dataset, "CurrentPatientLocation"),
        device_id=_text(dataset, "DeviceSerialNumber")
        or _text(dataset, "ManufacturerModelName", "StationName"),
        age_years=_age_years(dataset, acquired_at or options.acquired_at),
        sex=_SEX.get(_text(dataset, "PatientSex"), Sex.UNKNOWN),
        has_pacemaker=_has_pacemaker(dataset),
        cart=_cart(dataset, recording),
        notes=(note,) if note else (),
    )


def _text(dataset: Dataset, *keywords: str) -> str:
    """Join the texts of single values; several where one belongs name nothing."""
    found = (dataset.get(keyword) or "" for keyword in keywords)
    parts = (str(text).strip() for text in found if not isinstance(text, MultiValue))
    return " ".join(part for part in parts if part)


def _acquired_at(dataset: Dataset, recording: Recording) -> datetime | None:
    candidates = (
        _text(dataset, "AcquisitionDateTime"),
        _text(dataset, "AcquisitionDate") + _text(dataset, "AcquisitionTime"),
        _text(dataset, "ContentDate") + _text(dataset, "ContentTime"),
    )
    moments = (parse_moment(text) for text in candidates)
    started_at = next((moment for moment in moments if moment is not None), None)
    if started_at is None:
        return None
    started_at = started_at if started_at.tzinfo else started_at.replace(tzinfo=_zone(dataset))
    return started_at + timedelta(milliseconds=recording.starts_ms)


def _zone(dataset: Dataset) -> tzinfo | None:
    """Return the zone of all the file's times that carry none themselves (PS3.3 C.12.1.1.8)."""
    offset = _text(dataset, "TimezoneOffsetFromUTC")
    zone = utc_offset(offset) if offset else None
    if offset and zone is None:
        raise FeedRefusedError(
            "its Timezone Offset From UTC is none that exists; correct it, or export it without one",
            RefusalReason.NO_TIME,
        )
    return zone


def _age_years(dataset: Dataset, acquired_at: datetime | None) -> float | None:
    age = age_from_string(_text(dataset, "PatientAge"))
    return age if age is not None else age_from_birth(_text(dataset, "PatientBirthDate"), acquired_at)


def _has_pacemaker(dataset: Dataset) -> bool | None:
    """Return what the acquisition context (PS3.3 C.7.6.14) says of a pacemaker; None when silent."""
    for item in dataset.get("AcquisitionContextSequence") or ():
        concept = _code(item, "ConceptNameCodeSequence").words.lower()
        answer = _code(item, "ConceptCodeSequence").words.lower()
        if "pacemaker" in concept and answer in ("yes", "no"):
            return answer == "yes"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    code: str = ""
    words: str = ""


def _code(item: Dataset, sequence: str) -> _Code:
    code = (item.get(sequence) or (Dataset(),))[0]
    return _Code(code=_text(code, "CodeValue"), words=_text(code, "CodeMeaning"))


def _cart(dataset: Dataset, recording: Recording) -> CartStatement | None:
    """Return the measurements among the waveform annotations (PS3.3 C.10.10) that are of all channels."""
    annotations = [item for item in dataset.get("WaveformAnnotationSequence") or () if _is_global(item)]
    measured = [*_numbers(annotations), *_p_duration(annotations, recording)]
    return statement_of(measured)


def _is_global(annotation: Dataset) -> bool:
    """Tell whether it refers to all channels of a group (pairs of group and channel, 0: all) or none."""
    channels = annotation.get("ReferencedWaveformChannels")
    return not channels or (isinstance(channels, MultiValue | list) and not any(channels[1::2]))


def _numbers(annotations: list[Dataset]) -> Iterator[Measured]:
    for item in annotations:
        numbers = item.get("NumericValue")
        if numbers is None or numbers == "" or isinstance(numbers, MultiValue | list):
            continue
        name, unit = _code(item, "ConceptNameCodeSequence"), _code(item, "MeasurementUnitsCodeSequence")
        yield Measured(code=name.code, words=name.words, amount=float(numbers), unit=unit.code)


def _p_duration(annotations: list[Dataset], recording: Recording) -> Iterator[Measured]:
    """Take the P wave from onset to offset where the first group of points marks both, in samples."""
    edges: dict[int, dict[int, int]] = {}
    for item in annotations:
        edge = _P_EDGES.get(_code(item, "ConceptNameCodeSequence").code)
        position = item.get("ReferencedSamplePositions")
        if edge is not None and isinstance(position, int):
            edges.setdefault(int(item.get("AnnotationGroupNumber") or 0), {})[edge] = position
    first = next((points for _, points in sorted(edges.items()) if len(points) == len(_P_EDGES)), None)
    if first is not None and recording.sample_rate_hz > 0.0:
        milliseconds = (first[1] - first[0]) / recording.sample_rate_hz * 1000.0
        yield Measured(code="", words="P duration", amount=milliseconds, unit="ms")
