"""Which stretches of an ECG its answer rests on most, found when somebody looks, and kept for the next one.

The store keeps exactly what the model saw; beat and measurements are taken anew from that, so that shares may
differ in the last digits from those of the assessment.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import structlog

from schemas.errors import PoisonError
from schemas.leads import LEADS_8
from schemas.recorded import Sex
from streams.strip import Span
from streams.waveform import Strip, as_recorded

if TYPE_CHECKING:
    from models.bundle import Bundle

log = structlog.get_logger()

#: Bins that together carry this share of an answer are shaded, the largest first, and at most so many of the
#: 8 × 500: more would shade the whole strip, and tell nobody where to look.
_SHARE: Final = 0.5
_MAX_BINS: Final = 400
_BIN_S: Final = 0.020

#: Bins of one lead closer than this belong to one stretch, s: the width of a QRS.
_JOIN_S: Final = 0.100

#: ECGs whose stretches are kept: some 10 kB each.
MAX_KEPT: Final = 512


class Salience:
    """Finds and keeps stretches; one ECG at a time, in a thread.

    Parameters
    ----------
    load : callable
        Loads the bundle in force; asked once, in a thread, when somebody looks for the first time.
    sha256 : str
        Of that bundle.
    person : callable
        Age and sex of a patient, which the answer depends on too.
    """

    def __init__(
        self,
        load: "Callable[[], Bundle]",
        sha256: str,
        person: "Callable[[str], Awaitable[tuple[float | None, Sex]]]",
        max_kept: int = MAX_KEPT,
    ) -> None:
        self._load, self._sha256, self._person, self._max_kept = load, sha256, person, max_kept
        self._bundle: Bundle | None = None
        self._kept: OrderedDict[tuple[str, str], tuple[Span, ...]] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def spans(self, strip: Strip) -> Sequence[Span]:
        """Stretches that moved the answer most; empty where the ECG cannot be scored."""
        key = (strip.ecg_id, self._sha256)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        async with self._one_at_a_time:
            if key not in self._kept:
                age_years, sex = await self._person(strip.patient_id)
                self._kept[key] = await asyncio.to_thread(self._found, strip, age_years, sex)
                if len(self._kept) > self._max_kept:
                    self._kept.popitem(last=False)
            return self._kept[key]

    def _found(self, strip: Strip, age_years: float | None, sex: Sex) -> tuple[Span, ...]:
        if self._bundle is None:
            self._bundle = self._load()
        return _spans(self._bundle, strip, age_years, sex)


def salient_spans(shares: npt.NDArray[np.float32]) -> tuple[Span, ...]:
    """Join the bins that carry most of an answer to stretches.

    Parameters
    ----------
    shares : numpy.ndarray
        float32, (8, n): by lead and 20 ms.

    >>> shares = np.zeros((8, 500), dtype=np.float32)
    >>> shares[1, 50:53] = 0.3
    >>> [(span.lead, span.start_s, span.end_s) for span in salient_spans(shares)]
    [('II', 1.0, 1.04)]
    """
    ranked = np.argsort(shares, axis=None, kind="stable")[::-1][:_MAX_BINS]
    held = np.cumsum(shares.ravel()[ranked])
    total = float(shares.sum())
    if total <= 0.0:
        return ()
    n_taken = int(np.searchsorted(held, _SHARE * total)) + 1
    taken = np.sort(ranked[:n_taken])
    spans: list[Span] = []
    for row, bins in groupby(taken.tolist(), key=lambda each: each // shares.shape[1]):
        spans += _joined(LEADS_8[row], shares[row], [each % shares.shape[1] for each in bins])
    return tuple(spans)


def _joined(lead: str, shares: npt.NDArray[np.float32], bins: Sequence[int]) -> list[Span]:
    most = round(_JOIN_S / _BIN_S)
    breaks = [i for i in range(1, len(bins)) if bins[i] - bins[i - 1] > most]
    pieces = [bins[a:b] for a, b in zip([0, *breaks], [*breaks, len(bins)], strict=True)]
    return [_span(lead, float(shares[piece[0] : piece[-1] + 1].sum()), piece) for piece in pieces]


def _span(lead: str, share: float, bins: Sequence[int]) -> Span:
    label = f"{lead}: {100 * share:.1f} % of what moves the answer"
    start_s, end_s = bins[0] * _BIN_S, (bins[-1] + 1) * _BIN_S
    return Span(start_s=round(start_s, 3), end_s=round(end_s, 3), label=label, lead=lead)


def _spans(bundle: "Bundle", strip: Strip, age_years: float | None, sex: Sex) -> tuple[Span, ...]:
    # Imported here: torch takes seconds, and most looks do without.
    from models.saliency import explain
    from streams.featurize import featurize
    from streams.stage import Received

    ecg = replace(as_recorded(strip), age_years=age_years, sex=sex)
    (featurized,) = featurize([Received(record=ecg, published_at=ecg.acquired_at)])
    if isinstance(featurized, PoisonError) or featurized.model_input_uv is None:
        log.info("strip_not_explained", code=getattr(featurized, "code", "QUALITY"))
        return ()
    if strip.leads_uv.shape == featurized.model_input_uv.shape:
        featurized = replace(featurized, model_input_uv=strip.leads_uv)  # not filtered a second time
    return salient_spans(explain(bundle, featurized).strip)
