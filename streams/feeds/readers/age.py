"""Age at acquisition, from the ways sources write it."""

from datetime import date, datetime
from typing import Final

#: Years in one unit of an Age String (DICOM PS3.5 §6.2, VR AS): 365.25 days a year, 12 months, 7 days a week.
_YEARS_PER_UNIT: Final = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def age_from_string(age: str) -> float | None:
    """Read an Age String such as ``042Y`` or ``018M`` as years; None when it is not one.

    >>> age_from_string("018M")
    1.5
    """
    if len(age) == 4 and age[:3].isdigit() and age[3] in _YEARS_PER_UNIT:
        return round(int(age[:3]) * _YEARS_PER_UNIT[age[3]], 2)
    return None


def age_from_birth(birth_yyyymmdd: str, acquired_at: datetime | None) -> float | None:
    """Return the completed years at acquisition; None when either date is unknown or they contradict.

    >>> age_from_birth("19530508", datetime(2002, 11, 22))
    49.0
    """
    try:
        born = date(int(birth_yyyymmdd[:4]), int(birth_yyyymmdd[4:6]), int(birth_yyyymmdd[6:8]))
    except ValueError:
        return None
    if acquired_at is None or acquired_at.date() < born:
        return None
    had_birthday = (acquired_at.month, acquired_at.day) >= (born.month, born.day)
    return float(acquired_at.year - born.year - (not had_birthday))
