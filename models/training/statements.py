"""What a bundle says of itself in words: what for, what not, what is not known."""

from typing import Final

from models.training.sources import TrainingSources

INTERVAL: Final = (
    "90 %: 5th to 95th percentile over heads fitted on bootstrap samples of patients; encoder and motion "
    "generator held fixed."
)
_NOT_FOR: Final = (
    "Not for diagnosis, treatment or any decision about a patient: this model was trained on {data} and has "
    "not been shown to work on patients. It does not replace echocardiography."
)
_LIMITS: Final = (
    "The synthetic motion is what the generator finds likely for this ECG, not a measurement of this heart.",
    "Not for people under 18, paced rhythms, or ECGs of unacceptable quality: these are not scored.",
    "Not shown to improve outcomes, no prospective screening test, no monitor.",
    "The interval covers the fitting of the heads, not encoder and generator, and not how other ECGs differ.",
)
_LIMITS_SIMULATED: Final = (
    "Trained on simulated data only; not shown to work on patients.",
    "The label is a rule on simulated echo findings with noise, not a clinical diagnosis.",
    "Right-heart disease, infarction, congenital disease and drugs are not in the simulated cohorts.",
)


def intended_use(sources: TrainingSources) -> str:
    """Say what the bundle is for."""
    phenotype = "a simulated high-risk" if sources.is_simulated else "the high-risk"
    return (
        "Research, evaluation and demonstration of Diastole: from a resting 12-lead ECG of an adult, an "
        f"estimate of the probability of {phenotype} diastolic-dysfunction phenotype."
    )


def not_for(sources: TrainingSources) -> str:
    """Say what it must not be used for: goes into every assessment and alert."""
    return _NOT_FOR.format(data="simulated ECGs alone" if sources.is_simulated else "one site's patients")


def limits(sources: TrainingSources) -> tuple[str, ...]:
    """Say what is not known or not shown."""
    return (*(_LIMITS_SIMULATED if sources.is_simulated else ()), *_LIMITS)
