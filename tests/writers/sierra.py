"""Philips Sierra XML as carts export it: 1.03 and 1.04 documents, XLI or uncompressed, with calibration."""

from base64 import b64encode, encodebytes
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from schemas.leads import LEADS_12

Counts = npt.NDArray[np.int64]

_CODE_BITS = 10
_LAST_CODE = 2**_CODE_BITS - 2


def with_calibration(
    leads: Mapping[str, Counts], *, counts_of_1_mv: int = 200, rate_hz: int = 500
) -> dict[str, Counts]:
    """Append what a PageWriter does: ECG up to 10.6 s, then 0.1 s of zero, 0.2 s of 1 mV, 0.1 s of zero."""
    pulse = np.repeat([0, counts_of_1_mv, 0], [rate_hz // 10, rate_hz // 5, rate_hz // 10])
    lead_in = rate_hz * 6 // 10
    return {name: np.concatenate([counts, counts[:lead_in], pulse]) for name, counts in leads.items()}


def residuals(leads: Mapping[str, Counts]) -> dict[str, Counts]:
    """Turn III, aVR, aVL and aVF into what they differ by from the other leads, as XLI stores them."""
    first, second, third = leads["I"], leads["II"], leads["III"]
    expected = {
        "III": second - first,
        "aVR": -((first + second) // 2),
        "aVL": (first - third) // 2,
        "aVF": (second + third) // 2,
    }
    return {name: expected[name] - counts if name in expected else counts for name, counts in leads.items()}


def lzw(content: bytes) -> bytes:
    """LZW of fixed 10-bit codes, the most significant bit first; codes are learned up to the last but one."""
    learned = {bytes([byte]): byte for byte in range(256)}
    codes, known = [], b""
    for byte in content:
        longer = known + bytes([byte])
        if longer in learned:
            known = longer
            continue
        codes.append(learned[known])
        if len(learned) <= _LAST_CODE:
            learned[longer] = len(learned)
        known = bytes([byte])
    codes.append(learned[known])
    bits = "".join(f"{code:0{_CODE_BITS}b}" for code in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def xli(counts: Counts) -> bytes:
    """One lead as a chunk of XLI: second differences, high bytes before low bytes, LZW."""
    second = 2 * counts[1:-1] - counts[:-2] - counts[2:]  # (n − 2,)
    words = np.concatenate([counts[:2], second[1:] + 64, [64]]).astype("<i2")
    halves = words.view("u1").reshape(-1, 2)
    packed = lzw(halves[:, 1].tobytes() + halves[:, 0].tobytes())
    return (
        len(packed).to_bytes(4, "little")
        + b"\0\0"
        + int(second[0]).to_bytes(2, "little", signed=True)
        + packed
    )


def waveform(leads: Mapping[str, Counts], packing: str = "xli") -> str:
    """The text of ``parsedwaveforms``: packing ``xli``, ``base64`` or ``plain``."""
    if packing == "xli":
        return encodebytes(b"".join(xli(counts) for counts in residuals(leads).values())).decode()
    whole = np.concatenate(list(leads.values()))
    return (
        " ".join(map(str, whole)) if packing == "plain" else b64encode(whole.astype("<i2").tobytes()).decode()
    )


def sierra_1_04(
    leads: Mapping[str, Counts],
    *,
    packing: str = "xli",
    text: str | None = None,
    version: str = "1.04",
    uv_per_count: str = "5",
    rate_hz: int = 500,
    patient: str = "<patientid>P-1</patientid>",
    pace: str = "Unknown",
) -> str:
    """A document as PageWriter and TraceMasterVue write it; ``text`` replaces the waveform."""
    n_samples = len(next(iter(leads.values())))
    compression = 'compression="XLI"' if packing == "xli" else ""
    encoding = "Plain" if packing == "plain" else "Base64"
    return f"""<?xml version="1.0"?>
<restingecgdata xmlns="http://www3.medical.philips.com" status="Unconfirmed">
<documentinfo><documenttype>PhilipsECG</documenttype><documentversion>{version}</documentversion></documentinfo>
<dataacquisition date="2020-02-03" time="04:05:06" statflag="False">
<machine machineid="CART7" detaildescription="Philips Medical Products:860315:A.07">PageWriter TC70</machine>
<acquirer><departmentname>Cardiology</departmentname><institutionname>General</institutionname></acquirer>
<signalcharacteristics><samplingrate>{rate_hz}</samplingrate><resolution>{uv_per_count}</resolution>
<acquisitiontype>10-WIRE</acquisitiontype><bitspersample>16</bitspersample></signalcharacteristics>
</dataacquisition>
<patient><generalpatientdata>{patient}<name><lastname>Doe</lastname></name>
<age defaultage="50"><dateofbirth>1950-03-01</dateofbirth></age><pacestatus>{pace}</pacestatus>
<sex>Female</sex>
</generalpatientdata></patient>
<internalmeasurements><crossleadmeasurements><meanventrate>71</meanventrate><meanprint>150</meanprint>
<meanqrsdur>90</meanqrsdur><meanqtint>400</meanqtint></crossleadmeasurements></internalmeasurements>
<interpretations><interpretation><globalmeasurements><heartrate editedflag="False">72</heartrate>
<print editedflag="True">999</print><qrsdur>Failed</qrsdur><qtint>401</qtint><qtcb>433</qtcb>
<pfrontaxis>55</pfrontaxis><qrsfrontaxis>-30</qrsfrontaxis><tfrontaxis>Indeterminate</tfrontaxis>
</globalmeasurements></interpretation></interpretations>
<waveforms><parsedwaveforms dataencoding="{encoding}" {compression} numberofleads="{len(leads)}"
leadlabels="{" ".join(leads)}" durationperchannel="{n_samples * 1000 // rate_hz}" samplespersecond="{rate_hz}"
resolution="{uv_per_count}" signaloffset="0" signalsigned="True"
bitspersample="16">{text or waveform(leads, packing)}</parsedwaveforms>
<repbeats dataencoding="Base64" samplespersec="500" resolution="2.5"><repbeat leadname="I">
<waveform duration="8">AAAAAAAA
</waveform></repbeat></repbeats></waveforms>
</restingecgdata>"""


def sierra_1_03(leads: Mapping[str, Counts], *, leadset: str = "STD-12") -> str:
    """A document as a HeartStart writes it: leads told by their kind alone, in the standard order."""
    ordered = {name: leads[name] for name in LEADS_12}
    n_samples = len(ordered["I"])
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<restingecgdata xmlns="http://www3.medical.philips.com">
<documentinfo><documenttype>SierraECG</documenttype><documentversion>1.03</documentversion></documentinfo>
<dataacquisition date="2020-02-03" time="04:05:06">
<machine machineid="1" detaildescription="">HeartstartMRx</machine>
<acquirer><institutionname>Rescue</institutionname></acquirer><signalcharacteristics>
<samplingrate>500</samplingrate><signalresolution>5</signalresolution><acquisitiontype>{leadset}</acquisitiontype>
<signaloffset>0</signaloffset><signalsigned>True</signalsigned><numberchannelsallocated>12</numberchannelsallocated>
</signalcharacteristics></dataacquisition>
<patient><generalpatientdata><patientid>P-1</patientid><age><years>50</years></age><sex>Male</sex>
<pacestatus>No</pacestatus></generalpatientdata></patient>
<waveforms><parsedwaveforms compressflag="True" compressmethod="XLI" dataencoding="Base64" nbitspersample="16"
durationperchannel="{n_samples * 2}">{waveform(ordered)}</parsedwaveforms></waveforms>
</restingecgdata>"""
