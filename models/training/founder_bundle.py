"""A bundle on the full ECGFounder encoder, with a motion generator that is there and a fresh ensemble."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from models.bundle import Bundle
from models.founder import FULL
from models.founder_checkpoint import load_founder
from models.heads_plan import HeadsPlan
from models.manifest import ECGFOUNDER, InputContract, TrainingRecord
from models.progress import Progress, part_of
from models.training.ensemble_stage import fit_and_judge
from models.training.recipe import (
    Learnt,
    Machine,
    Trained,
    TrainingPlan,
    bundle_up,
    data_sha256,
    labelled_cohorts,
    prepare,
)
from models.training.sources import TrainingSources
from schemas.errors import ConfigurationError

#: Names the bundle where nothing else does.
FOUNDER_VERSION: Final = "founder-1"
#: ECGs that ECGFounder was pretrained on, by its authors' account.
FOUNDER_ECGS: Final = 10_771_552
#: Cohorts that are needed where encoder and motion are there.
_LABELLED: Final = ("development", "external")


@dataclass(frozen=True, slots=True, kw_only=True)
class FounderImport:
    """How a bundle is built around the published encoder.

    Attributes
    ----------
    mains_hz : float
        What the published preprocessing notches: 50, or 60 where mains are.
    seed : int
        That of the bundle whose motion is taken, where patients of one cohort are dealt to both: under
        another the ensemble would be judged on patients the generator has seen.
    heads : HeadsPlan
        Coarser than for the compact encoder: with 1024 numbers of an ECG instead of 128 each fit takes
        tens of times as long.
    """

    bundle_version: str = FOUNDER_VERSION
    mains_hz: float = 50.0
    seed: int = 1
    heads: HeadsPlan = field(default_factory=lambda: HeadsPlan(penalties=(0.1, 1.0, 10.0), inner_folds=3))
    n_folds: int = 5


def founder_plan(
    mains_hz: float, *, seed: int, bundle_version: str = FOUNDER_VERSION, quick: bool = False
) -> FounderImport:
    """Plan an import; a quick one gives a bundle that is good for nothing else.

    Raises
    ------
    ConfigurationError
        When mains are neither 50 nor 60 Hz.
    """
    if mains_hz not in (50.0, 60.0):
        raise ConfigurationError(f"--mains-hz {mains_hz:g}: mains are 50 or 60 Hz")
    plan = FounderImport(bundle_version=bundle_version, mains_hz=mains_hz, seed=seed)
    return replace(plan, heads=replace(plan.heads, n_heads=3, penalties=(1.0,)), n_folds=3) if quick else plan


def import_founder(
    checkpoint: Path,
    base: Bundle,
    sources: TrainingSources,
    plan: FounderImport,
    folder: Path,
    machine: Machine,
    progress: Progress,
) -> Trained:
    """Build a bundle on the published checkpoint, into ``folder/bundle``.

    The encoder is taken as it is and the motion generator from ``base``; the ensemble is fitted to both on
    the development cohort, and judged there out of fold and on the external one.

    Raises
    ------
    FounderCheckpointError
        When the checkpoint is not the published network's, to the last key and shape.
    """
    encoder = load_founder(checkpoint)
    named = {name: each for name, each in sources.by_name().items() if name in _LABELLED}
    cohorts = prepare(named, folder, machine.workers, part_of(progress, 0.0, 0.2))
    contract = InputContract(normalisation=ECGFOUNDER, mains_hz=plan.mains_hz)
    whole = TrainingPlan(
        bundle_version=plan.bundle_version, seed=plan.seed, heads=plan.heads, n_folds=plan.n_folds
    )
    judged = fit_and_judge(
        encoder,
        base.motion,
        labelled_cohorts(sources, cohorts, folder),
        contract,
        whole,
        part_of(progress, 0.2, 1.0),
        machine.device,
    )
    before = base.manifest.training
    simulated = {
        "encoder": False,
        "motion": "motion" in before.simulated_parts,
        "ensemble": sources.is_simulated["ensemble"],
    }
    record = TrainingRecord(
        cohort=f"encoder: ECGFounder as published; motion: as in {base.version}; ensemble: {sources.what}",
        simulated_parts=tuple(part for part, is_simulated in simulated.items() if is_simulated),
        patients=judged.n_patients,
        seed=plan.seed,
        data_sha256=data_sha256(named, folder),
        pretraining_ecgs=FOUNDER_ECGS,
        motion_patients=before.motion_patients,
        recipe={
            "encoder": "ECGFounder's published checkpoint, unchanged (MIT; NEJM AI 2025, AIoa2401033)",
            "motion": before.recipe.get("motion", f"as in {base.version}"),
            "ensemble": f"group-penalised bootstrapped heads; penalties {judged.penalties}",
        },
    )
    learnt = Learnt(
        encoder=encoder.eval(),
        encoder_config=FULL,
        generator=base.motion,
        generator_config=base.manifest.motion,
        judged=judged,
    )
    return bundle_up(whole, record, learnt, contract, folder / "bundle")
