"""What the demo publishes: real files, a ward that lives through weeks in seconds, and a broken sender."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.recorded import EcgRecorded
from streams.feeds.files import read_file
from streams.feeds.readers.options import ReadOptions

if TYPE_CHECKING:
    from models.cohorts.simulated import Ward

#: The demo's ward; simulated patient ids begin with the site's name, real ones are never shown.
SEED: Final = 7
#: About fifteen of 300 recordings go wrong: enough to see what becomes of them.
_FAULT_RATE: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RealFile:
    """A real recording and what must be said beside it to publish it."""

    path: Path
    options: ReadOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Bytes on ``ecg.recorded.v1`` that are no ECG."""

    what: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWard:
    """The simulated ward over the weeks that end at ``until``; every third patient deteriorates.

    Attributes
    ----------
    every : timedelta
        Simulated time between two rounds.
    """

    beds: int
    rounds: int
    every: timedelta
    until: datetime

    def recordings(self) -> Iterator[EcgRecorded]:
        """Yield every round's recordings in order of acquisition, the last one before ``until``."""
        ward = self._ward()
        for number in range(self.rounds):
            yield from ward.round(self._since + self.every * number)

    def recording_now(self, number: int, now: datetime) -> EcgRecorded:
        """Record the bed whose turn it is, after the play; the patients stay as ill as they have become."""
        return self._ward().record(number % self.beds, now)

    def deteriorating(self) -> list[str]:
        """Return the ids of the patients whose disease progresses."""
        ward = self._ward()
        patients = (ward.patient(bed) for bed in range(self.beds))
        return [patient.patient_id for patient in patients if patient.course.end > patient.course.start]

    @property
    def _since(self) -> datetime:
        return self.until - self.every * self.rounds

    def _ward(self) -> "Ward":
        from models.cohorts.simulated import Ward  # loads scipy.signal, which other commands need not wait

        # Rising within half of the play, from its first third on, each patient is level before and after.
        rise = self.every * self.rounds / 2
        return Ward(beds=self.beds, seed=SEED, since=self._since, fault_rate=_FAULT_RATE, rise=rise)


def real_files(shared_ecg: Path | None) -> Iterator[RealFile]:
    """Yield the DICOM ECG that arrives with pydicom and, where the folder is there, a WFDB and an aECG file.

    Parameters
    ----------
    shared_ecg : Path or None
        A folder of real recordings that is no part of Diastole.
    """
    from pydicom.data import get_testdata_file  # takes a second, which other commands need not wait

    dicom = get_testdata_file("waveform_ecg.dcm", download=False)
    if dicom is not None:
        yield RealFile(path=Path(str(dicom)), options=ReadOptions())
    if shared_ecg is None:
        return
    # The PTB header gives date and no time, in a comment; a record names no patient.
    ptb = ReadOptions(patient_id="DEMO-WFDB", acquired_at=datetime(1990, 10, 1, tzinfo=UTC))
    for name, options in (("wfdb/s0010_re.hea", ptb), ("aecg/hl7_example.xml", ReadOptions())):
        if (shared_ecg / name).is_file():
            yield RealFile(path=shared_ecg / name, options=options)


def read_real(file: RealFile) -> EcgRecorded:
    """Read one real file; see :func:`streams.feeds.read.read`."""
    return read_file(file.path, file.options).ecg


def garbage(ecg_payload: bytes) -> tuple[Garbage, ...]:
    """Return what a broken sender might write: noise, half an ECG, an ECG under a schema nobody knows."""
    noise = random.Random(SEED)
    return (
        Garbage(what="random bytes", payload=noise.randbytes(500)),
        Garbage(what="an ECG cut in half", payload=ecg_payload[: len(ecg_payload) // 2]),
        Garbage(what="an ECG under an unknown schema id", payload=b"\x00\x7f\xff\xff\xfe" + ecg_payload[5:]),
    )
