from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import manifest, performance, tiny_bundle, tiny_bundle_folder, written
from typer.testing import CliRunner

from models.bundle import DEFAULT_BUNDLE, BundleError, load_bundle
from models.card import model_card
from models.comparison import compare_manifests
from models.manifest import Threshold, TrainingRecord
from models.self_test import self_test, self_test_ecg
from ops.cli import main as cli

REAL = TrainingRecord(
    cohort="a hospital's | cohort",
    simulated_parts=(),
    patients=1012,
    seed=1,
    data_sha256="0" * 64,
    pretraining_ecgs=50_000,
    motion_patients=2000,
    recipe={"encoder": "distilled"},
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle_folder(tmp_path_factory.mktemp("bundles") / "tiny")


def section(card: str, title: str) -> list[str]:
    body = card.split(f"## {title}\n")[1].split("\n## ")[0]
    return [line for line in body.splitlines() if line]


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["bundle", *words])
    return result.exit_code, result.output


def test_card_of_the_shipped_bundle_says_first_that_its_data_were_simulated() -> None:
    first = model_card(load_bundle(DEFAULT_BUNDLE).manifest).splitlines()[0]
    assert "trained on simulated data" in first
    assert "not been shown to work on patients" in first


def test_card_of_a_bundle_of_real_patients_says_first_who_they_were() -> None:
    card = model_card(manifest({}, training=REAL))
    assert card.splitlines()[0] == "**The bundle tiny was trained on: a hospital's | cohort.**"
    assert "simulated data only" not in card


def test_card_of_a_bundle_in_part_simulated_says_first_which_parts() -> None:
    card = model_card(manifest({}, training=replace(REAL, simulated_parts=("encoder", "motion"))))
    assert card.splitlines()[0] == (
        "**The bundle tiny was trained on simulated data in part (encoder and motion): a hospital's | "
        "cohort; it has not been shown to work on patients.**"
    )
    assert "- trained on simulated data: encoder, motion" in section(card, "Training data")
    assert "- trained on simulated data: no part" in model_card(manifest({}, training=REAL))


def test_card_has_all_that_a_reader_must_know() -> None:
    stated = tiny_bundle().manifest
    card = model_card(stated)
    for title in ("Intended use", "Not for", "Limits", "Training data", "Threshold and interval"):
        assert section(card, title)
    assert stated.not_for_text in section(card, "Not for")
    assert section(card, "Limits") == [f"- {limit}" for limit in stated.limits]
    assert any(
        "0.5" in line and "specificity 0.9" in line for line in section(card, "Threshold and interval")
    )
    assert stated.interval in card
    for digest in (stated.sha256, *stated.files.values()):
        assert digest in card


def test_performance_has_its_intervals_and_subgroups_a_table_of_their_own() -> None:
    card = model_card(tiny_bundle().manifest)
    whole = section(card, "Performance")
    assert len(whole) == 4  # heads, rule, ensemble, foundation
    assert "| 0.860 (0.830–0.880) |" in whole[2]
    assert whole[3].count("–") == 5  # what is not known is not 0
    assert len(section(card, "Subgroups")) == 3
    assert "women" in section(card, "Subgroups")[2]
    assert "1.410" in section(card, "Synthetic motion against tissue Doppler")[2]


def test_what_was_not_measured_is_called_so() -> None:
    card = model_card(manifest({}, performance=(), motion_error={}))
    assert section(card, "Performance") == ["Not measured."]
    assert section(card, "Synthetic motion against tissue Doppler") == ["Not measured."]


def test_text_of_a_manifest_cannot_break_the_card() -> None:
    rows = (performance("a | b\nc", "all", "ensemble"),)
    card = model_card(manifest({}, performance=rows, limits=("one\n# two",)))
    assert r"| a \| b c | all |" in section(card, "Performance")[2]
    assert section(card, "Limits") == ["- one # two"]


