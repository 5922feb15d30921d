"""One ECG as each format's exporter would write it: what the readers' bench reads.

Small encoders, each for the plainest variant of its format; what a format may hold beyond that is its
reader's business and its tests'.
"""

import binascii
import json
import struct
import zlib
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import numpy.typing as npt
from pydicom.data import get_testdata_file
from pydicom.filereader import dcmread

from schemas.leads import LEADS_8, LEADS_12
from schemas.recorded import EcgRecorded
from streams.feeds.document import Document

#: All exports are of this scale, µV a count: GE's is 4.88, Philips' 5.
_UV: Final = 5.0
_SCP_LEADS: Final = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)  # EN 1064 table 5
_MDC_LEADS: Final = (131329, 131330, 131389, 131390, 131391, 131392, *range(131331, 131337))

Counts = npt.NDArray[np.int64]


def exports(ecg: EcgRecorded) -> dict[str, Document]:
    """Write an ECG of the twelve leads in every format, by the format's name.

    Its patient, time and device are not written; they are the same in all.
    """
    counts = np.rint(ecg.samples * (ecg.uv_per_unit / _UV)).astype(np.int64)  # (12, n_samples)
    rate_hz = round(ecg.sample_rate_hz)
    encoders: dict[str, Callable[[Counts, int], Document]] = {
        "DICOM": _dicom,
        "aECG": _aecg,
        "MUSE XML": _muse,
        "Sierra XML": _sierra,
        "SCP-ECG": _scp,
        "EDF": _edf,
        "FHIR JSON": _fhir,
        "JSON": _json,
        "WFDB": partial(_wfdb, is_zipped=False),
        "WFDB zip": partial(_wfdb, is_zipped=True),
    }
    return {name: encode(counts, rate_hz) for name, encode in encoders.items()}


def _dicom(counts: Counts, rate_hz: int) -> Document:
    dataset = dcmread(str(get_testdata_file("waveform_ecg.dcm", download=False)))
    group = dataset.WaveformSequence[0]
    group.NumberOfWaveformSamples, group.SamplingFrequency = counts.shape[1], rate_hz
    group.WaveformData = counts.T.astype("<i2").tobytes()
    for channel in group.ChannelDefinitionSequence:
        channel.ChannelSensitivity = _UV
    del dataset.WaveformSequence[1:]
    dataset.save_as(stream := BytesIO())
    return Document(content=stream.getvalue())


def _aecg(counts: Counts, rate_hz: int) -> Document:
    leads = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}"/><value><origin value="0" unit="uV"/>'
        f'<scale value="{_UV}" unit="uV"/><digits>{_spaced(row)}</digits></value></sequence></component>'
        for lead, row in zip(LEADS_12, counts, strict=True)
    )
    return _text(
        f"""<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3"><id root="1.2" extension="3"/>
        <component><series><code code="RHYTHM"/><component><sequenceSet><component><sequence>
        <code code="TIME_ABSOLUTE"/><value><head value="20240229083000"/>
        <increment value="{1000 / rate_hz}" unit="ms"/></value></sequence></component>{leads}
        </sequenceSet></component></series></component></AnnotatedECG>"""
    )


def _muse(counts: Counts, rate_hz: int) -> Document:
    stored = {lead: counts[LEADS_12.index(lead)].astype("<i2").tobytes() for lead in LEADS_8}
    leads = "".join(
        f"<LeadData><LeadByteCountTotal>{len(samples)}</LeadByteCountTotal><LeadID>{lead}</LeadID>"
        f"<LeadSampleCountTotal>{len(samples) // 2}</LeadSampleCountTotal><LeadSampleSize>2</LeadSampleSize>"
        f"<LeadAmplitudeUnitsPerBit>{_UV}</LeadAmplitudeUnitsPerBit>"
        f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadDataCRC32>{zlib.crc32(samples)}</LeadDataCRC32>"
        f"<WaveFormData>{b64encode(samples).decode()}</WaveFormData></LeadData>"
        for lead, samples in stored.items()
    )
    return _text(
        f"""<?xml version="1.0"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG><MuseInfo/><Waveform>
        <WaveformType>Rhythm</WaveformType><SampleBase>{rate_hz}</SampleBase>
        <SampleExponent>0</SampleExponent>{leads}</Waveform></RestingECG>"""
    )


def _sierra(counts: Counts, rate_hz: int) -> Document:
    return _text(
        f"""<?xml version="1.0"?><restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo>
        <documenttype>PhilipsECG</documenttype><documentversion>1.04</documentversion></documentinfo><waveforms>
        <parsedwaveforms dataencoding="Base64" numberofleads="12" leadlabels="{" ".join(LEADS_12)}"
        samplespersecond="{rate_hz}" resolution="{_UV}"
        durationperchannel="{counts.shape[1] * 1000 // rate_hz}" bitspersample="16" signaloffset="0"
        signalsigned="True">{b64encode(counts.astype("<i2").tobytes()).decode()}</parsedwaveforms></waveforms>
        </restingecgdata>"""
    )


