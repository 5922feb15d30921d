"""The plan of a whole training under a seed, and a quick one that shows in minutes that all is there."""

from dataclasses import replace
from typing import Final

from models.training.pretraining import QUICK_ECGS, QUICK_EPOCHS, pretraining_plan
from models.training.recipe import TrainingPlan
from models.training.sources import Sizes

_QUICK_HEADS: Final = 5
_QUICK_SIZES: Final = Sizes(registry=QUICK_ECGS, doppler=400, development=200, external=100)


def training_plan(seed: int, *, bundle_version: str | None = None, quick: bool = False) -> TrainingPlan:
    """Return the plan under a seed; a quick one gives a bundle that is good for nothing else.

    Parameters
    ----------
    bundle_version : str, optional
        Names the bundle; default that of the shipped one.
    """
    plan = replace(TrainingPlan(), seed=seed, pretraining=pretraining_plan(seed, quick=quick))
    plan = replace(plan, bundle_version=bundle_version or plan.bundle_version)
    if not quick:
        return plan
    return replace(
        plan,
        bundle_version=f"{plan.bundle_version}-quick",
        sizes=_QUICK_SIZES,
        motion=replace(plan.motion, epochs=QUICK_EPOCHS),
        heads=replace(plan.heads, n_heads=_QUICK_HEADS),
    )
