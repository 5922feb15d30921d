"""SampledData of FHIR: one lead's samples with period, factor and origin."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from fhir.resources.R4B.sampleddata import SampledData
from pydantic import ValidationError

from models.leads import standard_name
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.decimals import whole_counts
from streams.feeds.readers.fhir_nodes import Node, one, text
from streams.feeds.readers.lead_codes import coded_lead
from streams.feeds.readers.leads import Picked, shown_word
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: ``data`` of numbers alone; possessive, so that none is looked at twice.
_NUMBERS: Final = re.compile(
    r"\s*+(?:[+-]?\d{1,17}(?:\.\d{1,17})?+(?:[eE][+-]?\d{1,2})?+(?:\s++|\Z))++", re.ASCII
)

#: Tokens of ``data`` that are no samples: an error, below the lower limit, above the upper one.
_GAPS: Final = re.compile(r"(?<!\S)[EUL](?!\S)")

#: Fields taken from the source; extensions of profiles are passed over.
_FIELDS: Final = ("period", "factor", "lowerLimit", "upperLimit", "dimensions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """One component: its lead, and its samples as written.

    Attributes
    ----------
    name : str
        A standard name where its code is known, else as the source calls it.
    period_ms : float
        From one sample to the next, ms.
    factor, origin : float
        Of its samples; voltage is ``data`` · ``factor`` + ``origin`` in ``unit``.
    """

    name: str
    data: str
    period_ms: float
    factor: float
    origin: float
    unit: str


def lead_of(component: Node, limits: ReadLimits) -> Lead:
    """Read one component that holds SampledData, checked by FHIR's own model of it.

    Raises
    ------
    FeedRefusedError
        When fields are missing or of other types, there are several dimensions, or too many samples.
    """
    name, source = _name(component), one(component, "valueSampledData")
    samples = _validated(source, name)
    if samples.dimensions != 1:
        raise FeedRefusedError(
            f"lead {shown_word(name)} has {samples.dimensions} dimensions; send one component for each lead",
            RefusalReason.UNSUPPORTED,
        )
    if not samples.period or not samples.period > 0 or not samples.data:
        raise _damaged(name, "has no period or no data")
    if samples.data.count(" ") > limits.max_samples:
        raise FeedRefusedError(
            f"lead {shown_word(name)} has more than the {limits.max_samples} samples that are read; "
            "send the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )
    origin = one(source, "origin")
    return Lead(
        name=name,
        data=samples.data,
        period_ms=float(samples.period),
        factor=1.0 if samples.factor is None else float(samples.factor),
        origin=float(samples.origin.value or 0.0),
        unit=text(origin, "code") or text(origin, "unit"),
    )


def _validated(source: Node | None, name: str) -> SampledData:
    given = {field: text(source, field) for field in _FIELDS if text(source, field)}
    if "period" not in given and text(source, "intervalUnit") == "ms":  # R5 writes it so
        given["period"] = text(source, "interval")
    data = "" if source is None else source.text("data")
    origin = text(one(source, "origin"), "value")
    try:
        return SampledData.model_validate(
            {**given, "data": data or None, "origin": {"value": origin or None}}
        )
    except ValidationError as error:
        wrong = {str(each["loc"][0]) for each in error.errors() if each["loc"]} & {*_FIELDS, "data", "origin"}
        raise _damaged(name, f"is wrong in {', '.join(sorted(wrong)) or 'its SampledData'}") from None


def channel_of(lead: Lead, pick: Picked) -> Channel:
    """Return a lead's samples as counts, exactly as written wherever that is possible.

    Raises
    ------
    FeedRefusedError
        On gaps, on what is no number, and without a unit of voltage.
    """
    if not lead.unit:
        raise FeedRefusedError(
            f"lead {pick.lead} has no unit: origin states none; send it in mV or uV",
            RefusalReason.UNIT_UNKNOWN,
        )
    unit_uv = microvolts_per(lead.unit)
    counts, step = whole_counts(_numbers(lead.data, pick.lead))
    polarity = -1.0 if lead.factor < 0.0 else 1.0
    return Channel(
        name=pick.lead,
        counts=counts,
        uv_per_count=abs(lead.factor) * step * unit_uv,
        offset_uv=polarity * lead.origin * unit_uv,
        sign=pick.sign * polarity,
    )


def _numbers(data: str, lead: str) -> npt.NDArray[np.float64]:
    if _NUMBERS.fullmatch(data):
        return np.array(data.split(), dtype=np.float64)
    n_gaps = len(_GAPS.findall(data))
    if n_gaps:
        raise FeedRefusedError(
            f"{n_gaps} samples of lead {lead} are missing or out of range (E, U, L); "
            "send a recording without gaps",
            RefusalReason.UNSUPPORTED,
        )
    raise _damaged(lead, "has samples that are no numbers")


def _name(component: Node) -> str:
    """Name the lead by its MDC code, else by its code's words."""
    concept = one(component, "code")
    codings = () if concept is None else concept.many("coding")
    coded = (coded_lead(text(coding, "code")) for coding in codings)
    found = next((lead for lead in coded if lead is not None), None)
    if found is not None:
        return found
    words = [*(text(coding, "display") for coding in codings), text(concept, "text")]
    bare = [each.replace("ELEC_POTL_", "LEAD_") for each in words if each]
    return next((each for each in bare if standard_name(each) is not None), bare[0] if bare else "")


def _damaged(name: str, what: str) -> FeedRefusedError:
    return FeedRefusedError(
        f"damaged or incomplete FHIR: lead {shown_word(name)} {what}; send it again", RefusalReason.DAMAGED
    )
