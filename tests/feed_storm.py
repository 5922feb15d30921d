"""A storm of deliveries over several connections, with trouble on the way, and what Kafka says afterwards.

It knows no protocol: a test gives it ``connect``, which opens one connection and hands back how to send one
document over it. Senders do what a cart does: what was not acknowledged is sent again.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import Final

import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaConsumer
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage

from schemas.identity import ecg_id
from streams.adapters.topic_partitions import partitions_of
from streams.topology import ECG_RECORDED

RATE_HZ: Final = 250
SECONDS: Final = 3
STARTED_AT: Final = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

#: Lead numbers of SCP-ECG by lead, as DICOM writes them.
_LEADS: Final = {
    "I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64,
    "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8,
}  # fmt: skip

#: Sends one document; True when it was acknowledged. May raise what the storm is told to take for trouble.
Send = Callable[[bytes], bool]


@dataclass(slots=True)
class Storm:
    """What the senders saw.

    Attributes
    ----------
    acknowledged : set of int
        Numbers of the documents that were acknowledged.
    sends, troubles : int
        Sends begun, and those that ended without an acknowledgement.
    """

    acknowledged: set[int] = field(default_factory=set)
    sends: int = 0
    troubles: int = 0


def storm(
    connect: Callable[[], AbstractContextManager[Send]],
    documents: Sequence[bytes],
    *,
    connections: int = 8,
    trouble: tuple[type[Exception], ...] = (OSError,),
    disturbances: Mapping[int, Callable[[], None]] | None = None,
    pause_s: float = 0.1,
    within_s: float = 240.0,
) -> Storm:
    """Send every document until it is acknowledged, over ``connections`` at a time.

    Parameters
    ----------
    connect : callable
        Opens one connection; called again after trouble on it.
    trouble : tuple of exception types
        What sending or connecting may raise while gateway or broker are away.
    disturbances : mapping
        What is done once so many documents were acknowledged, each in a thread of its own.
    within_s : float
        After this long whatever is not acknowledged stays so; the test then fails on it.
    """
    senders = _Senders(connect, documents, trouble, disturbances or {}, pause_s)
    alarm = threading.Timer(within_s, senders.given_up.set)
    alarm.start()
    try:
        with ThreadPoolExecutor(connections) as threads:
            for ended in [threads.submit(senders.run_one) for _ in range(connections)]:
                ended.result()
    finally:
        alarm.cancel()
        for thread in senders.disturbing:
            thread.join()
    return senders.seen


class _Senders:
    """What the connections of one storm share."""

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Send]],
        documents: Sequence[bytes],
        trouble: tuple[type[Exception], ...],
        disturbances: Mapping[int, Callable[[], None]],
        pause_s: float,
    ) -> None:
        self.seen = Storm()
        self.given_up = threading.Event()
        self.disturbing: list[threading.Thread] = []
        self._connect = connect
        self._documents = documents
        self._trouble = trouble
        self._due = dict(disturbances)
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._waiting: SimpleQueue[int] = SimpleQueue()
        for number in range(len(documents)):
            self._waiting.put(number)

    def run_one(self) -> None:
        """Send over one connection after the other until nothing is left."""
        while (number := self._next()) is not None and not self.given_up.is_set():
            try:
                self._send_from(number)
            except self._trouble:
                self.given_up.wait(self._pause_s)

    def _send_from(self, number: int) -> None:
        """Send this and further documents over one connection; what was not acknowledged waits again."""
        unsent: int | None = number
        try:
            with self._connect() as send:
                while unsent is not None and not self.given_up.is_set():
                    if self._note(unsent, send(self._documents[unsent])):
                        unsent = self._next()
                    else:
                        self.given_up.wait(self._pause_s)
        finally:
            if unsent is not None:
                self._note(unsent, is_acknowledged=False)
                self._waiting.put(unsent)

    def _note(self, number: int, is_acknowledged: bool) -> bool:
        with self._lock:
            self.seen.sends += 1
            if is_acknowledged:
                self.seen.acknowledged.add(number)
            else:
                self.seen.troubles += 1
            for moment in [moment for moment in self._due if moment <= len(self.seen.acknowledged)]:
                self.disturbing.append(threading.Thread(target=self._due.pop(moment)))
                self.disturbing[-1].start()
        return is_acknowledged

    def _next(self) -> int | None:
        try:
            return self._waiting.get_nowait()
        except Empty:
            return None


def documents_of(n: int, run: int) -> list[bytes]:
    """Make ``n`` small DICOM 12-lead ECGs, all different; ``run`` tells those of one test from another's."""
    return [dicom_document(number, run) for number in range(n)]


