"""Which row is which lead: names as sources write them, and the limb leads that follow from the others."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.leads import DERIVED_FROM_I_II, LEADS_12

#: Each limb lead as weights of (I, II).
LIMB_FROM_I_II: Final[dict[str, tuple[float, float]]] = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    **DERIVED_FROM_I_II,
}

# What vendors put around the name: IEEE 11073 (MDC_ECG_LEAD_I), DICOM ("Lead I (Einthoven)"), DI/D1 in
# Latin America and CODE-15 %, C1–C6 in IEC 60601-2-25. Written without separators, in capitals. A bare number
# names no lead: "ECG 1" is a monitor's first channel, wherever its electrodes are.
_DECORATION: Final = re.compile(r"\([^)]*\)|MDC_ECG_|ECG|LEAD|[\s_:.]+")
_SPELLINGS: Final = {
    **{name.upper(): name for name in LEADS_12},
    **{f"D{name}": name for name in ("I", "II", "III")},
    **{f"{prefix}{i}": name for prefix in ("D", "L") for i, name in enumerate(("I", "II", "III"), 1)},
    **{f"C{i}": f"V{i}" for i in range(1, 7)},
    **{f"V{side}": f"aV{side}" for side in "RLF"},
}


def standard_name(name: str) -> tuple[str, float] | None:
    """Name of a lead in :data:`schemas.leads.LEADS_12` and its sign.

    Parameters
    ----------
    name : str
        As the source writes it. A leading minus means the inverted lead (−aVR of the Cabrera sequence).

    Returns
    -------
    tuple of (str, float) or None
        None when it is none of the twelve (Frank X, V3R, V7, respiration …).

    Examples
    --------
    >>> standard_name("MDC_ECG_LEAD_AVR"), standard_name("-aVR"), standard_name("Lead I (Einthoven)")
    (('aVR', 1.0), ('aVR', -1.0), ('I', 1.0))
    >>> standard_name("vx") is None
    True
    """
    bare = _DECORATION.sub("", name.strip().upper().replace("−", "-").replace("–", "-"))
    sign = -1.0 if bare.startswith("-") else 1.0
    found = _SPELLINGS.get(bare.lstrip("+-"))
    return None if found is None else (found, sign)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeadPlan:
    """How the rows of a recording become the twelve leads.

    Attributes
    ----------
    weights : numpy.ndarray
        float64, (12, n_rows): lead i is ``weights[i] @ rows``; all zero for a missing lead. Read-only.
    missing : tuple of str
        Leads that are neither there nor derivable, in standard order.
    given : tuple of str
        Leads that the source recorded itself, in standard order.
    """

    weights: npt.NDArray[np.float64]
    missing: tuple[str, ...]
    given: tuple[str, ...]

    def resting_on(self, dead: Collection[str]) -> tuple[str, ...]:
        """Leads without a signal when those in ``dead`` have none: they, and what is derived from them."""
        rows = [self.weights[LEADS_12.index(lead)] != 0 for lead in dead if lead in self.given]
        used = np.any(rows, axis=0) if rows else np.zeros(self.weights.shape[1], dtype=bool)
        return tuple(
            lead
            for lead, of in zip(LEADS_12, self.weights, strict=True)
            if lead in self.missing or (of[used] != 0).any()
        )


@lru_cache(maxsize=256)
def plan_leads(lead_names: tuple[str, ...]) -> LeadPlan:
    """Plan the twelve leads from the rows that ``lead_names`` names.

    A lead that is given is taken as it is (the first, when two rows bear one name). A limb lead that is not
    is computed from I and II, or, without both, from whichever limb leads determine them (least squares).
    """
    rows = _first_rows(lead_names)
    weights = np.zeros((len(LEADS_12), len(lead_names)))
    frontal = _frontal_plane(rows, len(lead_names))
    missing: list[str] = []
    for i, lead in enumerate(LEADS_12):
        if lead in rows:
            row, sign = rows[lead]
            weights[i, row] = sign
        elif lead in LIMB_FROM_I_II and frontal is not None:
            weights[i] = np.asarray(LIMB_FROM_I_II[lead]) @ frontal
        else:
            missing.append(lead)
    weights.flags.writeable = False
    return LeadPlan(
        weights=weights, missing=tuple(missing), given=tuple(lead for lead in LEADS_12 if lead in rows)
    )


def _first_rows(lead_names: Sequence[str]) -> dict[str, tuple[int, float]]:
    rows: dict[str, tuple[int, float]] = {}
    for row, name in enumerate(lead_names):
        standard = standard_name(name)
        if standard is not None:
            rows.setdefault(standard[0], (row, standard[1]))
    return rows


def _frontal_plane(rows: dict[str, tuple[int, float]], n_rows: int) -> npt.NDArray[np.float64] | None:
    """Weights (2, n_rows) of I and II; None when the limb leads given do not determine them."""
    limb: list[str] = [lead for lead in ("I", "II") if lead in rows]
    if len(limb) < 2:
        limb = [lead for lead in LIMB_FROM_I_II if lead in rows]
    mixing = np.array([LIMB_FROM_I_II[lead] for lead in limb]).reshape(-1, 2)  # (n_limb, 2)
    if np.linalg.matrix_rank(mixing) < 2:
        return None
    weights = np.zeros((2, n_rows))
    solved = np.linalg.pinv(mixing)  # (2, n_limb)
    for column, lead in enumerate(limb):
        row, sign = rows[lead]
        weights[:, row] = solved[:, column] * sign
    return weights
