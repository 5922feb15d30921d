"""What a bundle says about itself: the manifest, its types, its reading and writing."""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Final

from models.founder import EncoderConfig
from models.heads_plan import GROUPS, HeadsPlan
from models.motion import MotionConfig
from models.strict_reading import StrictReadingError, read_dataclass, read_object
from schemas.featurized import MODEL_INPUT_RATE_HZ, MODEL_INPUT_SAMPLES
from schemas.leads import LEADS_8

#: Rises when an older Diastole could not read a newer manifest. 2: motion, and performance by cohort.
MANIFEST_FORMAT: Final = 2

#: How the encoder's input is made of the model input, on the device: :mod:`models.normalisation`, or the
#: published recipe of ECGFounder, :mod:`models.founder_preprocessing`.
BAND: Final = "band"
ECGFOUNDER: Final = "ecgfounder"
_MAINS_HZ: Final = (50.0, 60.0)

#: What is learnt, each from people of its own.
LEARNT_PARTS: Final = ("encoder", "motion", "ensemble")

ManifestError = StrictReadingError


class ManifestFormatError(ManifestError):
    """The manifest is of a format this version does not read; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputContract:
    """What the model expects in ``EcgFeaturized.model_input_uv``, and what is done to it before the encoder.

    Attributes
    ----------
    normalisation : str
        ``band`` or ``ecgfounder``.
    mains_hz : float
        What the recipe of ECGFounder notches, 50 or 60; the other has no notch of its own.
    """

    sample_rate_hz: int = MODEL_INPUT_RATE_HZ
    samples: int = MODEL_INPUT_SAMPLES
    leads: tuple[str, ...] = LEADS_8
    unit: str = "uV"
    band: str = "zero phase, 0.4-75 Hz, 50 and 60 Hz notched (models.resample); then 0.67-40 Hz on the device"
    normalisation: str = BAND
    mains_hz: float = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """From which probability on the phenotype is HIGH, and why from there."""

    probability: float
    operating_point: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """Whom the model may be asked about. An unknown age is allowed, since the model takes a missing age."""

    min_age_years: float = 18.0
    paced_allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """What the model was trained on.

    Attributes
    ----------
    cohort : str
        Who they were.
    simulated_parts : tuple of str
        Those of :data:`LEARNT_PARTS` that were trained on simulated people.
    patients : int
        With a label, on whom the ensemble was fitted.
    seed : int
        Of all that was drawn, and under which patients were dealt to the parts.
    data_sha256 : str
        Names the ECGs that were prepared for this bundle, to train it and to judge it; not those of a part
        that was taken as trained before.
    pretraining_ecgs, motion_patients : int
        Given to the encoder and to the motion generator, those that stopped their training included; wherever
        that was done, and other people than ``patients``.
    recipe : dict of str to str
        How each part was trained, in words and numbers.
    """

    cohort: str
    simulated_parts: tuple[str, ...]
    patients: int
    seed: int
    data_sha256: str
    pretraining_ecgs: int
    motion_patients: int
    recipe: dict[str, str]

    @property
    def is_simulated(self) -> bool:
        """Whether any part was trained on simulated people."""
        return bool(self.simulated_parts)

    @property
    def is_all_simulated(self) -> bool:
        """Whether every part was."""
        return set(LEARNT_PARTS) <= set(self.simulated_parts)


#: The subgroup that everybody is in.
ALL: Final = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How one model did on one group of patients it was not fitted on; None where it cannot be computed.

    Attributes
    ----------
    cohort, subgroup : str
        E.g. ``development, out of fold``; ``all``, ``women``, ``65 years and older``.
    model : str
        ``ensemble``, or what it is compared with: ``foundation``, ``motion``.
    auc_low, auc_high : float or None
        95 % interval.
    sensitivity, specificity : float or None
        At the bundle's threshold.
    """

    cohort: str
    subgroup: str
    model: str
    n: int
    events: int
    auc: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    brier: float | None = None
    calibration_slope: float | None = None
    calibration_intercept: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A bundle's manifest.

    Attributes
    ----------
    bundle_version : str
        Names the bundle; part of the identity of an assessment.
    files : dict of str to str
        SHA-256 of every other file of the bundle, in hexadecimal, by name.
    interval : str
        What the interval of a probability covers, and what not.
    heads : HeadsPlan
        How the ensemble was fitted, under the seed of ``training``.
    n_folds : int
        Folds of patients in which it was judged out of fold.
    performance : tuple of Performance
        On patients the model has not seen.
    motion_error : dict of str to float
        Of the synthetic motion against tissue Doppler, by what was measured, unit in the name.
    intended_use, not_for_text : str
        What it is for, and must not be used for; the latter goes into every assessment and alert.
    limits : tuple of str
        What is not known or not shown.
    """

    bundle_version: str
    files: dict[str, str]
    encoder: EncoderConfig
    motion: MotionConfig
    heads: HeadsPlan
    n_folds: int
    threshold: Threshold
    training: TrainingRecord
    performance: tuple[Performance, ...]
    motion_error: dict[str, float]
    interval: str
    intended_use: str
    not_for_text: str
    limits: tuple[str, ...]
    input: InputContract = InputContract()
    eligibility: Eligibility = Eligibility()
    manifest_format: int = MANIFEST_FORMAT

    @property
    def n_heads(self) -> int:
        """Count the heads of the ensemble."""
        return self.heads.n_heads

    @property
    def sha256(self) -> str:
        """Hash of all the manifest says, hence, through the files' hashes, of the whole bundle."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def to_json(manifest: Manifest) -> str:
    """Write a manifest with its own hash as ``bundle_sha256``; the same manifest gives the same text."""
    fields = {"bundle_sha256": manifest.sha256, **dataclasses.asdict(manifest)}
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Manifest:
    """Read a manifest.

    Raises
    ------
    ManifestFormatError
        Another format.
    ManifestError
        Not JSON (NaN and infinities are not), a field missing, unknown, of the wrong type or out of range, or
        a text that is not the one its ``bundle_sha256`` was made of.
    """
    fields = read_object(text)
    stated = fields.pop("bundle_sha256", None)
    _require_format(fields.get("manifest_format"))
    manifest = read_dataclass(Manifest, fields, "manifest")
    if stated != manifest.sha256:
        raise ManifestError("bundle_sha256 does not match the text, so it was changed after training")
    _require_usable(manifest)
    return manifest


