"""What a bundle says of itself in words: what for, what not, what is not known."""

from typing import Final

from models.manifest import TrainingRecord

INTERVAL: Final = (
    "90 %: 5th to 95th percentile over heads fitted on bootstrap samples of patients; encoder and motion "
    "generator held fixed."
)
_NOT_FOR: Final = (
    "Not for diagnosis, treatment or any decision about a patient: this model was trained {how} and has "
    "not been shown to work on patients. It does not replace echocardiography."
)
_LIMITS: Final = (
    "The synthetic motion is what the generator finds likely for this ECG, not a measurement of this heart.",
    "Not for people under 18, paced rhythms, or ECGs of unacceptable quality: these are not scored.",
    "Not shown to improve outcomes, no prospective screening test, no monitor.",
    "The interval covers the fitting of the heads, not encoder and generator, and not how other ECGs differ.",
)
_SIMULATED_LABEL: Final = (
    "The label is a rule on simulated echo findings with noise, not a clinical diagnosis."
)
_SIMULATED_PEOPLE: Final = (
    "Right-heart disease, infarction, congenital disease and drugs are not in the simulated cohorts."
)


def intended_use(record: TrainingRecord) -> str:
    """Say what the bundle is for."""
    phenotype = "a simulated high-risk" if _is_label_simulated(record) else "the high-risk"
    return (
        "Research, evaluation and demonstration of Diastole: from a resting 12-lead ECG of an adult, an "
        f"estimate of the probability of {phenotype} diastolic-dysfunction phenotype."
    )


def not_for(record: TrainingRecord) -> str:
    """Say what it must not be used for: goes into every assessment and alert."""
    if record.is_all_simulated:
        how = "on simulated ECGs alone"
    elif record.is_simulated:
        how = f"in part ({_simulated(record)}) on simulated ECGs"
    else:
        how = "on patients of one site or a few"
    return _NOT_FOR.format(how=how)


def limits(record: TrainingRecord) -> tuple[str, ...]:
    """Say what is not known or not shown."""
    said: list[str] = []
    if record.is_all_simulated:
        said.append("Trained on simulated data only; not shown to work on patients.")
    elif record.is_simulated:
        said.append(
            f"Trained on simulated data in part: {_simulated(record)}; not shown to work on patients."
        )
    if _is_label_simulated(record):
        said.append(_SIMULATED_LABEL)
    if record.is_simulated:
        said.append(_SIMULATED_PEOPLE)
    return (*said, *_LIMITS)


def _is_label_simulated(record: TrainingRecord) -> bool:
    return "ensemble" in record.simulated_parts


def _simulated(record: TrainingRecord) -> str:
    return " and ".join(record.simulated_parts)
