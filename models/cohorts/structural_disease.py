"""Structural heart disease as EchoNext lists it, simulated: flags, and what was measured.

Drawn from the same latent state as everything else, with odds of our own. As in EchoNext, a value that was
not measured leaves its flag at 0; ``<flag>_measured`` says so.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from models.cohorts.heart import HeartState, Traits

ANY_DISEASE: Final = "shd_moderate_or_greater_flag"

#: Log-odds of each disease. The intercepts give prevalences of 2–15 %.
_LOGITS: Final[dict[str, Callable[[Traits, HeartState], float]]] = {
    "lvef_lte_45_flag": lambda t, s: -3.9 + 2.2 * s.filling + 1.6 * s.hypertrophy + 1.2 * s.conduction,
    "lvwt_gte_13_flag": lambda t, s: -4.0 + 3.4 * s.hypertrophy + 0.6 * t.has_hypertension,
    "aortic_stenosis_moderate_or_greater_flag": lambda t, s: (
        -4.9 + 2.4 * s.hypertrophy + 0.04 * (t.age_years - 60.0)
    ),
    "aortic_regurgitation_moderate_or_greater_flag": lambda t, s: -4.6 + 2.2 * s.hypertrophy + 0.8 * s.atrial,
    "mitral_regurgitation_moderate_or_greater_flag": lambda t, s: -4.2 + 2.8 * s.atrial + 1.2 * s.filling,
    "tricuspid_regurgitation_moderate_or_greater_flag": lambda t, s: -4.3 + 2.0 * s.filling + 1.8 * s.atrial,
    "pulmonary_regurgitation_moderate_or_greater_flag": lambda t, s: -5.4 + 2.6 * s.filling,
    "rv_systolic_dysfunction_moderate_or_greater_flag": lambda t, s: -4.4 + 2.8 * s.filling,
    "pericardial_effusion_moderate_large_flag": lambda t, s: -5.2 + 1.8 * s.filling,
    "pasp_gte_45_flag": lambda t, s: -4.0 + 3.6 * s.filling,
    "tr_max_gte_32_flag": lambda t, s: -4.4 + 3.4 * s.filling,
}
FLAGS: Final = (*_LOGITS, ANY_DISEASE)

#: Share of echos in which what a flag needs was measured; more in the ill, who are looked at longer.
_MEASURED_LOGIT: Final = 0.8


def draw_flags(rng: np.random.Generator, traits: Traits, state: HeartState) -> dict[str, float]:
    """Draw flags (0 or 1) and ``<flag>_measured``; the composite is 1 where any flag is."""
    flags: dict[str, float] = {}
    for name, logit in _LOGITS.items():
        ill = rng.random() < _odds(logit(traits, state))
        measured = rng.random() < _odds(_MEASURED_LOGIT + 1.2 * ill)
        flags[name] = float(ill and measured)
        flags[f"{name}_measured"] = float(measured)
    flags[ANY_DISEASE] = float(any(flags[name] for name in _LOGITS))
    flags[f"{ANY_DISEASE}_measured"] = 1.0
    return flags


def _odds(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-logit)))
