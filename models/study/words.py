"""What the study calls each covariate and measurement, for people."""

from typing import Final

_TITLES: Final = {
    "lv_mass_index_g_m2": "LV mass index, g/m²",
    "la_volume_index_ml_m2": "LA volume index, mL/m²",
    "age_years": "age, years",
    "is_male": "male sex",
    "hypertension": "hypertension",
    "kidney_disease": "chronic kidney disease",
    "atrial_fibrillation": "atrial fibrillation",
    "e_over_a": "e'/a'",
    "performance_index": "myocardial performance index",
    "ivct_ms": "isovolumic contraction, ms",
    "ivrt_ms": "isovolumic relaxation, ms",
    "ejection_ms": "ejection, ms",
    "motion": "motion only",
    "foundation": "foundation only",
}
_SIGNS: Final = {"qtc": "QTc", "avl": "aVL", "sd": "SD"} | {
    word: word.upper()
    for word in ("qrs", "pr", "rr", "st", "p", "t", "r", "s", *(f"v{lead}" for lead in range(1, 7)))
}
_UNITS: Final = {
    "cm_s": "cm/s",
    "mv_ms": "mV·ms",
    "mv": "mV",
    "ms": "ms",
    "mm": "mm",
    "deg": "°",
    "bpm": "/min",
}


def title(name: str) -> str:
    """Say a column's name in words, its unit behind.

    >>> title("hypertension"), title("e_prime_septal_cm_s"), title("qrs_axis_deg"), title("anything")
    ('hypertension', "e' septal, cm/s", 'QRS axis, °', 'anything')
    """
    if name in _TITLES:
        return _TITLES[name]
    for unit, sign in _UNITS.items():
        if name.endswith(f"_{unit}"):
            return f"{_words(name.removesuffix(f'_{unit}'))}, {sign}"
    return _words(name)


def short_title(name: str) -> str:
    """Say what was adjusted for, without its unit.

    >>> short_title("age_years"), short_title("is_male")
    ('age', 'sex')
    """
    return "sex" if name == "is_male" else title(name).partition(",")[0]


def _words(name: str) -> str:
    for letter in "sea":
        name = name.replace(f"{letter}_prime", f"{letter}'")
    return " ".join(_SIGNS.get(word, word) for word in name.split("_"))