def _scp(counts: Counts, rate_hz: int) -> Document:
    n_samples = counts.shape[1]
    definitions = b"".join(struct.pack("<IIB", 1, n_samples, lead) for lead in _SCP_LEADS)
    scale = struct.pack("<HHBB", round(_UV * 1000), 1_000_000 // rate_hz, 0, 0)
    stored = counts.astype("<i2").tobytes()
    bodies = {
        1: struct.pack("<BH", 255, 0),
        3: struct.pack("<BB", 12, 0b100 | 12 << 3) + definitions,
        6: scale + struct.pack("<12H", *[2 * n_samples] * 12) + stored,
    }
    sections = {number: _scp_section(number, body) for number, body in bodies.items()}
    place, pointers = 7 + 16 + 10 * 12, b""
    for number in range(1, 12):
        size = len(sections.get(number, b""))
        pointers += struct.pack("<HII", number, size, place if size else 0)
        place += size
    first = struct.pack("<HII", 0, 16 + 10 * 12, 7) + pointers
    rest = _scp_section(0, first) + b"".join(sections.values())
    record = struct.pack("<I", 6 + len(rest)) + rest
    return Document(content=_crc(record) + record)


def _scp_section(number: int, body: bytes) -> bytes:
    body += bytes(len(body) % 2)
    named = b"SCPECG" if number == 0 else bytes(6)
    rest = struct.pack("<HIBB", number, 16 + len(body), 13, 13) + named + body
    return _crc(rest) + rest


def _crc(content: bytes) -> bytes:
    return struct.pack("<H", binascii.crc_hqx(content, 0xFFFF))


def _edf(counts: Counts, rate_hz: int) -> Document:
    n_records = counts.shape[1] // rate_hz
    fields: list[tuple[int, list[str]]] = [
        (8, ["0"]), (80, ["X X X X"]), (80, ["Startdate 29-FEB-2024 X X X"]), (8, ["29.02.24"]),
        (8, ["08.30.00"]), (8, [str(256 * 13)]), (44, [""]), (8, [str(n_records)]), (8, ["1"]), (4, ["12"]),
        (16, [f"ECG {lead}" for lead in LEADS_12]), (80, [""] * 12), (8, ["uV"] * 12),
        *((8, [limit] * 12) for limit in ("-163840", "163835", "-32768", "32767")),
        (80, [""] * 12), (8, [str(rate_hz)] * 12), (32, [""] * 12),
    ]  # fmt: skip
    header = "".join(text.ljust(width) for width, texts in fields for text in texts)
    records = counts[:, : n_records * rate_hz].reshape(12, n_records, rate_hz).swapaxes(0, 1)
    return Document(content=header.encode("ascii") + records.astype("<i2").tobytes())


def _fhir(counts: Counts, rate_hz: int) -> Document:
    components = [
        {
            "code": {"coding": [{"system": "urn:iso:std:iso:11073:10101", "code": str(code)}]},
            "valueSampledData": {
                "origin": {"value": 0, "system": "http://unitsofmeasure.org", "code": "uV"},
                "period": 1000 / rate_hz,
                "factor": _UV,
                "dimensions": 1,
                "data": _spaced(row),
            },
        }
        for code, row in zip(_MDC_LEADS, counts, strict=True)
    ]
    about = {"coding": [{"system": "urn:iso:std:iso:11073:10101", "code": "131328"}]}
    observation = {"resourceType": "Observation", "status": "final", "code": about, "component": components}
    return _text(json.dumps(observation))


def _json(counts: Counts, rate_hz: int) -> Document:
    leads = {lead: (row * _UV).tolist() for lead, row in zip(LEADS_12, counts, strict=True)}
    return _text(json.dumps({"sample_rate_hz": rate_hz, "unit": "uV", "leads": leads}))


def _wfdb(counts: Counts, rate_hz: int, *, is_zipped: bool) -> Document:
    sums = [(int(row.sum()) + 2**15) % 2**16 - 2**15 for row in counts]
    lines = [f"r 12 {rate_hz} {counts.shape[1]}"] + [
        f"r.dat 16 {1000 / _UV:g}(0)/mV 16 0 {row[0]} {total} 0 {lead}"
        for lead, row, total in zip(LEADS_12, counts, sums, strict=True)
    ]
    header, samples = "\n".join([*lines, ""]).encode(), counts.T.astype("<i2").tobytes()
    if not is_zipped:
        return Document(content=header, name="r.hea", companions={"r.dat": samples})
    with ZipFile(stream := BytesIO(), "w", ZIP_DEFLATED) as archive:
        archive.writestr("r.hea", header)
        archive.writestr("r.dat", samples)
    return Document(content=stream.getvalue())


def _spaced(row: Counts) -> str:
    return " ".join(map(str, row.tolist()))


def _text(words: str) -> Document:
    return Document(content=words.encode())
