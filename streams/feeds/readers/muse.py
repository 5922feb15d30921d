"""GE MUSE XML (RestingECG): the rhythm recording, and what the cart and the MUSE system say of it."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from xml.etree.ElementTree import Element

from schemas.recorded import CartStatement, Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.age import age_from_birth
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.cart import cart_statement
from streams.feeds.readers.muse_waveform import rhythm_of
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.xml import number, parse_xml, text_at
from streams.feeds.refusal import FeedRefusedError

_SEX: Final = {"FEMALE": Sex.FEMALE, "F": Sex.FEMALE, "MALE": Sex.MALE, "M": Sex.MALE}
_YEARS_PER: Final = {
    "YEARS": 1.0,
    "MONTHS": 1 / 12,
    "WEEKS": 7 / 365.25,
    "DAYS": 1 / 365.25,
    "HOURS": 1 / 8766,
}

#: MUSE writes MM-DD-YYYY; a date that could also be DD-MM-YYYY is never taken for one.
_DATES: Final = ("%m-%d-%Y", "%m/%d/%Y", "%Y-%m-%d", "%Y%m%d", "%d-%b-%Y")

_TIMES: Final = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M")

_PATIENT: Final = "patientdemographics"
_TEST: Final = "testdemographics"

#: Those of the cart first, then those that someone may have edited.
_MEASURED: Final = ("originalrestingecgmeasurements", "restingecgmeasurements")

#: Statements of a paced rhythm; a "wandering atrial pacemaker" is none.
_PACED: Final = re.compile(
    r"\belectronic\b.*\bpacemaker|\bdemand pacemaker|(?<!non)-paced\b|\bpaced (rhythm|beats|complexes)",
    re.IGNORECASE,
)
_YES: Final = {"yes": True, "y": True, "true": True, "1": True}
_NO: Final = {"no": False, "n": False, "false": False, "0": False}


def read_muse(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read a MUSE RestingECG document.

    MUSE stores I, II and V1–V6; the other limb leads are derived downstream. Elements are found in whatever
    case and namespace; ecgdatakit's parser, which is not used, knows one spelling, rounds rates to whole Hz,
    takes the first of several rhythm waveforms, and takes checksums of an undocumented kind for CRC-32.
    Reading the same document again gives the same record.

    Raises
    ------
    FeedRefusedError
        When it has no rhythm waveform, a lead is damaged or without unit, or leads, time or patient lack.
    """
    root = parse_xml(document.content, limits)
    ecg = root if root.tag == "restingecg" else root.find(".//restingecg")
    if ecg is None:
        raise FeedRefusedError("XML of a MUSE system, but no RestingECG; export the resting ECG")
    return assemble(_found(ecg, options, limits), options)


def _found(root: Element, options: ReadOptions, limits: ReadLimits) -> Found:
    rhythm = rhythm_of(root, limits)
    acquired_at = _acquired_at(root)
    model = text_at(root, f"{_TEST}/acquisitiondevice")
    return Found(
        channels=rhythm.channels,
        left_out=rhythm.left_out,
        sample_rate_hz=rhythm.sample_rate_hz,
        source_format="MUSE XML",
        acquired_at=acquired_at,
        patient_id=text_at(root, f"{_PATIENT}/patientid"),
        source_system=f"GE {model}".strip(),
        site_id=_first(root, f"{_TEST}/sitename", f"{_TEST}/site"),
        ward_id=_first(root, f"{_TEST}/locationname", f"{_TEST}/location"),
        device_id=_first(root, "pharmadata/pharmacartid", f"{_TEST}/cartnumber") or model,
        age_years=_age_years(root, acquired_at or options.acquired_at),
        sex=_SEX.get(text_at(root, f"{_PATIENT}/gender").upper(), Sex.UNKNOWN),
        has_pacemaker=_has_pacemaker(root),
        cart=_cart(root),
        notes=rhythm.notes,
    )


def _acquired_at(root: Element) -> datetime | None:
    """Return the local time that the cart's clock showed; the format states no zone."""
    day = _date(text_at(root, f"{_TEST}/acquisitiondate"))
    at = _read(text_at(root, f"{_TEST}/acquisitiontime"), _TIMES)
    return None if day is None or at is None else datetime.combine(day, at.time())


def _date(text: str) -> date | None:
    moment = _read(text, _DATES)
    return None if moment is None else moment.date()


def _read(text: str, layouts: Sequence[str]) -> datetime | None:
    for layout in layouts:
        try:
            return datetime.strptime(text, layout)  # noqa: DTZ007 - a day or a time of day has no zone
        except ValueError:
            continue
    return None


def _age_years(root: Element, acquired_at: datetime | None) -> float | None:
    age = number(text_at(root, f"{_PATIENT}/patientage"))
    years = _YEARS_PER.get(text_at(root, f"{_PATIENT}/ageunits").upper())
    if age is not None and years is not None:
        return round(age * years, 2)
    birth = _date(text_at(root, f"{_PATIENT}/dateofbirth"))
    return None if birth is None else age_from_birth(birth.strftime("%Y%m%d"), acquired_at)


def _has_pacemaker(root: Element) -> bool | None:
    """Return what is said of a pacemaker, or True where the ECG is said to be paced; None when silent.

    Spikes that the cart detected (PaceSpikes) say nothing of themselves: noise makes them too.
    """
    answers = [text_at(root, f"{part}/pacemaker").lower() for part in (_PATIENT, _TEST)]
    for question in root.iterfind("extraquestions/extraquestion"):
        if "pacemaker" in text_at(question, "question").lower():
            answers.append(text_at(question, "answer").lower())
    for answer in answers:
        if answer in _YES or answer in _NO:
            return answer in _YES
    statements = (
        text_at(statement, "stmttext")
        for diagnosis in ("diagnosis", "originaldiagnosis")
        for statement in root.iterfind(f"{diagnosis}/diagnosisstatement")
    )
    return True if any(_PACED.search(statement) for statement in statements) else None


def _cart(root: Element) -> CartStatement | None:
    return cart_statement(
        heart_rate_bpm=_measured(root, "ventricularrate"),
        pr_ms=_measured(root, "printerval"),
        qrs_ms=_measured(root, "qrsduration"),
        qt_ms=_measured(root, "qtinterval"),
        qtc_ms=_measured(root, "qtcorrected"),
        p_axis_deg=_measured(root, "paxis"),
        qrs_axis_deg=_measured(root, "raxis"),
        t_axis_deg=_measured(root, "taxis"),
    )


def _measured(root: Element, name: str) -> float | None:
    numbers = (number(text_at(root, f"{path}/{name}")) for path in _MEASURED)
    return next((measured for measured in numbers if measured is not None), None)


def _first(root: Element, *paths: str) -> str:
    return next(filter(None, (text_at(root, path) for path in paths)), "")
