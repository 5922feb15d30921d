"""How the heads of an ensemble are fitted: the plan a bundle keeps, by which a study fits them anew."""

from dataclasses import dataclass
from typing import Final

from models.features import FOUNDATION, MOTION

MEASUREMENTS: Final = "measurements"
DEMOGRAPHICS: Final = "demographics"
#: Inputs that are penalised alike; each group has a penalty of its own.
GROUPS: Final = (MOTION, FOUNDATION, MEASUREMENTS, DEMOGRAPHICS)

#: Half a decade apart. At 0.003 some tens of 1 000 patients' weight hold a coefficient of 1 down by a few
#: percent; at 3 a group of inputs says next to nothing.
PENALTY_GRID: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsPlan:
    """How heads are fitted.

    Attributes
    ----------
    n_heads : int
        Heads, each on its own bootstrap sample of patients; 1 is a single head on all of them.
    uses : tuple of str
        Groups of inputs that may have weights, of :data:`GROUPS`.
    penalties : tuple of float
        Weights of the squared coefficients, per patient, among which inner cross-validation chooses.
    degree : int
        1: linear; 2: the squares of motion and features too, which curve a part's answer and still add up.
    blur : float
        Noise added to measurements, in their standard deviations. One sample, 2 ms, is a third of the
        spread of QRS: heads that trusted a single interval would hear the recorder's rate.
    drop_rate : float
        Share of patients of whom motion, and independently all measurements, age, and sex, are hidden, so
        that the heads know what to do without. Chosen, with ``degree``, on simulated cohorts of other seeds
        than those reported: at 0.08 an ECG without motion was told apart with an AUC of 0.78, at 0.35 with
        0.83, and a whole one as well as before.
    inner_folds : int
        Folds of patients, within those given, by which penalties and calibration are found.
    """

    n_heads: int = 25
    uses: tuple[str, ...] = GROUPS
    penalties: tuple[float, ...] = PENALTY_GRID
    degree: int = 1
    blur: float = 0.5
    drop_rate: float = 0.35
    inner_folds: int = 5
