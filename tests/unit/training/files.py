"""ECG files of simulated people, as a site might have them."""

from datetime import UTC, datetime
from pathlib import Path

import pydicom
import wfdb
from pydicom.data import get_testdata_file

from models.cohorts.simulated import Course, SimulatedPatient

AT = datetime(2025, 1, 1, tzinfo=UTC)


def write_ecgs(folder: Path, n: int, first: int = 0) -> None:
    """Write ``ecg-FIRST.hea`` and so on, each with its signal file."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + n):
        ecg = SimulatedPatient(seed=i, course=Course(start=0.2, end=0.2)).record(AT)
        wfdb.wrsamp(
            f"ecg-{i}",
            write_dir=str(folder),
            fs=ecg.sample_rate_hz,
            units=["mV"] * 12,
            sig_name=list(ecg.lead_names),
            fmt=["16"] * 12,
            adc_gain=[1000.0 / ecg.uv_per_unit] * 12,
            baseline=[0] * 12,
            comments=[f"Age: {40 + i}", "Sex: M"],
            d_signal=ecg.samples.T,
        )


def write_dicom(path: Path, patient_id: str | None) -> None:
    """Write pydicom's own ECG as that of a patient, or of nobody; it is the same ECG each time."""
    dataset = pydicom.dcmread(str(get_testdata_file("waveform_ecg.dcm", download=False)))
    dataset.PatientID = patient_id or ""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