def finite_or_none(number: float, decimals: int = 4) -> float | None:
    """Round a number for a manifest; None for what JSON cannot hold.

    >>> finite_or_none(0.86123456), finite_or_none(float("nan"))
    (0.8612, None)
    """
    return round(float(number), decimals) if math.isfinite(number) else None


def _require_format(stated: object) -> None:
    if stated == MANIFEST_FORMAT:
        return
    if isinstance(stated, int) and stated < MANIFEST_FORMAT:
        what_to_do = "train the bundle anew, or use the Diastole it was made with"
    else:
        what_to_do = "update Diastole"
    raise ManifestFormatError(
        f"manifest_format is {stated}, this version reads {MANIFEST_FORMAT}: {what_to_do}"
    )


def _require_usable(manifest: Manifest) -> None:
    """Refuse what only a mistake in training could have written, hashes and all."""
    given = manifest.input
    fixed = dataclasses.replace(InputContract(), normalisation=given.normalisation, mains_hz=given.mains_hz)
    if given != fixed:
        raise ManifestError("manifest.input differs from what featurize produces")
    if given.normalisation not in (BAND, ECGFOUNDER):
        raise ManifestError(f"manifest.input.normalisation must be {BAND} or {ECGFOUNDER}")
    if given.mains_hz not in _MAINS_HZ:
        raise ManifestError("manifest.input.mains_hz must be 50 or 60")
    if not 0.0 < manifest.threshold.probability < 1.0:
        raise ManifestError("manifest.threshold.probability must lie between 0 and 1")
    if not set(manifest.training.simulated_parts) <= set(LEARNT_PARTS):
        raise ManifestError(f"manifest.training.simulated_parts may name {', '.join(LEARNT_PARTS)}")
    _require_fitted(manifest.heads, manifest.n_folds)


def _require_fitted(heads: HeadsPlan, n_folds: int) -> None:
    """Refuse a plan by which no study could fit the ensemble anew."""
    if heads.n_heads < 1:
        raise ManifestError("manifest.heads.n_heads must be at least 1")
    if not heads.uses or not set(heads.uses) <= set(GROUPS):
        raise ManifestError(f"manifest.heads.uses must name some of {', '.join(GROUPS)}")
    if not heads.penalties or min(heads.penalties) <= 0.0:
        raise ManifestError("manifest.heads.penalties must be above 0, one at least")
    if heads.degree not in (1, 2):
        raise ManifestError("manifest.heads.degree must be 1 or 2")
    if heads.blur < 0.0 or not 0.0 <= heads.drop_rate < 1.0:
        raise ManifestError("manifest.heads.blur or drop_rate is out of range")
    if min(heads.inner_folds, n_folds) < 2:
        raise ManifestError("manifest.n_folds and manifest.heads.inner_folds must be at least 2")
