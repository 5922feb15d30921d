"""What an echocardiogram of the same moment finds, and the phenotype that follows by a nonlinear rule."""

from dataclasses import dataclass

import numpy as np

from models.cohorts.heart import HeartState, Traits
from models.cohorts.tissue_doppler import Velocities


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Findings, each with the noise of its own measurement."""

    e_prime_cm_s: float
    e_over_e_prime: float
    tr_velocity_m_s: float
    la_volume_index_ml_m2: float
    lv_mass_index_g_m2: float

    @property
    def is_high_risk(self) -> bool:
        """The nonlinear, geometry-informed rule the cohort is labelled by.

        Two of four findings of the 2025 ASE guideline, or one of them in a left ventricle that is
        hypertrophied beyond 115 g/m² with a dilated atrium. In the guideline three are of the first step (e',
        E/e', TR velocity), and LAVI > 34 mL/m² is one of the second, asked when those disagree; here all
        count alike. The rule is the simulation's own and no reading of the guideline.
        """
        findings = (
            (self.e_prime_cm_s <= 6.5)
            + (self.e_over_e_prime >= 14.0)
            + (self.tr_velocity_m_s >= 2.8)
            + (self.la_volume_index_ml_m2 > 34.0)
        )
        remodelled = self.lv_mass_index_g_m2 > 115.0 and self.la_volume_index_ml_m2 > 34.0
        return findings >= 2 or (findings == 1 and remodelled)


def draw_echo(rng: np.random.Generator, traits: Traits, state: HeartState, velocities: Velocities) -> Echo:
    """Measure the heart by echo."""
    return Echo(
        e_prime_cm_s=float(max(velocities.e_prime_mean_cm_s + rng.normal(0.0, 0.9), 2.0)),
        e_over_e_prime=float(7.5 + 10.5 * state.filling + rng.normal(0.0, 2.6)),
        tr_velocity_m_s=float(2.22 + 0.78 * state.filling + rng.normal(0.0, 0.32)),
        la_volume_index_ml_m2=float(
            24.0 + 16.0 * state.atrial + 4.0 * state.is_fibrillating + rng.normal(0.0, 6.5)
        ),
        lv_mass_index_g_m2=float(
            78.0 + 50.0 * state.hypertrophy + 8.0 * traits.is_male + rng.normal(0.0, 13.0)
        ),
    )
