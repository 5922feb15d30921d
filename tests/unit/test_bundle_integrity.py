import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import performance, tiny_bundle, tiny_bundle_folder, written

from models.bundle import (
    DEFAULT_BUNDLE,
    ENCODER_FILE,
    ENSEMBLE_FILE,
    MANIFEST_FILE,
    MOTION_FILE,
    WEIGHT_FILES,
    Bundle,
    BundleError,
    load_bundle,
    weight_files,
    write_bundle,
)
from models.ensemble import Ensemble
from models.manifest import InputContract, ManifestError, finite_or_none, from_json, to_json


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle_folder(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "bundle"))


@pytest.fixture
def bundle(tiny: Path) -> Bundle:
    return load_bundle(tiny)


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


@pytest.mark.parametrize("name", [*WEIGHT_FILES, MANIFEST_FILE])
@pytest.mark.parametrize("where", [0.02, 0.5, 0.98])
def test_one_flipped_bit_is_refused_naming_the_file(copied: Path, name: str, where: float) -> None:
    content = bytearray((copied / name).read_bytes())
    content[int(where * len(content))] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(BundleError, match=name):
        load_bundle(copied)


@pytest.mark.parametrize("name", [*WEIGHT_FILES, MANIFEST_FILE])
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
        ({"n_folds": "10"}, "manifest.n_folds is not of type int"),
        ({"heads": {"n_heads": 25}}, "manifest.heads.blur is missing"),
        ({"surprise": 1}, "manifest.surprise is unknown"),
        ({"not_for_text": "for everything"}, "bundle_sha256 does not match"),
        ({"manifest_format": 3}, "manifest_format is 3, this version reads 2: update Diastole"),
        ({"manifest_format": 1}, "manifest_format is 1, this version reads 2: train the bundle anew"),
        ({"manifest_format": "2"}, "manifest_format is 2, this"),
        ({"performance": [{}]}, r"manifest.performance\[0\].auc is missing"),
        ({"motion_error": {"e_prime_mae_cm_s": "1.4"}}, "e_prime_mae_cm_s is not of type float"),
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


def test_bundle_of_the_first_format_is_refused_by_its_format_not_by_its_fields(copied: Path) -> None:
    old = {"bundle_sha256": "0", "bundle_version": "old", "files": {}, "metrics": {"auc": 0.9}}
    (copied / MANIFEST_FILE).write_text(json.dumps(old | {"manifest_format": 1}), encoding="utf-8")
    with pytest.raises(BundleError, match="manifest_format is 1"):
        load_bundle(copied)


def test_number_that_could_not_be_computed_is_written_as_none_and_read_back(tmp_path: Path) -> None:
    rows = (performance("external", "women", "ensemble", auc=0.85),)
    folder = written(tmp_path / "some", tiny_bundle(performance=rows))
    assert json.loads((folder / MANIFEST_FILE).read_text())["performance"][0]["auc_low"] is None
    (read,) = load_bundle(folder).manifest.performance
    assert (read.auc, read.auc_low) == (0.85, None)
    assert finite_or_none(math.nan) is None


@pytest.mark.parametrize(
    ("name", "file", "changes"),
    [
        ("encoder", ENCODER_FILE, {"n_outputs": 3}),
        ("motion", MOTION_FILE, {"n_noise": 3}),
    ],
)
def test_weights_of_another_size_are_refused_naming_the_file(
    copied: Path, bundle: Bundle, name: str, file: str, changes: dict[str, int]
) -> None:
    config = replace(getattr(bundle.manifest, name), **changes)
    other = replace(bundle.manifest, **{name: config})
    (copied / MANIFEST_FILE).write_text(to_json(other), encoding="utf-8")
    with pytest.raises(BundleError, match=file):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("encoder", {"filters": ()}),
        ("encoder", {"group_width": 0}),
        ("encoder", {"kernel_size": -1}),
        ("motion", {"strides": ()}),
    ],
)
def test_networks_that_cannot_be_built_are_refused(
    copied: Path, bundle: Bundle, name: str, changes: dict[str, Any]
) -> None:
    config = replace(getattr(bundle.manifest, name), **changes)
    other = replace(bundle.manifest, **{name: config})
    (copied / MANIFEST_FILE).write_text(to_json(other), encoding="utf-8")
    with pytest.raises(BundleError, match="cannot be built"):
        load_bundle(copied)


def test_ensemble_of_another_number_of_heads_is_refused(copied: Path, bundle: Bundle) -> None:
    heads = replace(bundle.manifest.heads, n_heads=bundle.manifest.n_heads + 1)
    other = replace(bundle.manifest, heads=heads)
    (copied / MANIFEST_FILE).write_text(to_json(other), encoding="utf-8")
    with pytest.raises(BundleError, match=ENSEMBLE_FILE):
        load_bundle(copied)


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, 58.0])
def test_threshold_that_is_no_probability_is_refused(tmp_path: Path, probability: float) -> None:
    tiny = tiny_bundle()
    threshold = replace(tiny.manifest.threshold, probability=probability)
    with pytest.raises(BundleError, match=r"threshold\.probability must lie between 0 and 1"):
        load_bundle(written(tmp_path / "odd", tiny_bundle(threshold=threshold)))


