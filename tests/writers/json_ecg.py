"""ECGs in our own JSON as tests need them."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.leads import LEADS_12


def json_ecg(
    samples: npt.NDArray[np.generic], *, names: Sequence[str] = LEADS_12, **changes: Any
) -> dict[str, Any]:
    return {
        "patient_id": "P-77",
        "acquired_at": "2024-02-29T08:30:00+01:00",
        "sample_rate_hz": 500,
        "unit": "uV",
        "leads": {lead: row.tolist() for lead, row in zip(names, samples, strict=True)},
        **changes,
    }


def json_bytes(ecg: dict[str, Any]) -> bytes:
    return json.dumps(ecg).encode()
