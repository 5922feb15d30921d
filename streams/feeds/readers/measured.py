"""The cart's own measurements, told by the codes and words that sources give them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.recorded import CartStatement
from streams.feeds.readers.cart import cart_statement

#: A mean RR interval: no field of its own, but a rate where the source states none.
_RR: Final = "rr_ms"

#: Codes of each measurement of all leads together: LOINC; MDC as DICOM writes it (PS3.16 CID 3227–3229,
#: 3689); the byte of SCP-ECG's section that holds it (EN 1064 §5.10, §5.13). None is of a single lead.
_BY_CODE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("8867-4", "2:16770", "2:16016", "5.10.2.5-1"), "heart_rate_bpm"),
    **dict.fromkeys(("8637-1", "2:16168", "2:16000", "5.10.2.1-3"), _RR),
    **dict.fromkeys(("2:16184", "5.13.5-5"), "p_duration_ms"),
    **dict.fromkeys(("8625-6", "2:15872", "5.13.5-7"), "pr_ms"),
    **dict.fromkeys(("8633-0", "2:16156", "5.13.5-9"), "qrs_ms"),
    **dict.fromkeys(("8634-8", "2:16160", "5.13.5-11"), "qt_ms"),
    **dict.fromkeys(("8636-3", "2:15876", "2:15880", "2:15892", "5.10.2.5-5"), "qtc_ms"),
    **dict.fromkeys(("8626-4", "2:16128", "5.10.3-11"), "p_axis_deg"),
    **dict.fromkeys(("8632-2", "2:16132", "5.10.3-13"), "qrs_axis_deg"),
    **dict.fromkeys(("8638-9", "2:16136", "5.10.3-15"), "t_axis_deg"),
}

#: The same in words, letters alone: DICOM's code meanings and the reference identifiers of IEEE 11073-10102.
_BY_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("heartrate", "ventricularrate", "ventricularheartrate", "meanventricularrate", "mdcecgheartrate"),
        "heart_rate_bpm",
    ),
    **dict.fromkeys(("rrinterval", "rrtimeperiod", "meanrrinterval", "mdcecgtimepdrr"), _RR),
    **dict.fromkeys(("pduration", "pwaveduration", "mdcecgtimepdp"), "p_duration_ms"),
    **dict.fromkeys(("printerval", "prtimeperiod", "pqinterval", "mdcecgtimepdpr"), "pr_ms"),
    **dict.fromkeys(("qrsduration", "qrsinterval", "mdcecgtimepdqrs"), "qrs_ms"),
    **dict.fromkeys(("qtinterval", "qtduration", "mdcecgtimepdqt"), "qt_ms"),
    **dict.fromkeys(
        (
            *("qtc", "qtcinterval", "qtintervalcorrected", "qtcbazett", "qtcfridericia"),
            *("qtcusingbazettformula", "qtcusingfredericiaformula"),
            *("mdcecgtimepdqtc", "mdcecgtimepdqtcb", "mdcecgtimepdqtcf"),
        ),
        "qtc_ms",
    ),
    **dict.fromkeys(("paxis", "pwaveaxis", "pfrontaxis", "mdcecganglepfront"), "p_axis_deg"),
    **dict.fromkeys(("qrsaxis", "raxis", "qrsfrontaxis", "mdcecgangleqrsfront"), "qrs_axis_deg"),
    **dict.fromkeys(("taxis", "twaveaxis", "tfrontaxis", "mdcecgangletfront"), "t_axis_deg"),
}

_MILLISECONDS: Final = {"ms": 1.0, "msec": 1.0, "millisecond": 1.0, "milliseconds": 1.0, "s": 1000.0}
_PER_MINUTE: Final = dict.fromkeys(
    ("/min", "1/min", "{beats}/min", "{h.b.}/min", "{heartbeats}/min", "beats/min", "bpm", "{bpm}"), 1.0
)
_DEGREES: Final = dict.fromkeys(("deg", "degree", "degrees", "°"), 1.0)
_UNITS: Final = {"ms": _MILLISECONDS, "bpm": _PER_MINUTE, "deg": _DEGREES}

#: IEEE 11073 codes with their partition in front: 2:n is 2 · 2^16 + n.
_MDC_PARTITION: Final = 2 * 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One number a source states about the whole ECG, under its own code, words and unit."""

    code: str
    words: str
    amount: float
    unit: str


def statement_of(measured: Iterable[Measured]) -> CartStatement | None:
    """Gather what is known under its code or words, in the units of the record; None where nothing is.

    The first of each wins. What bears another unit, or lies where no measurement lies (29999 for "none"), is
    taken as not stated. Without a rate, that of the mean RR interval is taken.

    >>> statement_of([Measured(code="5.10.2.1-3", words="RR Interval", amount=982.0, unit="ms")])
    ... # doctest: +ELLIPSIS
    CartStatement(heart_rate_bpm=61.1, ...)
    """
    found: dict[str, float] = {}
    for one in measured:
        field = _BY_CODE.get(_partitioned(one.code)) or _BY_WORDS.get(_letters(one.words))
        amount = None if field is None else _converted(one, field)
        if field is not None and amount is not None:
            found.setdefault(field, amount)
    rr_ms = found.pop(_RR, None)
    if rr_ms is not None and "heart_rate_bpm" not in found:
        found["heart_rate_bpm"] = rate_of(rr_ms)
    return cart_statement(**found)


def rate_of(rr_ms: float) -> float:
    """Return the heart rate of a mean RR interval, in beats a minute to a tenth; 0 where it is none.

    >>> rate_of(982), rate_of(0)
    (61.1, 0.0)
    """
    return round(60_000.0 / rr_ms, 1) if rr_ms > 0.0 else 0.0


def _partitioned(code: str) -> str:
    """Write a code of IEEE 11073 with its partition as DICOM does.

    >>> _partitioned("147842")
    '2:16770'
    """
    if code.isascii() and code.isdecimal() and _MDC_PARTITION <= int(code[:9]) < _MDC_PARTITION + 2**16:
        return f"2:{int(code) - _MDC_PARTITION}"
    return code


def _letters(words: str) -> str:
    return re.sub(r"[^a-z]", "", words.lower().replace("global", ""))


def _converted(one: Measured, field: str) -> float | None:
    factor = _UNITS[field.rpartition("_")[2]].get(one.unit.strip().lower())
    return None if factor is None else one.amount * factor
