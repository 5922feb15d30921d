"""A bundle: a folder with a manifest and safetensors, loaded only if every byte is as the manifest lists it.

The hashes are integrity, not authenticity: they find a damaged or half-copied bundle, and name in every
assessment which one was used. Whoever can write the folder can write matching hashes; who may is for the file
system to say.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import safetensors.torch
import torch
from torch import Tensor, nn

from models.atomic import write_atomically
from models.ensemble import Ensemble
from models.founder import Net1D
from models.manifest import Manifest, ManifestError, ManifestFormatError, from_json, to_json
from models.motion import MotionGenerator
from schemas.errors import ConfigurationError

MANIFEST_FILE: Final = "manifest.json"
ENCODER_FILE: Final = "encoder.safetensors"
MOTION_FILE: Final = "motion.safetensors"
ENSEMBLE_FILE: Final = "ensemble.safetensors"
#: Every file of a bundle beside its manifest.
WEIGHT_FILES: Final = (ENCODER_FILE, MOTION_FILE, ENSEMBLE_FILE)

#: The bundle shipped with Diastole, trained on simulated patients alone.
DEFAULT_BUNDLE: Final = Path(__file__).parent / "bundles" / "simulated-2"

_WHAT_TO_DO: Final = "put the bundle's folder back as it was trained, or train it anew"


class BundleError(ConfigurationError):
    """A bundle cannot be trusted or read; the message names the file and what to do."""

    code: ClassVar[str] = "BUNDLE"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A loaded bundle, on the CPU, ready to be put on a device by a predictor.

    Attributes
    ----------
    sha256 : str
        Hash of the manifest, and through it of every file.
    """

    manifest: Manifest
    encoder: Net1D
    motion: MotionGenerator
    ensemble: Ensemble

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.manifest.bundle_version

    @property
    def sha256(self) -> str:
        """The bundle's hash."""
        return self.manifest.sha256


def load_bundle(path: Path) -> Bundle:
    """Load a bundle.

    Raises
    ------
    BundleError
        The folder or a file is missing, a file is there that the manifest does not list, a hash differs, the
        manifest is not as it should be, or the weights do not fit what it describes.
    """
    if not path.is_dir():
        raise BundleError(
            f"there is no bundle folder {path}: set the path of one, or leave it for the default"
        )
    manifest = _read_manifest(path / MANIFEST_FILE)
    _require_same_files(path, manifest)
    contents = {name: _read_checked(path / name, digest) for name, digest in manifest.files.items()}
    encoder, motion, ensemble = _build(manifest)
    for name, module in zip(WEIGHT_FILES, (encoder, motion, ensemble), strict=True):
        _fill(module.eval(), contents[name], name)
    return Bundle(manifest=manifest, encoder=encoder, motion=motion, ensemble=ensemble)


def weight_files(encoder: Net1D, motion: MotionGenerator, ensemble: Ensemble) -> dict[str, bytes]:
    """Make the files of a bundle beside its manifest; their hashes (:func:`sha256`) are for the manifest."""
    parts = zip(WEIGHT_FILES, (encoder, motion, ensemble), strict=True)
    return {name: file_bytes(module) for name, module in parts}


def file_bytes(module: nn.Module) -> bytes:
    """Weights of a module as the bytes of a safetensors file; the same weights give the same bytes."""
    state: dict[str, Tensor] = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    return bytes(safetensors.torch.save(state))


def write_bundle(path: Path, manifest: Manifest, files: dict[str, bytes]) -> None:
    """Write a bundle's folder, the manifest last; doing it again with the same content changes nothing.

    Each file is whole or as it was. A folder whose writing was cut short is refused when it is loaded;
    writing it again makes it good.

    Parameters
    ----------
    files : dict of str to bytes
        What :func:`weight_files` gave; its hashes must be those in ``manifest.files``.

    Raises
    ------
    BundleError
        When they are not.
    """
    if {name: sha256(content) for name, content in files.items()} != manifest.files:
        raise BundleError(f"{MANIFEST_FILE} does not list the files to be written: make it from them")
    for name, content in files.items():
        write_atomically(path / name, content)
    write_atomically(path / MANIFEST_FILE, to_json(manifest).encode())


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _read_manifest(path: Path) -> Manifest:
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path.name} cannot be read from {path.parent}: {_WHAT_TO_DO}") from error
    except ManifestFormatError as error:
        raise BundleError(f"{path.name} in {path.parent}: {error}") from error
    except ManifestError as error:
        raise BundleError(f"{path.name} in {path.parent} is not valid: {error}; {_WHAT_TO_DO}") from error


def _require_same_files(path: Path, manifest: Manifest) -> None:
    for name in sorted(set(WEIGHT_FILES) ^ set(manifest.files)):
        raise BundleError(f"{MANIFEST_FILE} in {path} must list {', '.join(WEIGHT_FILES)} alone, see {name}")
    for entry in sorted(path.iterdir()):
        if entry.name != MANIFEST_FILE and entry.name not in manifest.files:
            raise BundleError(f"{entry.name} in {path} is not part of the bundle: move it away")


def _read_checked(path: Path, digest: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path.name} cannot be read from {path.parent}: {_WHAT_TO_DO}") from error
    if sha256(content) != digest:
        raise BundleError(
            f"{path.name} in {path.parent} has another hash than the manifest says: {_WHAT_TO_DO}"
        )
    return content


def _build(manifest: Manifest) -> tuple[Net1D, MotionGenerator, Ensemble]:
    try:
        return (
            Net1D(manifest.encoder),
            MotionGenerator(manifest.motion),
            Ensemble(manifest.encoder.n_features, manifest.n_heads),
        )
    except (ValueError, IndexError, ArithmeticError, RuntimeError) as error:
        raise BundleError(
            f"{MANIFEST_FILE} describes networks that cannot be built: {_WHAT_TO_DO}"
        ) from error


def _fill(module: nn.Module, content: bytes, name: str) -> None:
    try:
        module.load_state_dict(safetensors.torch.load(content), strict=True)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise BundleError(f"{name} does not fit what {MANIFEST_FILE} describes: {_WHAT_TO_DO}") from error
    for tensor_name, tensor in module.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise BundleError(f"{name} holds weights that are no numbers in {tensor_name}: {_WHAT_TO_DO}")
