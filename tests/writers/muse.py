"""GE MUSE XML as the system exports it: rhythm and median waveforms of RestingECG, Base64 of int16."""

import zlib
from base64 import encodebytes
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

_MEASUREMENTS = """<VentricularRate>{rate}</VentricularRate><AtrialRate>71</AtrialRate>
<PRInterval>160</PRInterval><QRSDuration>88</QRSDuration><QTInterval>390</QTInterval>
<QTCorrected>424</QTCorrected><PAxis>45</PAxis><RAxis>-12</RAxis><TAxis>270</TAxis>"""


def lead_xml(
    name: str,
    counts: Counts,
    *,
    uv_per_count: str = "4.88",
    unit: str = "MICROVOLTS",
    checksum: int | None = None,
    baseline: int = 0,
) -> str:
    """One ``LeadData``; the checksum is that of its bytes unless another is given."""
    payload = counts.astype("<i2").tobytes()
    return f"""<LeadData><LeadByteCountTotal>{len(payload)}</LeadByteCountTotal>
<LeadTimeOffset>0</LeadTimeOffset>
<LeadSampleCountTotal>{counts.size}</LeadSampleCountTotal>
<LeadAmplitudeUnitsPerBit>{uv_per_count}</LeadAmplitudeUnitsPerBit>
<LeadAmplitudeUnits>{unit}</LeadAmplitudeUnits><LeadHighLimit>32767</LeadHighLimit>
<LeadLowLimit>268402688</LeadLowLimit><LeadID>{name}</LeadID><LeadOffsetFirstSample>0</LeadOffsetFirstSample>
<FirstSampleBaseline>{baseline}</FirstSampleBaseline><LeadSampleSize>2</LeadSampleSize><LeadOff>FALSE</LeadOff>
<LeadDataCRC32>{zlib.crc32(payload) if checksum is None else checksum}</LeadDataCRC32>
<WaveFormData>{encodebytes(payload).decode()}</WaveFormData></LeadData>"""


def waveform_xml(kind: str, leads_xml: str, *, base: str = "500", exponent: str = "0") -> str:
    """One ``Waveform`` of a kind: Rhythm or Median."""
    return f"""<Waveform><WaveformType>{kind}</WaveformType><WaveformStartTime>0</WaveformStartTime>
<SampleType>CONTINUOUS_SAMPLES</SampleType><SampleBase>{base}</SampleBase>
<SampleExponent>{exponent}</SampleExponent>{leads_xml}</Waveform>"""


def rhythm_xml(leads: Mapping[str, Counts]) -> str:
    """The rhythm waveform of leads as they are."""
    return waveform_xml("Rhythm", "".join(lead_xml(name, counts) for name, counts in leads.items()))


def median_xml(leads: Mapping[str, Counts]) -> str:
    """A median waveform: 1.2 s of each lead, upside down so that nobody takes it for the rhythm."""
    return waveform_xml("Median", "".join(lead_xml(name, -counts[:600]) for name, counts in leads.items()))


def muse_xml(
    waveforms: str,
    *,
    patient: str = "<PatientID>P-1</PatientID><PatientAge>63</PatientAge><AgeUnits>YEARS</AgeUnits>",
    day: str = "02-03-2020",
    time: str = "04:05:06",
    original: bool = True,
    extra: str = "",
) -> str:
    """A document around its waveforms."""
    first = (
        f"<OriginalRestingECGMeasurements>{_MEASUREMENTS.format(rate=72)}</OriginalRestingECGMeasurements>"
    )
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE RestingECG SYSTEM "restecg.dtd">
<RestingECG><MuseInfo><MuseVersion>8.0.2</MuseVersion></MuseInfo>
<PatientDemographics>{patient}<Gender>FEMALE</Gender><PatientLastName>Müller</PatientLastName></PatientDemographics>
<TestDemographics><DataType>RESTING</DataType><Site>1</Site><SiteName>General</SiteName>
<AcquisitionDevice>MAC55</AcquisitionDevice><Status>CONFIRMED</Status><Location>12</Location>
<LocationName>Emergency</LocationName><AcquisitionTime>{time}</AcquisitionTime>
<AcquisitionDate>{day}</AcquisitionDate><CartNumber>4</CartNumber></TestDemographics>
<RestingECGMeasurements>{_MEASUREMENTS.format(rate=99)}</RestingECGMeasurements>{first if original else ""}
{extra}{waveforms}</RestingECG>"""
