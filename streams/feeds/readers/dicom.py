"""DICOM ECG waveforms: 12-Lead and General ECG Waveform Storage (PS3.3 A.34, C.10.9)."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from io import BytesIO
from typing import Any, Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.waveforms.numpy_handler import multiplex_array

from schemas.recorded import Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.age import age_from_birth, age_from_string
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.leads import Picked, missing_leads, pick_leads
from streams.feeds.readers.moments import parse_moment, utc_offset
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError

_SEX: Final = {"F": Sex.FEMALE, "M": Sex.MALE}

#: Lead numbers of SCP-ECG (EN 1064 table 5) and, the same, of ISO/IEEE 11073-10101 (MDC 2:n).
_BY_NUMBER: Final = {
    1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
    3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6",
}  # fmt: skip

#: Sample interpretations (PS3.3 C.10.9.1.5) that are counts. MB and AB are companded: not linear in voltage.
_LINEAR: Final = frozenset({"SB", "UB", "SS", "US", "SL", "UL", "SV", "UV"})


def read_dicom(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read the rhythm recording of a DICOM ECG.

    Samples are taken as stored; sensitivities only set the scale. Of several multiplex groups the longest
    original one that carries the twelve leads is taken, never median beats.

    Raises
    ------
    FeedRefusedError
        When it is no DICOM file, carries no 12-lead waveform, has padded samples, or lacks time or patient.
    """
    try:
        return assemble(_found(pydicom.dcmread(BytesIO(document.content)), options), options)
    except InvalidDicomError:
        raise FeedRefusedError("not a DICOM file: the preamble is missing; export it again") from None
    except BytesLengthException:  # the one error of pydicom that derives from Exception itself
        raise FeedRefusedError("damaged or incomplete DICOM (wrong lengths); export it again") from None


def _found(dataset: Dataset, options: ReadOptions) -> Found:
    if "WaveformSequence" not in dataset:
        raise FeedRefusedError("a DICOM file without a waveform; send the 12-lead ECG waveform object")
    index = _choose_group(dataset.WaveformSequence)
    group = dataset.WaveformSequence[index]
    acquired_at = _acquired_at(dataset, group)
    names = _lead_names(group)
    picked = pick_leads(names)
    columns = {pick.column for pick in picked}
    return Found(
        channels=_channels(dataset, index, picked),
        left_out=tuple(name for column, name in enumerate(names) if column not in columns),
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
        age_years=_age_years(dataset, acquired_at or options.acquired_at),
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
        if number != str(source.CodeValue) and number.isdecimal() and int(number) in _BY_NUMBER:
            return _BY_NUMBER[int(number)]
    return str(source.get("CodeMeaning", "") or source.CodeValue)


def _channels(dataset: Dataset, index: int, picked: Sequence[Picked]) -> tuple[Channel, ...]:
    group = dataset.WaveformSequence[index]
    if str(group.WaveformSampleInterpretation) not in _LINEAR:
        raise FeedRefusedError("its samples are companded (MB or AB); export it with linear samples")
    counts = multiplex_array(dataset, index, as_raw=True)  # (n_samples, n_channels)
    definitions = group.ChannelDefinitionSequence
    if counts.shape[1] != len(definitions):
        raise FeedRefusedError("the number of channels and of their definitions differ; export it again")
    _require_no_padding(counts[:, [pick.column for pick in picked]], group)
    return tuple(_channel(definitions[pick.column], counts[:, pick.column], pick) for pick in picked)


def _require_no_padding(counts: "np.ndarray[Any, Any]", group: Dataset) -> None:
    """Refuse samples that bear the group's Waveform Padding Value: nothing was recorded there."""
    padding = group.get("WaveformPaddingValue")
    if padding is None or padding == b"":
        return
    # OB or OW: the bytes of one sample, and one more where that makes their number even
    if isinstance(padding, bytes):
        padding = int(np.frombuffer(padding, counts.dtype, count=1)[0])
    n_padded = int(np.count_nonzero(counts == padding))
    if n_padded:
        raise FeedRefusedError(
            f"{n_padded} of its samples are padding, not recorded; export a recording without gaps"
        )


def _channel(definition: Dataset, counts: "np.ndarray[Any, Any]", pick: Picked) -> Channel:
    if "ChannelSensitivity" not in definition:
        raise FeedRefusedError("its channels carry no sensitivity, so no voltage; export it with calibration")
    uv_per_sensitivity_unit = microvolts_per(str(definition.ChannelSensitivityUnitsSequence[0].CodeValue))
    correction = float(definition.get("ChannelSensitivityCorrectionFactor", 1.0) or 1.0)
    baseline = float(definition.get("ChannelBaseline", 0.0) or 0.0)
    return Channel(
        name=pick.lead,
        counts=counts.astype(np.int64),
        uv_per_count=float(definition.ChannelSensitivity) * correction * uv_per_sensitivity_unit,
        offset_uv=baseline * uv_per_sensitivity_unit,
        sign=pick.sign,
    )


def _acquired_at(dataset: Dataset, group: Dataset) -> datetime | None:
    candidates = (
        _text(dataset, "AcquisitionDateTime"),
        _text(dataset, "AcquisitionDate") + _text(dataset, "AcquisitionTime"),
        _text(dataset, "ContentDate") + _text(dataset, "ContentTime"),
    )
    moments = (parse_moment(text) for text in candidates)
    started_at = next((moment for moment in moments if moment is not None), None)
    if started_at is None:
        return None
    offset_ms = float(group.get("MultiplexGroupTimeOffset", 0.0) or 0.0)
    started_at = started_at if started_at.tzinfo else started_at.replace(tzinfo=_zone(dataset))
    return started_at + timedelta(milliseconds=offset_ms)


def _zone(dataset: Dataset) -> tzinfo | None:
    """Return the zone of all the file's times that carry none themselves (PS3.3 C.12.1.1.8)."""
    offset = _text(dataset, "TimezoneOffsetFromUTC")
    zone = utc_offset(offset) if offset else None
    if offset and zone is None:
        raise FeedRefusedError(
            "its Timezone Offset From UTC is none that exists; correct it, or export it without one"
        )
    return zone


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
