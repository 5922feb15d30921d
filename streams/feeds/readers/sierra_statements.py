"""Philips Sierra XML: whose ECG it is, when and on which cart it was recorded, and what that measured."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from schemas.recorded import CartStatement, Sex
from streams.feeds.readers.age import age_from_birth
from streams.feeds.readers.cart import cart_statement
from streams.feeds.readers.xml import attribute_at, number, text_at

SIGNAL: Final = "dataacquisition/signalcharacteristics"
_PATIENT: Final = "patient/generalpatientdata"
_ACQUIRER: Final = "dataacquisition/acquirer"
_MACHINE: Final = "dataacquisition/machine"

_SEX: Final = {"female": Sex.FEMALE, "f": Sex.FEMALE, "male": Sex.MALE, "m": Sex.MALE}
_PACED: Final = {
    **dict.fromkeys(("yes", "paced", "pacemaker", "true"), True),
    **dict.fromkeys(("no", "notpaced", "not paced", "nopacemaker", "no pacemaker", "false"), False),
}
_YEARS_PER: Final = {"years": 1.0, "months": 1 / 12, "weeks": 7 / 365.25, "days": 1 / 365.25}

#: Where measurements are, first what the report prints (1.04, 1.03), then what it was taken from.
_MEASURED: Final = (
    "interpretations/interpretation/globalmeasurements",
    "interpretations/interpretation/interpretationmeasurements",
    "internalmeasurements/crossleadmeasurements",
    "measurements/globalmeasurements",
)
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "heart_rate_bpm": ("heartrate", "meanventrate"),
    "p_duration_ms": ("pdur",),
    "pr_ms": ("print", "meanprint"),
    "qrs_ms": ("qrsdur", "meanqrsdur"),
    "qt_ms": ("qtint", "meanqtint"),
    "qtc_ms": ("qtcb", "meanqtc", "qtcf"),
    "p_axis_deg": ("pfrontaxis",),
    "qrs_axis_deg": ("qrsfrontaxis",),
    "t_axis_deg": ("tfrontaxis",),
}


def acquired_at(root: Element) -> datetime | None:
    """Start of the recording; naive, since the format states no zone, unless its time bears an offset."""
    day = attribute_at(root, "dataacquisition", "date")
    time = attribute_at(root, "dataacquisition", "time")
    try:
        return datetime.fromisoformat(f"{day}T{time}") if day and time else None
    except ValueError:
        return None


def patient_id(root: Element) -> str:
    """Identify the patient by the site's number, the medical record number, or the unique one."""
    return _first(root, f"{_PATIENT}/patientid", f"{_PATIENT}/mrn", f"{_PATIENT}/uniquepatientid")


def source_system(root: Element) -> str:
    """Manufacturer and model of the cart."""
    # detaildescription: "Philips Medical Products:860315:A.01.01.01"
    manufacturer = attribute_at(root, _MACHINE, "detaildescription").partition(":")[0].strip()
    return f"{manufacturer or 'Philips'} {_given(text_at(root, _MACHINE))}".strip()


def device_id(root: Element) -> str:
    """Identify the cart by its own number, else by its model."""
    return _given(attribute_at(root, _MACHINE, "machineid")) or _given(text_at(root, _MACHINE))


def site_id(root: Element) -> str:
    """Name the institution, else the facility."""
    return _first(root, f"{_ACQUIRER}/institutionname", f"{_ACQUIRER}/facilityname")


def ward_id(root: Element) -> str:
    """Name the department, else give its number."""
    return _first(root, f"{_ACQUIRER}/departmentname", f"{_ACQUIRER}/departmentid")


def age_years(root: Element, at: datetime | None) -> float | None:
    """Age as stated, else from the date of birth; the cart's default age is nobody's."""
    for unit, years in _YEARS_PER.items():
        age = number(text_at(root, f"{_PATIENT}/age/{unit}"))
        if age is not None:
            return round(age * years, 2)
    birth = _first(root, f"{_PATIENT}/age/dateofbirth", f"{_PATIENT}/dateofbirth")
    return age_from_birth(birth.replace("-", ""), at)


def sex(root: Element) -> Sex:
    """Sex as stated."""
    return _SEX.get(text_at(root, f"{_PATIENT}/sex").lower(), Sex.UNKNOWN)


def has_pacemaker(root: Element) -> bool | None:
    """Whether the patient is said to have a pacemaker; None for ``Unknown`` and the like."""
    return _PACED.get(text_at(root, f"{_PATIENT}/pacestatus").lower())


def cart(root: Element) -> CartStatement | None:
    """Return the cart's own measurements, none that a reader edited afterwards."""
    return cart_statement(**{field: _measured(root, names) for field, names in _FIELDS.items()})


def _measured(root: Element, names: tuple[str, ...]) -> float | None:
    for path in _MEASURED:
        for name in names:
            element = root.find(f"{path}/{name}")
            is_edited = attribute_at(element, ".", "editedflag").lower() in ("true", "yes", "1")
            measured = None if is_edited else number(text_at(element))
            if measured is not None:
                return measured
    return None


def _first(root: Element, *paths: str) -> str:
    return next(filter(None, (_given(text_at(root, path)) for path in paths)), "")


def _given(text: str) -> str:
    """Drop the dashes that stand for "not given"."""
    return text if text.strip("- ") else ""
