"""Whatever a file holds: it becomes a sound record or a refusal that says what to do, and nothing else."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import wfdb
from pydicom.data import get_testdata_file

from schemas.codec import Codec
from schemas.leads import LEADS_12
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.feeds.files import read_file
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError

N_CASES = 300
#: Short on purpose, so that damage meets the structure and not only samples, where any value is lawful.
N_SAMPLES = 60
PATIENT = "PAT-0815-XYZ"
GIVEN = ReadOptions(patient_id=PATIENT, acquired_at=datetime(2020, 1, 1, tzinfo=UTC))
CODEC = Codec(FileRegistry())
COUNTS = np.random.default_rng(1).integers(-900, 900, size=(N_SAMPLES, 12)).astype(np.int16)

#: What a damaged file can say that a flipped byte rarely does.
ODD_TOKENS = (
    *("", "0", "-0", "-1", "1e309", "-1e309", "nan", "inf", "1e-320", "9" * 30, "0x10", "1_0", "٣", "½"),
    *("20021122091000+9900", "00000000000000", "99991231235959-1200", "00010101000000+1400", "\x7f", "é"),
)


def a_dicom(folder: Path) -> Path:
    dataset = pydicom.dcmread(str(get_testdata_file("waveform_ecg.dcm", download=False)))
    group = dataset.WaveformSequence[0]
    group.NumberOfWaveformSamples = N_SAMPLES
    group.WaveformData = COUNTS.tobytes()
    dataset.WaveformSequence = pydicom.Sequence([group])
    dataset.PatientID = PATIENT
    path = folder / "ecg.dcm"
    dataset.save_as(path)
    return path


def an_aecg(folder: Path) -> Path:
    sequences = "".join(
        f"""<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}"/><value>
        <origin value="0" unit="uV"/><scale value="2.5" unit="uV"/>
        <digits>{" ".join(map(str, COUNTS[:, row]))}</digits></value></sequence>
        </component>"""
        for row, lead in enumerate(LEADS_12)
    )
    path = folder / "ecg.xml"
    path.write_text(
        f"""<?xml version="1.0" encoding="UTF-8"?><AnnotatedECG xmlns="urn:hl7-org:v3">
        <id root="1.2" extension="1"/><effectiveTime><low value="20021122091000"/></effectiveTime>
        <componentOf><timepointEvent><componentOf>
        <subjectAssignment><subject><trialSubject><id extension="{PATIENT}"/><subjectDemographicPerson>
        <administrativeGenderCode code="F"/><birthTime value="19530508"/></subjectDemographicPerson>
        </trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf><component>
        <series><code code="RHYTHM"/><component><sequenceSet><component><sequence><code code="TIME_ABSOLUTE"/>
        <value><head value="20021122091000-0500"/><increment value="2" unit="ms"/></value></sequence>
        </component>{sequences}</sequenceSet></component></series></component></AnnotatedECG>""",
        encoding="utf-8",
    )
    return path


def a_wfdb(folder: Path) -> Path:
    wfdb.wrsamp(
        "ecg",
        fs=500,
        units=["mV"] * 12,
        sig_name=list(LEADS_12),
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=[0] * 12,
        comments=["Age: 63", "Sex: M"],
        d_signal=COUNTS.astype(np.int64),
        write_dir=str(folder),
    )
    return folder / "ecg.hea"


def flipped(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 30))):
        place = rng.randrange(len(damaged))
        damaged[place] = rng.choice((rng.randrange(256), damaged[place] ^ (1 << rng.randrange(8))))
    return bytes(damaged)


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def with_a_hole(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    return content[:start] + content[start + rng.randrange(1, 40) :]


def with_an_odd_token(content: bytes, rng: random.Random) -> bytes:
    """Put an odd token in the place of a word of digits or letters."""
    text = content.decode("latin-1")
    start = rng.randrange(len(text))
    words = [i for i in range(start, min(start + 200, len(text))) if text[i].isalnum()]
    if not words:
        return content
    end = next((i for i in range(words[0], len(text)) if not text[i].isalnum()), len(text))
    token = rng.choice(ODD_TOKENS).encode("utf-8")
    return content[: words[0]] + token + content[end:]


def require_sound(ecg: EcgRecorded) -> None:
    """Fail unless the record is one that every stage can take."""
    assert set(ecg.lead_names) <= set(LEADS_12)
    assert ecg.samples.shape[0] == len(ecg.lead_names) >= 8
    assert ecg.samples.shape[1] >= 1
    assert ecg.acquired_at.tzinfo is UTC
    again = CODEC.decode(CODEC.encode(ecg), EcgRecorded)
    np.testing.assert_array_equal(again.samples, ecg.samples)


@pytest.mark.parametrize("damage", [flipped, cut, with_a_hole, with_an_odd_token])
@pytest.mark.parametrize("write", [a_dicom, an_aecg, a_wfdb])
def test_a_damaged_file_is_refused_or_a_sound_record(
    tmp_path: Path, write: Callable[[Path], Path], damage: Callable[[bytes, random.Random], bytes]
) -> None:
    path = write(tmp_path)
    require_sound(read_file(path, GIVEN).ecg)
    content = path.read_bytes()
    refusals = []
    for seed in range(N_CASES):
        path.write_bytes(damage(content, random.Random(seed)))
        try:
            require_sound(read_file(path, GIVEN).ecg)
        except FeedRefusedError as refusal:
            refusals.append(str(refusal))
    assert len(refusals) > N_CASES // 20
    assert not any(PATIENT in refusal or "\n" in refusal for refusal in refusals)
    assert all(len(refusal) < 1000 for refusal in refusals)


def test_a_value_of_a_length_its_type_cannot_have_is_refused(tmp_path: Path) -> None:
    path = a_dicom(tmp_path)
    content = bytearray(path.read_bytes())
    content[138:140] = (6).to_bytes(2, "little")  # the length of (0002,0000), whose type takes four bytes
    path.write_bytes(bytes(content))
    with pytest.raises(FeedRefusedError, match="damaged or incomplete DICOM"):
        read_file(path, GIVEN)


@pytest.mark.parametrize("n_bytes", [0, 1, 100, N_SAMPLES * 12 * 2 - 1])
def test_a_signal_file_cut_anywhere_is_refused(tmp_path: Path, n_bytes: int) -> None:
    path = a_wfdb(tmp_path)
    signal = path.with_suffix(".dat")
    signal.write_bytes(signal.read_bytes()[:n_bytes])
    with pytest.raises(FeedRefusedError, match="again"):
        read_file(path, GIVEN)
