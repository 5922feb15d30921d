"""What reading one delivery may cost: bytes, seconds, memory. Beyond it, the delivery is refused."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Bounds of reading one delivery; see the settings ``DIASTOLE_FEED_*``.

    Attributes
    ----------
    max_bytes : int
        Of the delivery with all its files, as received. An ECG of 10 s has some 100 kB to 1 MB; 32 MiB hold a
        Holter hour.
    max_swollen_bytes : int
        Of anything in it once decompressed or decoded.
    max_samples : int
        Of all leads together; what :data:`schemas.recorded.MAX_SAMPLES` takes, with room for leads left out.
    max_depth, max_elements : int
        Of XML or JSON. An aECG has a depth of 15 and some hundred elements.
    timeout_s, memory_bytes : float, int
        Of the process that reads it, processor time and what it takes beside its libraries; enforced from
        outside (:mod:`streams.feeds.reading`).
    """

    max_bytes: int = 32 * 2**20
    max_swollen_bytes: int = 64 * 2**20
    max_samples: int = 8_000_000
    max_depth: int = 64
    max_elements: int = 200_000
    timeout_s: float = 2.0
    memory_bytes: int = 256 * 2**20


DEFAULT_LIMITS: Final = ReadLimits()
