"""ECGs as JSON: FHIR resources, and an object of our own for those who have neither a cart's file nor Avro.

::

    {
      "patient_id": "P-77",
      "acquired_at": "2024-02-29T08:30:00+01:00",
      "sample_rate_hz": 500,
      "unit": "uV",
      "leads": {"I": [12, 14, …], "II": […], "V1": […], …},
      "age_years": 63, "sex": "FEMALE", "has_pacemaker": false, "urgency": "STAT",
      "site_id": "north", "ward_id": "cardiology", "device_id": "SN-1", "source_uid": "1.2.3",
      "cart": {"heart_rate_bpm": 72, "qrs_ms": 95}
    }

The first five are required; ``acquired_at`` without an offset is local to the site. ``unit`` is of the
samples: ``nV``, ``uV``, ``mV`` or ``V``; in its place ``uv_per_unit`` may say how many µV one unit is.
Leads are at least I, II and V1–V6, all of one length. Samples may be decimals: what six decimals write comes
through exactly as long as 16 bits hold it; else they are rounded to a 32767th of the largest, 0.05 µV for
3 mV. Keys that are not known are refused rather than dropped.

>>> one = {"patient_id": "P-77", "acquired_at": "2024-02-29T08:30:00+01:00", "sample_rate_hz": 500}
>>> one |= {"unit": "mV", "leads": {lead: [0.005, -0.01] for lead in "I II V1 V2 V3 V4 V5 V6".split()}}
>>> from streams.feeds.limits import DEFAULT_LIMITS
>>> ecg = read_json(Document(content=json.dumps(one).encode()), ReadOptions(), DEFAULT_LIMITS).ecg
>>> ecg.uv_per_unit, ecg.samples[0].tolist(), ecg.acquired_zone
(5.0, [1, -2], '+01:00')
"""

import json  # noqa: F401 - for the example
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.recorded import CartStatement, Sex, Urgency
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.cart import cart_statement
from streams.feeds.readers.decimals import whole_counts
from streams.feeds.readers.fhir import read_fhir_json
from streams.feeds.readers.json_text import named, parse_json
from streams.feeds.readers.leads import pick_leads, shown_word
from streams.feeds.readers.moments import parse_iso_moment
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_TEXTS: Final = (
    "patient_id",
    "acquired_at",
    "site_id",
    "ward_id",
    "device_id",
    "source_uid",
    "source_system",
)
_NUMBERS: Final = ("sample_rate_hz", "uv_per_unit", "age_years")
_OTHERS: Final = ("unit", "leads", "sex", "has_pacemaker", "urgency", "cart")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CART_KEYS: Final = frozenset(field.name for field in fields(CartStatement))


