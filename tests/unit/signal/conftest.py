"""Real recordings as arrays, read by readers that are not ours."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import sierraecg
import wfdb
from defusedxml.ElementTree import parse
from pydicom.data import get_testdata_file

from models.examination import Examined, examine
from schemas.leads import LEADS_12
from schemas.recorded import EcgRecorded


class Recording(NamedTuple):
    """One recording, (n_leads, n_samples) in µV."""

    uv: npt.NDArray[np.float64]
    rate_hz: float
    lead_names: tuple[str, ...]

    def examined(self) -> Examined:
        return examine(
            self.uv[None],
            sample_rate_hz=self.rate_hz,
            lead_names=self.lead_names,
            uv_per_unit=1.0,
            stated=[()],
        )[0]

    def row(self, lead: str) -> int:
        return LEADS_12.index(lead)

    def changed(self, uv: npt.NDArray[np.float64]) -> "Recording":
        return self._replace(uv=uv)


def philips(path: Path) -> Recording:
    # The last 500 of 5500 samples are a calibration pulse. 5 µV a unit.
    leads = sierraecg.read_file(str(path)).leads
    uv = np.stack([lead.samples[:5000] for lead in leads]) * 5.0
    return in_order(uv, 500.0, [lead.label for lead in leads])


def in_order(uv: npt.NDArray[np.float64], rate_hz: float, names: list[str]) -> Recording:
    """The twelve leads in standard order, so that tests can point at one."""
    bare = [name.upper().replace("MDC_ECG_LEAD_", "").replace("LEAD ", "").split(" (")[0] for name in names]
    return Recording(uv[[bare.index(lead.upper()) for lead in LEADS_12]].astype(float), rate_hz, LEADS_12)


@pytest.fixture(scope="session")
def philips_103(shared_ecg: Path) -> Recording:
    return philips(shared_ecg / "philips" / "sierra_1_03.xml")


@pytest.fixture(scope="session")
def philips_104(shared_ecg: Path) -> Recording:
    return philips(shared_ecg / "philips" / "sierra_1_04.xml")


@pytest.fixture(scope="session")
def aecg(shared_ecg: Path) -> Recording:
    ns = {"v3": "urn:hl7-org:v3"}
    names, rows = [], []
    for sequence in parse(shared_ecg / "aecg" / "hl7_example.xml").iterfind(".//v3:sequence", ns):
        digits = sequence.find("v3:value/v3:digits", ns)
        if digits is not None and len(rows) < 12:  # after the rhythm come median beats
            names.append(sequence.find("v3:code", ns).get("code"))
            rows.append([int(digit) for digit in digits.text.split()])
    return in_order(np.array(rows) * 2.5, 500.0, names)


@pytest.fixture(scope="session")
def ptb(shared_ecg: Path) -> Recording:
    record = wfdb.rdrecord(str(shared_ecg / "wfdb" / "s0010_re"))
    return in_order(record.p_signal.T * 1000.0, record.fs, record.sig_name)


@pytest.fixture(scope="session")
def dicom() -> Recording:
    recorded = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm", download=False))
    group = recorded.WaveformSequence[0]
    names = [channel.ChannelSourceSequence[0].CodeMeaning for channel in group.ChannelDefinitionSequence]
    return in_order(recorded.waveform_array(0).T, float(group.SamplingFrequency), names)


@pytest.fixture(params=["philips_103", "philips_104", "aecg", "ptb", "dicom"])
def recording(request: pytest.FixtureRequest) -> Recording:
    found: Recording = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def ptbxl_uv(shared_ecg: Path) -> npt.NDArray[np.float64]:
    """(48, 12, 5000); z-scored, with one standard deviation taken as 0.2 mV."""
    with np.load(shared_ecg / "ptbxl" / "ptbxl_48.npz") as stored:
        assert tuple(stored["leads"]) == LEADS_12
        return np.asarray(stored["ecg_milli_sd"].transpose(0, 2, 1) * 0.2)


def recorded(uv: npt.NDArray[np.float64], rate_hz: float = 500.0, **fields: object) -> EcgRecorded:
    """A record of the wire type around samples in µV, quantised to 1 µV."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    settings: dict[str, object] = {
        "ecg_id": "00000000-0000-5000-8000-000000000001",
        "patient_id": "P1",
        "acquired_at": at,
        "sample_rate_hz": rate_hz,
        "lead_names": LEADS_12,
        "uv_per_unit": 1.0,
        "samples": np.rint(uv).astype(np.int16),
    }
    return EcgRecorded(**(settings | fields))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def make_recorded() -> object:
    return recorded
