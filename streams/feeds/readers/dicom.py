"""DICOM ECG waveforms: 12-Lead and General ECG Waveform Storage (PS3.3 A.34, C.10.9)."""

import struct
import warnings
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.waveforms.numpy_handler import multiplex_array

from schemas.recorded import EcgRecorded, Sex
from streams.feeds.readers.age import age_from_birth, age_from_string
from streams.feeds.readers.assembly import Found, assemble
from streams.feeds.readers.leads import missing_leads, name_of_number, standard_name
from streams.feeds.readers.options import ReadOptions, parse_moment, utc_offset
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError

#: What pydicom raises on broken files: it parses lazily and fails where it happens to stumble.
_PYDICOM_STUMBLES: Final = (
    AttributeError,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
    OSError,
    EOFError,
    NotImplementedError,
    RecursionError,
    struct.error,
    zlib.error,
)

_SEX: Final = {"F": Sex.FEMALE, "M": Sex.MALE}


def read_dicom(path: Path, options: ReadOptions) -> EcgRecorded:
    """Read the rhythm recording of a DICOM ECG.

    Samples are taken as stored; sensitivities only set the scale. Of several multiplex groups the longest
    original one that carries the twelve leads is taken, never median beats.

    Raises
    ------
    FeedRefusedError
        When it is no DICOM file, carries no 12-lead waveform, or lacks time or patient.
    """
    try:
        # pydicom's warnings quote the values they are about, and those are a patient's.
        with warnings.catch_warnings(action="ignore"):
            return assemble(_found(pydicom.dcmread(path), options), options)
    except InvalidDicomError:
        raise FeedRefusedError("not a DICOM file: the preamble is missing; export it again") from None
    except _PYDICOM_STUMBLES as error:
        raise FeedRefusedError(
            f"damaged or incomplete DICOM ({type(error).__name__}); export it again"
        ) from None


def _found(dataset: Dataset, options: ReadOptions) -> Found:
    if "WaveformSequence" not in dataset:
        raise FeedRefusedError("a DICOM file without a waveform; send the 12-lead ECG waveform object")
    index = _choose_group(dataset.WaveformSequence)
    group = dataset.WaveformSequence[index]
    acquired_at = _acquired_at(dataset, group, options)
    return Found(
        channels=_channels(dataset, index),
        sample_rate_hz=float(group.SamplingFrequency),
        source_format="DICOM",
        acquired_at=acquired_at,
        patient_id=str(dataset.get("PatientID", "") or ""),
        source_uid=str(dataset.get("SOPInstanceUID", "") or ""),
        source_system=_text(dataset, "Manufacturer", "ManufacturerModelName"),
        site_id=_text(dataset, "InstitutionName"),
        ward_id=_text(dataset, "CurrentPatientLocation"),
        device_id=_text(dataset, "DeviceSerialNumber")
        or _text(dataset, "ManufacturerModelName", "StationName"),
        age_years=_age_years(dataset, acquired_at),
        sex=_SEX.get(_text(dataset, "PatientSex"), Sex.UNKNOWN),
        has_pacemaker=_has_pacemaker(dataset),
    )


def _text(dataset: Dataset, *keywords: str) -> str:
    parts = (str(dataset.get(keyword, "") or "").strip() for keyword in keywords)
    return " ".join(part for part in parts if part)


def _choose_group(groups: Sequence[Dataset]) -> int:
    """Return the index of the longest original group with twelve leads; of the longest one when none has."""

    def worth(index: int) -> tuple[bool, bool, int]:
        group = groups[index]
        original = str(group.get("WaveformOriginality", "ORIGINAL")) == "ORIGINAL"
        median = "MEDIAN" in str(group.get("MultiplexGroupLabel", "")).upper()
        return (
            original and not median,
            not missing_leads(_lead_names(group)),
            int(group.NumberOfWaveformSamples),
        )

    best = max(range(len(groups)), key=worth)
    if not worth(best)[0]:
        raise FeedRefusedError("only derived waveforms (median beats) in it; export the rhythm recording")
    return best


