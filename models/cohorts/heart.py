"""A simulated person and the latent state of the heart, from which both the ECG and the echo follow.

Nothing here is a model of a real person. The sizes of all effects are ours, chosen so that prevalences,
ranges and orders are those of adults in an echo laboratory, and so that an ideal reader of the ECG alone
reaches an AUC of 0.86 to 0.90 for the phenotype (asserted by a test).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

#: Deviations of a person's own ECG, and of the person's own echo, from what the heart's state would give.
N_VOICES: Final = 16
N_ECHO_VOICES: Final = 6
_LEANING_SD: Final = 0.20


class Block(StrEnum):
    """Bundle-branch block."""

    NONE = "NONE"
    RIGHT = "RIGHT"
    LEFT = "LEFT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """From whom people are drawn.

    Attributes
    ----------
    age_mean_years, age_sd_years : float
        Of a normal distribution, cut at 25 and 95.
    hypertension_logit, kidney_disease_logit : float
        Log-odds at the age of 60 (of kidney disease: without hypertension).
    illness_logit : float
        Log-odds of being among the ill at the age of 60 without either.
    """

    age_mean_years: float = 62.0
    age_sd_years: float = 15.0
    male_share: float = 0.5
    hypertension_logit: float = -0.1
    kidney_disease_logit: float = -2.2
    illness_logit: float = -0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What stays with a person: demographics, disease, habitus and how disease would show.

    Attributes
    ----------
    leaning : tuple of float
        How much more (or less) than the severity each process is developed: hypertrophy, atrial remodelling,
        impaired relaxation, conduction, filling pressure.
    voice, echo_voice : tuple of float
        The person's own deviations of the ECG and of the echo; standard normal, independent of disease.
    fibrillation_draw, block_draw : float
        Uniform: whose atria fibrillate, and whose bundle branches block, at which state.
    """

    age_years: float
    is_male: bool
    has_hypertension: bool
    has_kidney_disease: bool
    voltage_gain: float
    leaning: tuple[float, ...]
    voice: tuple[float, ...]
    echo_voice: tuple[float, ...]
    fibrillation_draw: float
    block_draw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartState:
    """Latent processes at one moment, 0 healthy to about 1 severe, and the rhythm that follows from them."""

    hypertrophy: float
    atrial: float
    relaxation: float
    conduction: float
    filling: float
    is_fibrillating: bool
    block: Block


def draw_traits(rng: np.random.Generator, population: Population) -> Traits:
    """Draw one adult."""
    age = float(np.clip(rng.normal(population.age_mean_years, population.age_sd_years), 25.0, 95.0))
    decades = (age - 60.0) / 10.0
    hypertension = _happens(rng, population.hypertension_logit + 0.6 * decades)
    kidney_disease = _happens(rng, population.kidney_disease_logit + 0.5 * decades + 0.7 * hypertension)
    return Traits(
        age_years=age,
        is_male=bool(rng.random() < population.male_share),
        has_hypertension=hypertension,
        has_kidney_disease=kidney_disease,
        voltage_gain=float(np.exp(rng.normal(0.0, 0.16))),
        leaning=tuple(rng.normal(0.0, _LEANING_SD, 5)),
        voice=tuple(rng.standard_normal(N_VOICES)),
        echo_voice=tuple(rng.standard_normal(N_ECHO_VOICES)),
        fibrillation_draw=float(rng.random()),
        block_draw=float(rng.random()),
    )


def draw_severity(rng: np.random.Generator, traits: Traits, population: Population) -> float:
    """Severity of somebody referred to echo, 0 to 1: most are mostly well, the others ill."""
    decades = (traits.age_years - 60.0) / 10.0
    logit = population.illness_logit + 0.25 * decades
    logit += 0.6 * traits.has_hypertension + 0.6 * traits.has_kidney_disease
    return float(rng.beta(3.0, 2.0) if _happens(rng, logit) else rng.beta(1.3, 4.0))


def heart_state(traits: Traits, severity: float) -> HeartState:
    """Latent state of a person at a severity; age, hypertension and kidney disease add to it."""
    years = traits.age_years - 60.0
    hypertension, kidney = float(traits.has_hypertension), float(traits.has_kidney_disease)
    lean = traits.leaning
    hypertrophy = _level(0.85 * severity + lean[0] + 0.001 * years + 0.12 * hypertension + 0.10 * kidney)
    atrial = _level(0.90 * severity + lean[1] + 0.003 * years + 0.06 * hypertension)
    relaxation = _level(0.85 * severity + lean[2] + 0.006 * years + 0.08 * hypertension + 0.10 * hypertrophy)
    conduction = _level(0.70 * severity + lean[3] + 0.004 * years)
    # Pressure rises when relaxation and atrium have both gone far; a failing kidney adds volume.
    filling = _level(relaxation * (0.40 + 0.65 * atrial) + lean[4] * 0.6 + 0.10 * kidney)
    return HeartState(
        hypertrophy=hypertrophy,
        atrial=atrial,
        relaxation=relaxation,
        conduction=conduction,
        filling=filling,
        # About 1 % of healthy hearts and 20 % of those most remodelled.
        is_fibrillating=traits.fibrillation_draw < 0.01 + 0.19 * max(atrial, 0.0) ** 2,
        block=_block(traits, conduction),
    )


def _block(traits: Traits, conduction: float) -> Block:
    rate = 0.01 + 0.12 * max(conduction, 0.0) ** 2
    if traits.block_draw < 0.55 * rate:
        return Block.RIGHT
    return Block.LEFT if traits.block_draw < rate else Block.NONE


def _level(level: float) -> float:
    return float(np.clip(level, -0.15, 1.4))


def _happens(rng: np.random.Generator, logit: float) -> bool:
    return bool(rng.random() < 1.0 / (1.0 + np.exp(-logit)))