def test_equal_bundles_differ_in_nothing_and_show_their_metrics() -> None:
    lines = compare_manifests(tiny_bundle().manifest, tiny_bundle().manifest)
    assert not any(line.differs for line in lines)
    assert all(line.is_metric for line in lines)
    assert any(line.first == "0.860 (0.830–0.880)" for line in lines)


def test_what_differs_between_bundles_is_named() -> None:
    first = tiny_bundle().manifest
    rows = (performance("development, out of fold", "all", "ensemble", auc=0.9),)
    second = tiny_bundle(
        seed=1,
        bundle_version="other",
        training=REAL,
        threshold=Threshold(probability=0.4, operating_point="specificity 0.9 on nobody"),
        performance=rows,
    ).manifest
    lines = {line.name: line for line in compare_manifests(first, second)}
    assert (lines["threshold.probability"].first, lines["threshold.probability"].second) == ("0.5", "0.4")
    assert lines["training.patients"].second == "1012"
    assert lines["training.recipe.motion"].second == "–"
    assert "threshold.operating_point" not in lines
    assert "sha256.ensemble.safetensors" in lines
    auc = lines["development, out of fold, all, ensemble: AUC"]
    assert (auc.first, auc.second, auc.is_metric) == ("0.860 (0.830–0.880)", "0.900", True)
    assert lines["development, out of fold, women, ensemble: AUC"].second == "–"


def test_self_test_gives_one_answer(tiny: Path) -> None:
    first, again = (self_test(load_bundle(tiny)) for _ in range(2))
    assert first.probability == again.probability
    assert first.motion is not None


def test_self_test_ecg_has_beats_of_an_ordinary_size() -> None:
    ecg = self_test_ecg()
    assert ecg.model_input_uv is not None
    assert ecg.median_beat_uv is not None
    assert 800 < ecg.model_input_uv[1].max() < 1500
    peaks = np.flatnonzero(ecg.model_input_uv[1] == ecg.model_input_uv[1].max())
    assert set(np.diff(peaks)) == {420}


def test_self_test_refuses_a_bundle_whose_answer_is_none() -> None:
    bundle = tiny_bundle()
    bundle.ensemble.weights.fill_(3e38)
    bundle.ensemble.biases.fill_(-3e38)
    with pytest.raises(BundleError, match="valid answer"):
        self_test(bundle)


def test_whole_bundle_is_verified(tiny: Path) -> None:
    code, output = run("verify", str(tiny))
    assert code == 0
    assert load_bundle(tiny).sha256 in output
    assert "scores 0." in output


def test_damaged_bundle_is_not_verified(tmp_path: Path) -> None:
    folder = tiny_bundle_folder(tmp_path / "tiny")
    content = bytearray((folder / "motion.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "motion.safetensors").write_bytes(content)
    result = CliRunner().invoke(cli.app, ["bundle", "verify", str(folder)])
    assert isinstance(result.exception, BundleError)
    assert cli.exit_code(result.exception) == 2
    assert "motion.safetensors" in str(result.exception)


def test_card_is_written_to_standard_output_or_a_file(tiny: Path, tmp_path: Path) -> None:
    code, output = run("card", str(tiny))
    assert code == 0
    assert output == model_card(load_bundle(tiny).manifest)
    assert run("card", str(tiny), "--out", str(tmp_path / "card.md"))[0] == 0
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == output


def test_two_bundles_are_compared(tiny: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other", tiny_bundle(seed=1, bundle_version="other"))
    code, output = run("compare", str(tiny), str(other))
    assert code == 0
    assert "* sha256.encoder.safetensors" in output
    assert run("compare", str(tiny), str(tiny))[1].strip().endswith("the same bundle")


def test_bundle_is_shown_with_its_performance_in_words(tiny: Path) -> None:
    code, output = run("show", str(tiny))
    assert code == 0
    assert "subgroup women, model ensemble" in " ".join(output.split())