def _lead_names(group: Dataset) -> tuple[str, ...]:
    return tuple(_lead_name(channel) for channel in group.ChannelDefinitionSequence)


def _lead_name(channel: Dataset) -> str:
    source = channel.ChannelSourceSequence[0]
    # SCPECG writes 5.6.3-9-<number>, MDC writes 2:<number>; the meaning is free text, so it comes second.
    for prefix in ("5.6.3-9-", "2:"):
        number = str(source.CodeValue).removeprefix(prefix)
        if number != str(source.CodeValue) and number.isdigit() and (name := name_of_number(int(number))):
            return name
    return standard_name(str(source.get("CodeMeaning", "") or source.CodeValue))


def _channels(dataset: Dataset, index: int) -> tuple[Channel, ...]:
    group = dataset.WaveformSequence[index]
    counts = multiplex_array(dataset, index, as_raw=True)  # (n_samples, n_channels)
    definitions = group.ChannelDefinitionSequence
    if counts.shape[1] != len(definitions):
        raise FeedRefusedError("the number of channels and of their definitions differ; export it again")
    return tuple(_channel(d, counts[:, column]) for column, d in enumerate(definitions))


def _channel(definition: Dataset, counts: "np.ndarray[Any, Any]") -> Channel:
    if "ChannelSensitivity" not in definition:
        raise FeedRefusedError("its channels carry no sensitivity, so no voltage; export it with calibration")
    uv_per_sensitivity_unit = microvolts_per(str(definition.ChannelSensitivityUnitsSequence[0].CodeValue))
    correction = float(definition.get("ChannelSensitivityCorrectionFactor", 1.0) or 1.0)
    baseline = float(definition.get("ChannelBaseline", 0.0) or 0.0)
    return Channel(
        name=_lead_name(definition),
        counts=counts.astype(np.int64),
        uv_per_count=float(definition.ChannelSensitivity) * correction * uv_per_sensitivity_unit,
        offset_uv=baseline * uv_per_sensitivity_unit,
    )


def _acquired_at(dataset: Dataset, group: Dataset, options: ReadOptions) -> datetime | None:
    offset = str(dataset.get("TimezoneOffsetFromUTC", "") or "").strip()
    zone = utc_offset(offset) if offset else options.timezone
    candidates = (
        _text(dataset, "AcquisitionDateTime"),
        _text(dataset, "AcquisitionDate") + _text(dataset, "AcquisitionTime"),
        _text(dataset, "ContentDate") + _text(dataset, "ContentTime"),
    )
    moments = (parse_moment(text, zone) for text in candidates)
    started_at = next((moment for moment in moments if moment is not None), None)
    offset_ms = float(group.get("MultiplexGroupTimeOffset", 0.0) or 0.0)
    return None if started_at is None else started_at + timedelta(milliseconds=offset_ms)


def _age_years(dataset: Dataset, acquired_at: datetime | None) -> float | None:
    age = age_from_string(_text(dataset, "PatientAge"))
    return age if age is not None else age_from_birth(_text(dataset, "PatientBirthDate"), acquired_at)


def _has_pacemaker(dataset: Dataset) -> bool | None:
    """Return what the acquisition context (PS3.3 C.7.6.14) says of a pacemaker; None when silent."""
    for item in dataset.get("AcquisitionContextSequence", ()):
        concept, answer = _meaning(item, "ConceptNameCodeSequence"), _meaning(item, "ConceptCodeSequence")
        if "pacemaker" in concept and answer in ("yes", "no"):
            return answer == "yes"
    return None


def _meaning(item: Dataset, sequence: str) -> str:
    codes = item.get(sequence) or ()
    return str(codes[0].get("CodeMeaning", "")).strip().lower() if codes else ""
