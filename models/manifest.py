"""What a bundle says about itself: the manifest, its types and its strict reading and writing."""

import dataclasses
import hashlib
import json
import types
import typing
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from models.founder import EncoderConfig
from schemas.featurized import MODEL_INPUT_RATE_HZ, MODEL_INPUT_SAMPLES
from schemas.leads import LEADS_8

T = TypeVar("T")

#: Rises when an older Diastole could not read a newer manifest.
MANIFEST_FORMAT: Final = 1


class ManifestError(ValueError):
    """The manifest does not say what a manifest must say; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputContract:
    """What the model expects in ``EcgFeaturized.model_input_uv``."""

    sample_rate_hz: int = MODEL_INPUT_RATE_HZ
    samples: int = MODEL_INPUT_SAMPLES
    leads: tuple[str, ...] = LEADS_8
    unit: str = "uV"
    band: str = "zero phase, 0.4-75 Hz, 50 and 60 Hz notched (models.resample); then 0.67-40 Hz on the device"
    normalisation: str = "12 leads, z-score over the whole 12 x 5000 array"


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
    """What the model was trained on."""

    cohort: str
    is_simulated: bool
    patients: int
    seed: int


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
    metrics : dict of str to float
        On patients the model has not seen.
    intended_use, not_for_text : str
        What it is for, and must not be used for; the latter goes into every assessment and alert.
    limits : tuple of str
        What is not known or not shown.
    """

    bundle_version: str
    files: dict[str, str]
    encoder: EncoderConfig
    n_heads: int
    threshold: Threshold
    training: TrainingRecord
    metrics: dict[str, float]
    interval: str
    intended_use: str
    not_for_text: str
    limits: tuple[str, ...]
    input: InputContract = InputContract()
    eligibility: Eligibility = Eligibility()
    manifest_format: int = MANIFEST_FORMAT

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
    ManifestError
        Not JSON (NaN and infinities are not), a field missing, unknown, of the wrong type or out of range,
        another format, or a text that is not the one its ``bundle_sha256`` was made of.
    """
    try:
        fields = json.loads(text, parse_constant=_refuse_constant)
    except ManifestError:
        raise
    except ValueError as error:
        raise ManifestError("it is not JSON") from error
    if not isinstance(fields, dict):
        raise ManifestError("it is not a JSON object")
    stated = fields.pop("bundle_sha256", None)
    manifest = _read(Manifest, fields, "manifest")
    if manifest.manifest_format != MANIFEST_FORMAT:
        raise ManifestError(
            f"manifest_format is {manifest.manifest_format}, this version reads {MANIFEST_FORMAT}"
        )
    if manifest.input != InputContract():
        raise ManifestError("input differs from what featurize produces")
    if stated != manifest.sha256:
        raise ManifestError("bundle_sha256 does not match the text, so it was changed after training")
    _require_usable(manifest)
    return manifest


def _refuse_constant(name: str) -> None:
    raise ManifestError(f"{name} is no number of JSON")


def _require_usable(manifest: Manifest) -> None:
    """Refuse what only a mistake in training could have written, hashes and all."""
    if not 0.0 < manifest.threshold.probability < 1.0:
        raise ManifestError("manifest.threshold.probability must lie between 0 and 1")
    if manifest.n_heads < 1:
        raise ManifestError("manifest.n_heads must be at least 1")


def _read(kind: type[T], given: Any, where: str) -> T:
    """Read one dataclass; every field must be there, and none beside them."""
    if not isinstance(given, dict):
        raise ManifestError(f"{where} is not an object")
    hints = typing.get_type_hints(kind)
    names = set(hints)
    for name in sorted(names ^ set(given)):
        raise ManifestError(f"{where}.{name} is {'missing' if name in names else 'unknown'}")
    return kind(**{name: _read_field(hints[name], given[name], f"{where}.{name}") for name in hints})


def _read_field(hint: Any, given: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _read(typing.cast("type[Any]", hint), given, where)
    if isinstance(hint, types.GenericAlias):
        return _read_container(hint, given, where)
    if hint is float and type(given) is int:
        return float(given)
    if type(given) is not hint:
        raise ManifestError(f"{where} is not of type {hint.__name__}")
    return given


def _read_container(hint: types.GenericAlias, given: Any, where: str) -> Any:
    item = typing.get_args(hint)
    if hint.__origin__ is tuple and isinstance(given, list):
        return tuple(_read_field(item[0], entry, where) for entry in given)
    if hint.__origin__ is dict and isinstance(given, dict):
        return {key: _read_field(item[1], entry, f"{where}.{key}") for key, entry in given.items()}
    raise ManifestError(f"{where} is not a {hint.__origin__.__name__}")
