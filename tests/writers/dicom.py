"""DICOM ECG waveforms as tests need them, written by pydicom."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GeneralECGWaveformStorage,
    generate_uid,
)

from schemas.leads import LEADS_12

NUMBER = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64} | {f"V{i}": i + 2 for i in range(1, 7)}
INTERPRETATION = {"i1": "SB", "u1": "UB", "i2": "SS", "u2": "US", "i4": "SL", "u4": "UL"}


def code(scheme: str, value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def lead_code(lead: str, scheme: str) -> Dataset:
    values = {"MDC": f"2:{NUMBER[lead]}", "SCPECG": f"5.6.3-9-{NUMBER[lead]}", "CPT": "93000"}
    return code(scheme, values[scheme], f"Lead {lead}")


@dataclass(frozen=True, kw_only=True)
class Group:
    """One multiplex group; counts are (n_leads, n_samples)."""

    counts: npt.NDArray[np.integer]
    leads: Sequence[str] = LEADS_12
    rate_hz: float = 500.0
    dtype: str = "i2"
    scheme: str = "MDC"
    sensitivities: Sequence[float] | None = None
    unit: str = "uV"
    baselines: Sequence[float] | None = None
    correction: float = 1.0
    offset_ms: float = 0.0
    originality: str = "ORIGINAL"
    label: str = "RHYTHM"

    def item(self, order: str) -> Dataset:
        group = Dataset()
        group.MultiplexGroupTimeOffset = self.offset_ms
        group.WaveformOriginality = self.originality
        group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = self.counts.shape
        group.SamplingFrequency = self.rate_hz
        group.MultiplexGroupLabel = self.label
        group.ChannelDefinitionSequence = [self.channel(row) for row in range(len(self.leads))]
        group.WaveformBitsAllocated = 8 * np.dtype(self.dtype).itemsize
        group.WaveformSampleInterpretation = INTERPRETATION[self.dtype]
        stored = self.counts.T.astype(f"{order}{self.dtype}").tobytes()
        group.add_new(
            "WaveformData", "OB" if self.dtype[1] == "1" else "OW", stored + b"\0" * (len(stored) % 2)
        )
        return group

    def channel(self, row: int) -> Dataset:
        channel = Dataset()
        channel.ChannelSourceSequence = [lead_code(self.leads[row], self.scheme)]
        channel.ChannelSensitivity = 1.25 if self.sensitivities is None else self.sensitivities[row]
        channel.ChannelSensitivityUnitsSequence = [code("UCUM", self.unit, "voltage")]
        channel.ChannelSensitivityCorrectionFactor = self.correction
        channel.ChannelBaseline = 0.0 if self.baselines is None else self.baselines[row]
        channel.ChannelSampleSkew = 0
        channel.WaveformBitsStored = 8 * np.dtype(self.dtype).itemsize
        return channel


def measurement(
    meaning: str, amount: float, unit: str, *, code_value: str = "X-1", channel: int = 0
) -> Dataset:
    annotation = Dataset()
    annotation.MeasurementUnitsCodeSequence = [code("UCUM", unit, unit)]
    annotation.ConceptNameCodeSequence = [code("MDC", code_value, meaning)]
    annotation.ReferencedWaveformChannels = [1, channel]
    annotation.AnnotationGroupNumber = 1
    annotation.NumericValue = amount
    return annotation


def dataset(
    groups: Sequence[Group],
    *,
    transfer_syntax: str = ExplicitVRLittleEndian,
    changes: Mapping[str, object] | None = None,
) -> Dataset:
    whole = Dataset()
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = transfer_syntax
    whole.file_meta.MediaStorageSOPClassUID = GeneralECGWaveformStorage
    whole.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["a test's ECG"])
    whole.SOPClassUID = GeneralECGWaveformStorage
    whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID
    whole.Modality = "ECG"
    whole.AcquisitionDateTime = "20240229083000.250000+0100"
    whole.Manufacturer, whole.ManufacturerModelName = "Maker", "Model 7"
    whole.DeviceSerialNumber = "SN-1"
    whole.PatientID, whole.PatientName = "P-77", "Doe^Jane"
    whole.PatientBirthDate, whole.PatientSex = "19600301", "F"
    order = ">" if transfer_syntax == ExplicitVRBigEndian else "<"
    whole.WaveformSequence = [group.item(order) for group in groups]
    for keyword, content in (changes or {}).items():
        setattr(whole, keyword, content)
    return whole


def dicom_bytes(whole: Dataset) -> bytes:
    """A file with preamble, in the transfer syntax its meta information names."""
    stream = BytesIO()
    dcmwrite(stream, whole, enforce_file_format=True)
    return stream.getvalue()


def bare_bytes(whole: Dataset, *, implicit: bool) -> bytes:
    """The data set alone, without preamble and meta information."""
    stream = BytesIO()
    del whole.file_meta
    dcmwrite(stream, whole, implicit_vr=implicit, little_endian=True)
    return stream.getvalue()


def deflate_bomb(n_bytes: int) -> bytes:
    """A deflated file that swells to ``n_bytes`` zeros."""
    head = dicom_bytes(dataset([], transfer_syntax=DeflatedExplicitVRLittleEndian))
    length = int.from_bytes(head[140:144], "little")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    chunk = b"\0" * 2**20
    body = b"".join(squeeze.compress(chunk) for _ in range(n_bytes // len(chunk))) + squeeze.flush()
    return head[: 144 + length] + body