def read_json(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read a FHIR resource, told by its ``resourceType``, or an object of our own format.

    Raises
    ------
    FeedRefusedError
        When it is neither; the message names the key that is wrong, never what stands there.
    """
    ecg = parse_json(document.content, limits)
    if "resourceType" in ecg:
        return read_fhir_json(ecg, options, limits)
    _require_known(ecg, {*_TEXTS, *_NUMBERS, *_OTHERS}, "")
    urgency = _one_of(ecg, "urgency", Urgency)
    return assemble(_found(ecg, limits), replace(options, urgency=urgency) if urgency else options)


def _found(ecg: Mapping[str, Any], limits: ReadLimits) -> Found:
    texts = {key: _text(ecg, key) for key in _TEXTS}
    leads = _leads(ecg, limits)
    acquired_at = parse_iso_moment(texts["acquired_at"])
    if texts["acquired_at"] and acquired_at is None:
        raise FeedRefusedError(
            "key 'acquired_at' is no moment; write it as 2026-01-31T08:15:00+01:00", RefusalReason.NO_TIME
        )
    picked = pick_leads(list(leads))
    columns = {pick.column for pick in picked}
    counts, step = whole_counts(np.array([list(leads.values())[pick.column] for pick in picked]))
    uv_per_count = _uv_per_unit(ecg) * step
    return Found(
        channels=tuple(
            Channel(name=pick.lead, counts=row, uv_per_count=uv_per_count, sign=pick.sign)
            for pick, row in zip(picked, counts, strict=True)
        ),
        left_out=tuple(name for column, name in enumerate(leads) if column not in columns),
        sample_rate_hz=_required_number(ecg, "sample_rate_hz"),
        source_format="JSON",
        acquired_at=acquired_at,
        patient_id=texts["patient_id"],
        source_uid=texts["source_uid"],
        source_system=texts["source_system"],
        site_id=texts["site_id"],
        ward_id=texts["ward_id"],
        device_id=texts["device_id"],
        age_years=_number(ecg, "age_years"),
        sex=_one_of(ecg, "sex", Sex) or Sex.UNKNOWN,
        has_pacemaker=_flag(ecg, "has_pacemaker"),
        cart=_cart(ecg),
    )


def _leads(ecg: Mapping[str, Any], limits: ReadLimits) -> dict[str, npt.NDArray[np.float64]]:
    leads = ecg.get("leads")
    if not isinstance(leads, dict) or not leads:
        raise FeedRefusedError(
            "key 'leads' must be an object of lead names with their samples", RefusalReason.LEADS_MISSING
        )
    arrays = {name: _samples(name, samples) for name, samples in leads.items()}
    sizes = {samples.size for samples in arrays.values()}
    if len(sizes) > 1:
        raise _wrong("leads", "must hold lists of one length")
    if sum(samples.size for samples in arrays.values()) > limits.max_samples:
        raise FeedRefusedError(
            f"more than the {limits.max_samples} samples that are read; send the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )
    return arrays


def _samples(name: str, samples: Any) -> npt.NDArray[np.float64]:
    if not isinstance(samples, list) or not samples:
        raise _wrong("leads", f"must hold a list of samples for {shown_word(name)}")
    if not {type(sample) for sample in samples} <= {int, float}:  # a bool is an int to Python, not here
        place = next(i for i, sample in enumerate(samples) if type(sample) not in (int, float))
        raise _wrong("leads", f"holds what is no number at {shown_word(name)}[{place}]; send no gaps")
    try:
        return np.array(samples, dtype=np.float64)
    except OverflowError:
        raise _wrong("leads", f"holds a number beyond all voltages in {shown_word(name)}") from None


def _uv_per_unit(ecg: Mapping[str, Any]) -> float:
    unit, uv_per_unit = _text(ecg, "unit"), _number(ecg, "uv_per_unit")
    if bool(unit) == (uv_per_unit is not None):
        raise FeedRefusedError(
            "keys 'unit' and 'uv_per_unit': one of them must say what the samples are in",
            RefusalReason.UNIT_UNKNOWN,
        )
    return microvolts_per(unit) if uv_per_unit is None else uv_per_unit


def _cart(ecg: Mapping[str, Any]) -> CartStatement | None:
    cart = ecg.get("cart")
    if cart is None:
        return None
    if not isinstance(cart, dict):
        raise _wrong("cart", "must be an object of measurements")
    _require_known(cart, _CART_KEYS, "cart: ")
    return cart_statement(**{key: _number(cart, key) for key in cart})


def _require_known(given: Mapping[str, Any], known: "set[str] | frozenset[str]", within: str) -> None:
    unknown = next((key for key in given if key not in known), None)
    if unknown is not None:
        raise FeedRefusedError(
            f"{within}a key that is not known: {named(unknown)}; send only {', '.join(sorted(known))}",
            RefusalReason.INVALID_RECORD,
        )


def _text(given: Mapping[str, Any], key: str) -> str:
    text = given.get(key)
    # Half a surrogate pair is lawful JSON, and no text.
    if text is not None and not (isinstance(text, str) and not _SURROGATE.search(text)):
        raise _wrong(key, "must be text")
    return (text or "").strip()


def _number(given: Mapping[str, Any], key: str) -> float | None:
    number = given.get(key)
    if number is None:
        return None
    if type(number) not in (int, float) or not abs(number) < 1e300:
        raise _wrong(key, "must be a number")
    return float(number)


def _required_number(given: Mapping[str, Any], key: str) -> float:
    number = _number(given, key)
    if number is None:
        raise _wrong(key, "is missing")
    return number


def _flag(given: Mapping[str, Any], key: str) -> bool | None:
    flag = given.get(key)
    if flag is not None and not isinstance(flag, bool):
        raise _wrong(key, "must be true or false")
    return flag


def _one_of(given: Mapping[str, Any], key: str, choices: "type[Sex | Urgency]") -> Any:
    text = _text(given, key).upper()
    if text and text not in {choice.value for choice in choices}:
        raise _wrong(key, f"must be one of {', '.join(choices)}")
    return choices(text) if text else None


def _wrong(key: str, rule: str) -> FeedRefusedError:
    return FeedRefusedError(f"key '{key}' {rule}", RefusalReason.INVALID_RECORD)
