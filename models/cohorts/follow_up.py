"""Years of simulated follow-up after an ECG: death of heart failure, of something else, or its end."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.cohorts.heart import HeartState, Traits

CENSORED, HEART_FAILURE_DEATH, OTHER_DEATH = 0, 1, 2
#: Follow-up ends for reasons that have nothing to do with the heart, uniformly between these years.
_ENDS_YEARS: Final = (1.0, 7.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """How long a patient was followed, years, and what ended it."""

    years: float
    event: int


def draw_follow_up(rng: np.random.Generator, traits: Traits, state: HeartState) -> FollowUp:
    """Draw one patient's follow-up; constant hazards a year, whose sizes are ours."""
    years_of_age = traits.age_years - 60.0
    heart_failure = 0.0060 * np.exp(
        1.5 * (state.filling - 0.3) + 0.8 * (state.relaxation - 0.3) + 0.025 * years_of_age
    )
    other = 0.0080 * np.exp(0.06 * years_of_age + 0.4 * traits.has_kidney_disease)
    ends = {
        CENSORED: float(rng.uniform(*_ENDS_YEARS)),
        HEART_FAILURE_DEATH: float(rng.exponential(1.0 / heart_failure)),
        OTHER_DEATH: float(rng.exponential(1.0 / other)),
    }
    event = min(ends, key=lambda each: ends[each])
    return FollowUp(years=ends[event], event=event)
