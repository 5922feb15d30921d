"""The waveforms of the newest ECGs, kept small for whoever looks at a strip."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt


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
