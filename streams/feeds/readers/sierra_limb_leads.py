"""Philips Sierra XML: limb leads that are stored as what they differ by from leads I and II."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.feeds.refusal import FeedRefusedError, RefusalReason

Counts = npt.NDArray[np.int64]

_REBUILT: Final = frozenset({"III", "aVR", "aVL", "aVF"})

#: One reading of the limb leads is taken against the format's own only if the other contradicts Einthoven's
#: law by so many times as much, and by more than rounding to whole counts explains.
_CLEARLY: Final = 4.0
_ROUNDING_COUNTS: Final = 2.0


def rebuilt(stored: Mapping[str, Counts]) -> dict[str, Counts]:
    """Return the leads with III, aVR, aVL and aVF rebuilt from their residuals.

    Parameters
    ----------
    stored : mapping
        Leads by standard name, int64, (n_samples,).

    Raises
    ------
    FeedRefusedError
        LEADS_MISSING when there are residuals and lead I or II is not there.

    Notes
    -----
    III = II − I − r, aVR = −⌊(I + II)/2⌋ − r, aVL = ⌊(I − III)/2⌋ − r, aVF = ⌊(II + III)/2⌋ − r, in whole
    counts; as sierra-ecg-tools and ecgdatakit do.
    """
    if not _REBUILT & stored.keys():
        return dict(stored)
    if "I" not in stored or "II" not in stored:
        raise FeedRefusedError(
            "its limb leads are stored as differences from leads I and II, of which one is missing; "
            "export it with all leads",
            RefusalReason.LEADS_MISSING,
        )
    third = stored["II"] - stored["I"] - stored.get("III", np.int64(0))
    expected = _from_first_two(stored["I"], stored["II"], third)
    return dict(stored) | {name: of - stored[name] for name, of in expected.items() if name in stored}


def _from_first_two(first: Counts, second: Counts, third: Counts) -> dict[str, Counts]:
    return {
        "III": second - first,
        "aVR": -((first + second) // 2),
        "aVL": (first - third) // 2,
        "aVF": (second + third) // 2,
    }


def holds_residuals(stored: Mapping[str, Counts], *, as_format_says: bool) -> bool:
    """Whether limb leads are stored as residuals, by Einthoven's law where it is clear, else by the format.

    XLI stores residuals, other packings do not; a writer that does it the other way round would come out as
    limb leads that are none.
    """
    if "I" not in stored or "II" not in stored:
        return as_format_says
    first, second = stored["I"], stored["II"]
    expected = _from_first_two(first, second, second - first)
    names = [name for name in expected if name in stored]
    # Each lead's typical deviation from what leads I and II make of it, summed over leads. The median, since
    # a calibration pulse, the same in all leads, breaks the law too.
    of_residuals = sum(float(np.median(np.abs(stored[name]))) for name in names)
    of_leads = sum(float(np.median(np.abs(stored[name] - expected[name]))) for name in names)
    if as_format_says:
        return of_residuals <= _CLEARLY * of_leads + _ROUNDING_COUNTS
    return of_leads > _CLEARLY * of_residuals + _ROUNDING_COUNTS