@pytest.mark.parametrize("probability", [math.nan, math.inf, -math.inf])
def test_number_that_json_does_not_have_is_refused(tmp_path: Path, probability: float) -> None:
    tiny = tiny_bundle()
    threshold = replace(tiny.manifest.threshold, probability=probability)
    with pytest.raises(BundleError, match="no number of JSON"):
        load_bundle(written(tmp_path / "odd", tiny_bundle(threshold=threshold)))


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (InputContract(samples=2500), "manifest.input differs from what featurize produces"),
        (InputContract(normalisation="none"), "normalisation must be band or ecgfounder"),
        (InputContract(mains_hz=16.7), "mains_hz must be 50 or 60"),
    ],
)
def test_input_that_nothing_produces_is_refused(
    tmp_path: Path, contract: InputContract, message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        load_bundle(written(tmp_path / "odd", tiny_bundle(input=contract)))


def test_simulated_part_that_no_bundle_has_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    training = replace(bundle.manifest.training, simulated_parts=("encoder", "labels"))
    with pytest.raises(BundleError, match="simulated_parts may name encoder, motion, ensemble"):
        load_bundle(written(tmp_path / "odd", tiny_bundle(training=training)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uses": ("motion", "horoscope")}, "heads.uses must name some of motion, foundation"),
        ({"uses": ()}, "heads.uses must name"),
        ({"penalties": ()}, "heads.penalties must be above 0, one at least"),
        ({"penalties": (1.0, 0.0)}, "heads.penalties must be above 0"),
        ({"degree": 3}, "heads.degree must be 1 or 2"),
        ({"drop_rate": 1.0}, "drop_rate is out of range"),
        ({"inner_folds": 1}, "inner_folds must be at least 2"),
    ],
)
def test_plan_by_which_no_heads_could_be_fitted_is_refused(
    tmp_path: Path, bundle: Bundle, changes: dict[str, Any], message: str
) -> None:
    heads = replace(bundle.manifest.heads, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(written(tmp_path / "odd", tiny_bundle(heads=heads)))


def test_bundle_without_heads_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    none = replace(bundle, ensemble=Ensemble(bundle.manifest.encoder.n_features, 0))
    none = replace(none, manifest=replace(bundle.manifest, heads=replace(bundle.manifest.heads, n_heads=0)))
    with pytest.raises(BundleError, match="n_heads must be at least 1"):
        load_bundle(written(tmp_path / "odd", none))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("part", ["encoder", "motion", "ensemble"])
def test_weight_that_is_no_number_is_refused_naming_file_and_tensor(
    tmp_path: Path, part: str, bad: float
) -> None:
    bundle = tiny_bundle()
    name, tensor = next(iter(getattr(bundle, part).state_dict().items()))
    tensor.view(-1)[0] = bad
    with pytest.raises(BundleError, match=rf"{part}\.safetensors holds weights .* {name}"):
        load_bundle(written(tmp_path / "odd", bundle))


def test_written_bundle_is_the_one_that_was_loaded(tmp_path: Path, tiny: Path, bundle: Bundle) -> None:
    files = weight_files(bundle.encoder, bundle.motion, bundle.ensemble)
    write_bundle(tmp_path / "again", bundle.manifest, files)
    assert load_bundle(tmp_path / "again").sha256 == bundle.sha256
    assert {path.name for path in tiny.iterdir()} == {MANIFEST_FILE, *WEIGHT_FILES}
    for path in tiny.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("cut_at", [ENCODER_FILE, MANIFEST_FILE])
def test_a_folder_whose_writing_was_cut_short_is_refused_and_made_good_by_writing_it_again(
    tmp_path: Path, bundle: Bundle, cut_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = weight_files(bundle.encoder, bundle.motion, bundle.ensemble)
    rename = Path.replace

    def cut(path: Path, target: Path) -> Path:
        if target.name == cut_at:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", cut)
        with pytest.raises(KeyboardInterrupt):
            write_bundle(tmp_path / "new", bundle.manifest, files)
    with pytest.raises(BundleError):
        load_bundle(tmp_path / "new")
    write_bundle(tmp_path / "new", bundle.manifest, files)
    assert load_bundle(tmp_path / "new").sha256 == bundle.sha256


def test_files_that_the_manifest_does_not_list_are_not_written(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="does not list"):
        write_bundle(tmp_path / "new", bundle.manifest, {"other": b""})
    assert not (tmp_path / "new").exists()


def test_hash_changes_with_the_threshold(bundle: Bundle) -> None:
    moved = replace(bundle.manifest, threshold=replace(bundle.manifest.threshold, probability=0.123))
    assert moved.sha256 != bundle.manifest.sha256
