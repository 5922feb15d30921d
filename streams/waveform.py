"""The waveforms of the newest ECGs, kept small for whoever looks at a strip.

::

    body    version u8 │ acquired i64, µs since 1970 │ rate u16, Hz │ bytes of ward, site, patient  3 × u16
            │ ward, site, UTF-8 │ patient, sealed
            │ zlib: int16 (8, n_samples), µV, each sample less the one before it in its lead

Numbers are little-endian. What is kept is exactly what the model saw, at its 500 Hz: what salience says of a
sample can be shown on that sample. 26 kB an ECG of 10 s; every second sample alone would be 19 kB, without
differences 40 kB (16 simulated ECGs and three from real carts; zlib's level 6 takes 3.5 ms of them).
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from models.leads import plan_leads
from schemas.errors import RetriableError
from schemas.featurized import MODEL_INPUT_RATE_HZ, EcgFeaturized
from schemas.leads import LEADS_8
from schemas.recorded import EcgRecorded
from streams.history_encoding import instant, microseconds, patient_digest
from streams.link import open_name, seal_name
from streams.stage import Received

#: Another layout gets another number; strips of a number that is not known count as not kept.
STRIP_VERSION: Final = 1

_HEAD: Final = struct.Struct("<BqHHHH")

#: Level 1 is six times as fast, and what it makes is a fifth larger.
_ZLIB_LEVEL: Final = 6


class WaveformsUnavailableError(RetriableError):
    """The store of waveforms does not answer; nothing was lost, the same call may be made again."""

    code = "WAVEFORMS_UNAVAILABLE"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """The waveform of one ECG, as the model saw it.

    Attributes
    ----------
    acquired_at : datetime
        UTC.
    ward_id, site_id : str
        Of this ECG; empty when it named none.
    sample_rate_hz : int
    leads_uv : numpy.ndarray
        int16, (8, n_samples), µV, leads :data:`schemas.leads.LEADS_8`; read-only.
    """

    ecg_id: str
    patient_id: str
    acquired_at: datetime
    ward_id: str = ""
    site_id: str = ""
    sample_rate_hz: int
    leads_uv: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedStrip:
    """A strip as the store keeps it.

    Attributes
    ----------
    patient : str
        Digest of the patient identifier.
    acquired_us : int
        Microseconds since 1970 UTC.
    """

    ecg_id: str
    patient: str
    acquired_us: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveformLimits:
    """Which waveforms are kept; older ones stay on ``ecg.featurized.v1`` as long as the topic keeps them.

    Attributes
    ----------
    per_patient : int
        The newest by acquisition. 4: the ECG of an alert, the two that confirmed it and the one before;
        105 kB a patient, so that a house of 1000 beds takes 105 MB.
    max_age : timedelta
        Counted back from now: an archive that is read in fills no memory. 14 days, as long as a ward lists
        a patient.
    """

    per_patient: int = 4
    max_age: timedelta = timedelta(days=14)

    def __post_init__(self) -> None:
        if self.per_patient < 1 or self.max_age < timedelta(seconds=1):
            raise ValueError("at least one waveform a patient is kept, for at least one second")


class WaveformReads(Protocol):
    """What is asked about waveforms."""

    async def strip(self, ecg_id: str) -> Strip | None:
        """Waveform of an ECG; None when it is no longer, or was never, kept.

        Kept are the newest few of each patient whose quality was acceptable.

        Raises
        ------
        WaveformsUnavailableError
            When the store does not answer.
        """


def encoded_strips(batch: Sequence[Received[EcgFeaturized]]) -> list[EncodedStrip | None]:
    """Make one strip per ECG, in order: the work of the waveform stage.

    None where the quality was not acceptable: there is no model input then, and the recording itself stays
    on ``ecg.recorded.v1``.
    """
    return [encode_strip(received.record) for received in batch]


def encode_strip(ecg: EcgFeaturized) -> EncodedStrip | None:
    """Encode the model's input of an ECG; None when it has none."""
    if ecg.model_input_uv is None:
        return None
    acquired_us = microseconds(ecg.acquired_at)
    ward, site = ecg.ward_id.encode(), ecg.site_id.encode()
    sealed = seal_name(ecg.patient_id, known=ecg.ecg_id)
    head = _HEAD.pack(STRIP_VERSION, acquired_us, MODEL_INPUT_RATE_HZ, len(ward), len(site), len(sealed))
    # (8, n_samples); a difference beyond int16 wraps round, and summing wraps it back
    steps = np.diff(ecg.model_input_uv, axis=1, prepend=np.int16(0)).astype("<i2")
    packed = zlib.compress(steps.tobytes(), _ZLIB_LEVEL)
    return EncodedStrip(
        ecg_id=ecg.ecg_id,
        patient=patient_digest(ecg.patient_id),
        acquired_us=acquired_us,
        body=b"".join((head, ward, site, sealed, packed)),
    )


def decode_strip(ecg_id: str, body: bytes) -> Strip | None:
    """Put a strip together again, sample by sample what was encoded; None when it is of another version.

    Raises
    ------
    SealError
        When the body belongs to another ECG.
    """
    if not body or body[0] != STRIP_VERSION:
        return None
    _, acquired_us, rate_hz, *lengths = _HEAD.unpack_from(body)
    ends = np.cumsum([_HEAD.size, *lengths])
    ward, site, sealed = (body[start:end] for start, end in pairwise(ends))
    steps = np.frombuffer(zlib.decompress(body[ends[-1] :]), dtype="<i2").reshape(len(LEADS_8), -1)
    leads_uv = np.cumsum(steps, axis=1, dtype=np.int16)  # (8, n_samples)
    leads_uv.flags.writeable = False
    return Strip(
        ecg_id=ecg_id,
        patient_id=open_name(sealed, known=ecg_id),
        acquired_at=instant(acquired_us),
        ward_id=ward.decode(),
        site_id=site.decode(),
        sample_rate_hz=rate_hz,
        leads_uv=leads_uv,
    )


def twelve_leads_uv(strip: Strip) -> npt.NDArray[np.float64]:
    """Derive the four limb leads from I and II.

    Returns
    -------
    numpy.ndarray
        float64, (12, n_samples), µV, leads :data:`schemas.leads.LEADS_12`.
    """
    return plan_leads(LEADS_8).weights @ strip.leads_uv  # (12, 8) @ (8, n_samples)


def as_recorded(strip: Strip) -> EcgRecorded:
    """Hand the strip to what draws recordings, such as :func:`streams.strip.strip_svg`."""
    return EcgRecorded(
        ecg_id=strip.ecg_id,
        patient_id=strip.patient_id,
        acquired_at=strip.acquired_at,
        sample_rate_hz=float(strip.sample_rate_hz),
        lead_names=LEADS_8,
        uv_per_unit=1.0,
        samples=strip.leads_uv,
        ward_id=strip.ward_id,
        site_id=strip.site_id,
    )
