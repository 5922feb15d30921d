import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.bundle import (
    DEFAULT_BUNDLE,
    ENCODER_FILE,
    HEADS_FILE,
    MANIFEST_FILE,
    Bundle,
    BundleError,
    file_bytes,
    load_bundle,
    sha256,
    write_bundle,
)
from models.fusion import Heads
from models.manifest import Manifest, ManifestError, from_json, to_json


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle"))


def edited(folder: Path, **changes: Any) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_shipped_bundle_loads_and_says_first_what_it_was_trained_on() -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    assert bundle.manifest.limits[0] == "Trained on simulated data only; not shown to work on patients."
    assert "simulated" in bundle.manifest.not_for_text
    assert bundle.manifest.training.is_simulated
    assert bundle.version == DEFAULT_BUNDLE.name
    assert len(bundle.sha256) == 64


def test_shipped_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in DEFAULT_BUNDLE.iterdir()) < 5_000_000


@pytest.mark.parametrize("name", [ENCODER_FILE, HEADS_FILE, MANIFEST_FILE])
@pytest.mark.parametrize("where", [0.02, 0.5, 0.98])
def test_one_flipped_bit_is_refused_naming_the_file(copied: Path, name: str, where: float) -> None:
    content = bytearray((copied / name).read_bytes())
    content[int(where * len(content))] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(BundleError, match=name):
        load_bundle(copied)


@pytest.mark.parametrize("name", [ENCODER_FILE, HEADS_FILE, MANIFEST_FILE])
def test_missing_file_is_refused_naming_it(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(BundleError, match=f"{name} cannot be read"):
        load_bundle(copied)


def test_extra_file_is_refused_naming_it(copied: Path) -> None:
    (copied / "notes.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(BundleError, match=r"notes\.txt .* move it away"):
        load_bundle(copied)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle folder"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 0.5}, "manifest.threshold is not an object"),
        ({"limits": "none"}, "manifest.limits is not a tuple"),
        ({"n_heads": "25"}, "manifest.n_heads is not of type int"),
        ({"surprise": 1}, "manifest.surprise is unknown"),
        ({"not_for_text": "for everything"}, "bundle_sha256 does not match"),
        ({"manifest_format": 2}, "manifest_format is 2"),
        ({"files": {}}, "bundle_sha256 does not match"),
    ],
)
def test_wrong_manifest_is_refused_naming_the_field(copied: Path, changes: Any, message: str) -> None:
    edited(copied, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(copied)


def test_manifest_lacking_a_field_is_refused(copied: Path) -> None:
    fields = json.loads((copied / MANIFEST_FILE).read_text(encoding="utf-8"))
    del fields["eligibility"]
    with pytest.raises(ManifestError, match=r"manifest\.eligibility is missing"):
        from_json(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="JSON"):
        from_json(text)


def test_weights_of_another_size_are_refused_naming_the_file(copied: Path) -> None:
    manifest = load_bundle(DEFAULT_BUNDLE).manifest
    smaller = replace(manifest, encoder=replace(manifest.encoder, n_outputs=3))
    (copied / MANIFEST_FILE).write_text(to_json(smaller), encoding="utf-8")
    with pytest.raises(BundleError, match=ENCODER_FILE):
        load_bundle(copied)


def written(folder: Path, manifest: Manifest, bundle: Bundle) -> Path:
    """A bundle whose hashes are right, whatever it holds."""
    files = {ENCODER_FILE: file_bytes(bundle.encoder), HEADS_FILE: file_bytes(bundle.heads)}
    listed = {name: sha256(content) for name, content in files.items()}
    write_bundle(folder, replace(manifest, files=listed), files)
    return folder


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, 58.0])
def test_threshold_that_is_no_probability_is_refused(tmp_path: Path, probability: float) -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    threshold = replace(bundle.manifest.threshold, probability=probability)
    with pytest.raises(BundleError, match=r"threshold\.probability must lie between 0 and 1"):
        load_bundle(written(tmp_path / "odd", replace(bundle.manifest, threshold=threshold), bundle))


@pytest.mark.parametrize("probability", [math.nan, math.inf, -math.inf])
def test_number_that_json_does_not_have_is_refused(tmp_path: Path, probability: float) -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    threshold = replace(bundle.manifest.threshold, probability=probability)
    with pytest.raises(BundleError, match="no number of JSON"):
        load_bundle(written(tmp_path / "odd", replace(bundle.manifest, threshold=threshold), bundle))


def test_bundle_without_heads_is_refused(tmp_path: Path) -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    none = replace(bundle, heads=Heads(bundle.manifest.encoder.n_features, 0))
    with pytest.raises(BundleError, match="n_heads must be at least 1"):
        load_bundle(written(tmp_path / "odd", replace(bundle.manifest, n_heads=0), none))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("part", ["encoder", "heads"])
def test_weight_that_is_no_number_is_refused_naming_file_and_tensor(
    tmp_path: Path, part: str, bad: float
) -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    name, tensor = next(iter(getattr(bundle, part).state_dict().items()))
    tensor.view(-1)[0] = bad
    with pytest.raises(BundleError, match=rf"{part}\.safetensors holds weights .* {name}"):
        load_bundle(written(tmp_path / "odd", bundle.manifest, bundle))


def test_written_bundle_is_the_one_that_was_loaded(tmp_path: Path) -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    files = {ENCODER_FILE: file_bytes(bundle.encoder), HEADS_FILE: file_bytes(bundle.heads)}
    write_bundle(tmp_path / "again", bundle.manifest, files)
    assert load_bundle(tmp_path / "again").sha256 == bundle.sha256
    for path in DEFAULT_BUNDLE.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_files_that_the_manifest_does_not_list_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not list"):
        write_bundle(tmp_path / "new", load_bundle(DEFAULT_BUNDLE).manifest, {"other": b""})
    assert not (tmp_path / "new").exists()


def test_hash_changes_with_the_threshold() -> None:
    manifest = load_bundle(DEFAULT_BUNDLE).manifest
    moved = replace(manifest, threshold=replace(manifest.threshold, probability=0.123))
    assert moved.sha256 != manifest.sha256