def ecg_id_of(number: int, run: int) -> str:
    """Id that every reader gives document ``number``."""
    nothing = np.zeros((12, 1), dtype=np.int16)
    return ecg_id(source_uid=uid_of(number, run), patient_id="", acquired_at=STARTED_AT, samples=nothing)


def uid_of(number: int, run: int) -> str:
    """SOP Instance UID of document ``number``."""
    return f"1.2.826.0.1.3680043.10.1234.{run}.{number}"


def dicom_document(number: int, run: int) -> bytes:
    """Write one ECG of 3 s as a DICOM file, 18 kB; every seventh belongs to the same patient."""
    dataset = Dataset()
    dataset.SOPClassUID = TwelveLeadECGWaveformStorage
    dataset.SOPInstanceUID = uid_of(number, run)
    dataset.StudyInstanceUID = f"{uid_of(number, run)}.1"
    dataset.SeriesInstanceUID = f"{uid_of(number, run)}.2"
    dataset.Modality = "ECG"
    dataset.PatientID = f"S{number % 7}"
    dataset.PatientName = "Storm^Test"
    dataset.Manufacturer = "Diastole tests"
    dataset.TimezoneOffsetFromUTC = "+0000"
    dataset.AcquisitionDateTime = (STARTED_AT + timedelta(minutes=number)).strftime("%Y%m%d%H%M%S")
    dataset.WaveformSequence = [_group(_twelve_leads(number))]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _twelve_leads(number: int) -> npt.NDArray[np.int16]:
    """Beats at 60 to 99 a minute, int16, (12, n_samples), 5 µV; the limb leads obey Einthoven."""
    n_samples = RATE_HZ * SECONDS
    phase = (np.arange(n_samples) / RATE_HZ * (60 + number % 40) / 60) % 1.0
    beat = np.exp(-(((phase - 0.4) / 0.015) ** 2)) + 0.25 * np.exp(-(((phase - 0.7) / 0.05) ** 2))
    noise = np.random.default_rng(number).normal(0.0, 2.0, (8, n_samples))
    gains = np.array([120, 200, -60, 80, 140, 220, 200, 150])[:, np.newaxis]
    one, two, *chest = np.rint(gains * beat + noise).astype(np.int16)
    limbs = [one, two, two - one, -(one + two) // 2, one - two // 2, two - one // 2]
    return np.stack([*limbs, *chest]).astype(np.int16)


def _group(samples: npt.NDArray[np.int16]) -> Dataset:
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels = samples.shape[0]
    group.NumberOfWaveformSamples = samples.shape[1]
    group.SamplingFrequency = RATE_HZ
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [_channel(lead, number) for lead, number in _LEADS.items()]
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.WaveformData = samples.T.astype("<i2").tobytes()
    return group


def _channel(lead: str, number: int) -> Dataset:
    source, unit, channel = Dataset(), Dataset(), Dataset()
    source.CodeValue, source.CodingSchemeDesignator = f"5.6.3-9-{number}", "SCPECG"
    source.CodeMeaning = f"Lead {lead}"
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "uV", "UCUM", "microvolt"
    channel.ChannelSourceSequence = [source]
    channel.ChannelSensitivity = "5"
    channel.ChannelSensitivityUnitsSequence = [unit]
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = "0"
    channel.WaveformBitsStored = 16
    return channel


async def written_ids(bootstrap: str) -> Counter[str]:
    """Count how often each ecg_id stands on ``ecg.recorded.v1``, read with a plain consumer to the end."""
    counts: Counter[str] = Counter()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        partitions = await partitions_of(bootstrap, ECG_RECORDED)
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        while [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                counts.update(_id_in(record.headers) for record in records)
    finally:
        await consumer.stop()
    return counts


def _id_in(headers: Sequence[tuple[str, bytes]]) -> str:
    return dict(headers)["ce_id"].decode().partition(":")[2]


def assert_exactly_once(seen: Storm, counts: Counter[str], run: int) -> None:
    """Hold Kafka to what the senders were told: all that was acknowledged is there, and nothing is twice."""
    expected = {ecg_id_of(number, run) for number in seen.acknowledged}
    missing = expected - counts.keys()
    twice = {known: count for known, count in counts.items() if count > 1}
    assert not missing, f"{len(missing)} of {len(expected)} acknowledged ECGs are not in Kafka"
    assert not twice, f"{len(twice)} ECGs are in Kafka more than once"
