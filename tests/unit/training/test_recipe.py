"""The whole recipe on a handful of ECGs: a bundle that loads, stages done once, one fingerprint."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from models.bundle import load_bundle
from models.card import headline
from models.cohorts.store_state import read_state, write_state
from models.founder import EncoderConfig
from models.motion import MotionConfig
from models.progress import silent
from models.training.given_encoder import given_encoder
from models.training.plans import training_plan
from models.training.recipe import BUNDLE_FOLDER, Machine, TrainingPlan, cohort_folder, train_bundle
from models.training.run_folder import RunConfiguration, RunFolder, RunFolderError, open_run
from models.training.sources import Sizes, simulated_sources
from models.training.targets import TARGETS

AT = datetime(2026, 11, 1, tzinfo=UTC)
HERE = Machine(device=torch.device("cpu"), workers=1)
SMALL_NET = EncoderConfig(base_filters=16, filters=(16, 16), blocks=(1, 1), n_outputs=len(TARGETS))


def tiny_plan(seed: int = 1) -> TrainingPlan:
    plan = training_plan(seed, quick=True)
    pretraining = replace(
        plan.pretraining, encoder=SMALL_NET, loop=replace(plan.pretraining.loop, epochs=1, min_epochs=1)
    )
    return replace(
        plan,
        sizes=Sizes(registry=40, doppler=40, development=60, external=30),
        pretraining=pretraining,
        motion=replace(plan.motion, epochs=1),
        heads=replace(plan.heads, n_heads=2, penalties=(0.3, 3.0), inner_folds=2),
        n_folds=3,
    )


def opened(path: Path, plan: TrainingPlan, *, resume: bool = False) -> RunFolder:
    configuration = RunConfiguration(command="train", plan=plan, seed=plan.seed, data_hash="")
    return open_run(path, configuration, started_at=AT, resume=resume)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path, plan = tmp_path_factory.mktemp("runs") / "tiny", tiny_plan()
    sources = simulated_sources(plan.sizes, plan.seed)
    return path, plan, train_bundle(plan, sources, opened(path, plan), HERE, silent)


def test_the_bundle_loads_and_says_what_it_was_trained_on(trained):
    path, plan, result = trained
    manifest = load_bundle(path / BUNDLE_FOLDER).manifest
    assert manifest == result.manifest
    assert manifest.training.is_all_simulated
    assert manifest.heads == plan.heads
    assert manifest.n_folds == plan.n_folds
    assert manifest.training.pretraining_ecgs == 40
    assert manifest.training.motion_patients == 40
    assert manifest.training.patients == 60
    assert "simulated" in manifest.not_for_text
    assert manifest.motion == MotionConfig() == plan.generator


def test_every_model_is_judged_on_both_cohorts(trained):
    performance = trained[2].manifest.performance
    whole = {(row.cohort, row.model): row.n for row in performance if row.subgroup == "all"}
    models = {"ensemble", "foundation", "motion", "foundation, age and sex", "ensemble without motion"}
    assert {model for _, model in whole} == models
    assert {n for (cohort, _), n in whole.items() if cohort == "development"} == {60}
    assert {n for (cohort, _), n in whole.items() if cohort == "external"} == {30}
    assert any(row.subgroup == "sex: female" for row in performance)


def test_the_threshold_keeps_its_operating_point_on_the_development_cohort(trained):
    row = next(each for each in trained[2].manifest.performance if each.model == "ensemble")
    assert row.specificity == pytest.approx(0.95, abs=0.03)


def test_what_a_run_holds_is_not_done_again(trained):
    path, plan, result = trained
    said: list[str] = []
    again = train_bundle(
        plan,
        simulated_sources(plan.sizes, plan.seed),
        opened(path, plan, resume=True),
        HERE,
        lambda what, _done: said.append(what),
    )
    assert again.manifest == result.manifest
    assert not [what for what in said if "epoch" in what or "prepare" in what]


def test_the_same_plan_gives_the_same_bundle_elsewhere(trained, tmp_path):
    _, plan, result = trained
    sources = simulated_sources(plan.sizes, plan.seed)
    assert train_bundle(plan, sources, opened(tmp_path / "b", plan), HERE, silent).manifest == result.manifest


def test_the_data_hash_names_the_ecgs(trained, tmp_path):
    path, _, result = trained
    other = tiny_plan(seed=2)
    elsewhere = train_bundle(
        other, simulated_sources(other.sizes, other.seed), opened(tmp_path / "c", other), HERE, silent
    )
    assert elsewhere.manifest.training.data_sha256 != result.manifest.training.data_sha256
    assert np.load(cohort_folder(path, "development") / "features.npy").shape == (60, 17)


def test_an_encoder_pretrained_before_is_taken_as_it_is(trained, tmp_path):
    path, plan, result = trained
    given = given_encoder(write_pretraining(tmp_path / "pretraining", path, plan))
    sources = simulated_sources(plan.sizes, plan.seed)
    built = train_bundle(plan, sources, opened(tmp_path / "d", plan), HERE, silent, given)
    assert built.manifest.files["encoder.safetensors"] == result.manifest.files["encoder.safetensors"]
    assert not cohort_folder(tmp_path / "d", "registry").exists()
    record = built.manifest.training
    assert record.pretraining_ecgs == given.n_ecgs == result.manifest.training.pretraining_ecgs
    assert record.simulated_parts == ("motion", "ensemble")
    assert "40 ECGs of patients of Registry" in record.recipe["encoder"]
    assert given.sha256 in record.recipe["encoder"]
    assert headline(built.manifest).startswith(
        "The bundle simulated-2-quick was trained on simulated data in part (motion and ensemble): encoder: "
        "patients of Registry; motion and ensemble: simulated people"
    )
    assert "in part (motion and ensemble) on simulated ECGs" in built.manifest.not_for_text


def test_an_encoder_of_which_nobody_knows_whose_ecgs_it_saw_is_refused(trained, tmp_path):
    path, plan, _ = trained
    folder = write_pretraining(tmp_path / "pretraining", path, plan)
    (folder / "cohorts" / "ecgs" / "cohort.json").unlink()
    with pytest.raises(RunFolderError, match="whose ECGs the encoder was trained on"):
        given_encoder(folder)


def test_a_folder_without_a_finished_pretraining_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="diastole pretrain"):
        given_encoder(tmp_path)


def write_pretraining(folder: Path, trained_run: Path, plan: TrainingPlan) -> Path:
    """The run folder that pretraining alone would have left, of ECGs that were recorded."""
    (folder / "stages").mkdir(parents=True)
    (folder / "cohorts" / "ecgs").mkdir(parents=True)
    state = read_state(cohort_folder(trained_run, "registry"))
    recorded = replace(state, provenance=replace(state.provenance, name="Registry", is_simulated=False))
    write_state(folder / "cohorts" / "ecgs", recorded)
    (folder / "config.json").write_text(json.dumps({"plan": asdict(plan.pretraining)}))
    for name in ("encoder.safetensors", "stages/encoder.json"):
        (folder / name).write_bytes((trained_run / name).read_bytes())
    return folder
