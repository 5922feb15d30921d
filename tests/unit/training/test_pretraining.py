import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from unit.training.ecgs import drawn_cohort

from models.features import COLUMN_NAMES
from models.founder import EncoderConfig
from models.normalisation import Normalisation
from models.progress import silent
from models.training.augmentation import UNCHANGED, Augmentation, AugmentedViews
from models.training.distillation import Distillation, DistillationTask, distil
from models.training.encoder_file import embed, read_encoder
from models.training.loop import LoopPlan, fit
from models.training.pretraining import EncoderTask, Pretraining, pretrain
from models.training.run_folder import RunConfiguration, RunFolder, RunFolderError, open_run
from models.training.schedule import one_cycle
from models.training.targets import (
    MEASUREMENTS,
    TARGETS,
    Standard,
    beat_loss,
    beat_targets,
    column_losses,
    raw_targets,
    scales_mv,
)
from schemas.errors import ConfigurationError

CPU = torch.device("cpu")
SIZE = EncoderConfig(base_filters=16, filters=(16, 16), blocks=(1, 1), n_outputs=len(TARGETS))
TINY = Pretraining(
    encoder=SIZE,
    loop=LoopPlan(epochs=3, batch_size=8, patience=3, seed=1),
    augmentation=Augmentation(crop_samples=1000, whole_share=0.0),
    learning_rate=1e-2,
    validation_share=0.25,
)


def run_in(path: Path, plan: object = TINY, *, resume: bool = False) -> RunFolder:
    configuration = RunConfiguration(command="pretrain", plan=plan, seed=1, data_hash="")
    return open_run(path, configuration, started_at=datetime(2025, 1, 1, tzinfo=UTC), resume=resume)


def test_loss_falls_and_what_was_found_is_kept(tmp_path: Path) -> None:
    cohort, run = drawn_cohort(48), run_in(tmp_path)
    encoder = pretrain(TINY, cohort, run, silent, CPU)
    losses = [row["loss"] for row in run.curves()["encoder"]]
    assert losses[-1] < losses[0]
    found = run.stage("encoder")
    assert (found["trained_ecgs"], found["validated_ecgs"], found["epochs"]) == (36, 12, 3)
    assert {f"r2_{name}" for name in MEASUREMENTS} < set(found["metrics"])
    assert {"r2_beat", "mae_age_years", "auc_is_male"} < set(found["metrics"])
    assert found["metrics"]["r2_pr_ms"] is None, "it was known of nobody"
    again = pretrain(TINY, cohort, run_in(tmp_path, resume=True), silent, CPU)
    assert torch.equal(embed(again, cohort, CPU), embed(encoder, cohort, CPU))


def test_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    cohort = drawn_cohort(16)
    plans = [TINY, TINY, replace(TINY, loop=replace(TINY.loop, seed=2))]
    tasks = [EncoderTask(plan, cohort, CPU) for plan in plans]
    for task, plan in zip(tasks, plans, strict=True):
        fit(task, replace(plan.loop, epochs=1), None, silent)
    one, same, other = (torch.cat([p.flatten() for p in task.encoder.parameters()]) for task in tasks)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_validation_holds_no_patient_that_is_trained_on() -> None:
    cohort = drawn_cohort(24, ecgs_each=3)
    task = EncoderTask(replace(TINY, most_validated=4), cohort, CPU)
    assert len(task.validation_rows) == 4
    trained, judged = (set(cohort.patient_keys[rows]) for rows in (task.train_rows, task.validation_rows))
    assert not trained & judged
    assert len(trained) == 6


def test_missing_targets_do_not_contribute() -> None:
    drawer = torch.Generator().manual_seed(0)
    outputs = torch.randn(6, len(TARGETS), generator=drawer).requires_grad_()
    targets = torch.rand(6, len(TARGETS), generator=drawer).round()
    targets[2:, 0], targets[:, 1] = torch.nan, torch.nan
    losses = column_losses(outputs, targets)
    torch.testing.assert_close(losses[0], (outputs[:2, 0] - targets[:2, 0]).square().mean())
    assert losses[1] == 0.0
    losses.sum().backward()
    gradient = outputs.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert (gradient[2:, 0] == 0).all()
    assert (gradient[:, 1] == 0).all()
    assert (gradient[:2, 0] != 0).all()

    drawn = torch.ones(3, 8, 110, requires_grad=True)
    beats = torch.zeros(3, 8, 110)
    beats[1] = torch.nan
    loss = beat_loss(drawn, beats, variance=0.5)
    assert float(loss.detach()) == pytest.approx(2.0)
    loss.backward()
    assert drawn.grad is not None
    assert (drawn.grad[1] == 0).all()
    assert beat_loss(drawn, torch.full_like(beats, torch.nan), 1.0) == 0.0


def test_ecgs_of_which_nothing_is_known_can_still_be_learnt_from() -> None:
    known = drawn_cohort(16)
    nothing = replace(known, features=np.full_like(known.features, np.nan), beats_uv=known.beats_uv * 0)
    fit(EncoderTask(TINY, nothing, CPU), replace(TINY.loop, epochs=1), None, silent)


def test_targets_are_what_their_names_say() -> None:
    features = np.full((3, len(COLUMN_NAMES)), np.nan, dtype=np.float32)
    row = dict.fromkeys(COLUMN_NAMES, math.nan)
    row |= {"heart_rate_bpm": 60.0, "rr_sd_ms": 150.0, "qrs_axis_deg": -90.0, "r_v5_mv": 1.0, "sex": -1.0}
    features[0] = [row[name] for name in COLUMN_NAMES]
    row |= {"pr_ms": 160.0, "rr_sd_ms": 50.0, "sex": 1.0, "age_years": 50.0}
    features[1] = [row[name] for name in COLUMN_NAMES]
    raw = raw_targets(features, np.array([0.25, 0.5, 1.0], dtype=np.float32))
    of = {name: raw[:, i] for i, name in enumerate(TARGETS)}
    assert of["qrs_axis_deg_cos"][0] == pytest.approx(0.0, abs=1e-6)
    assert of["qrs_axis_deg_sin"][0] == -1.0
    assert of["r_v5_mv"][:2].tolist() == [4.0, 2.0]
    assert (of["p_absent"][:2].tolist(), of["irregular"][:2].tolist()) == ([1.0, 0.0], [1.0, 0.0])
    assert (of["is_male"][:2].tolist(), of["age_years"][1]) == ([0.0, 1.0], 50.0)
    assert np.isnan(raw[2]).all()


def test_standard_leaves_columns_alone_that_never_differ() -> None:
    raw = np.full((4, len(TARGETS)), np.nan, dtype=np.float32)
    raw[:, 0], raw[:, 1], raw[:, -1] = [1.0, 2.0, 3.0, 1000.0], 5.0, [0.0, 1.0, 0.0, 1.0]
    standard = Standard.of(raw[:3])
    out = standard.apply(raw)
    np.testing.assert_allclose(out[:3, 0].mean(), 0.0, atol=1e-6)
    assert out[3, 0] == 4.0, "cut"
    assert (out[:, 1] == 0.0).all()
    assert np.isnan(out[:, 2]).all()
    assert out[:, -1].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_beats_are_asked_for_relative_to_the_ecg() -> None:
    cohort = drawn_cohort(3)
    beats = cohort.beats_uv.copy()
    beats[1] = 0
    scale = scales_mv(cohort.inputs_uv)
    once, twice = beat_targets(beats, scale), beat_targets(beats * 2, scales_mv(cohort.inputs_uv * 2))
    assert once.shape == (3, 8, 110)
    assert np.isnan(once[1]).all()
    np.testing.assert_allclose(once[0], twice[0], rtol=1e-4)
    assert scales_mv(cohort.inputs_uv * 0).tolist() == pytest.approx([1e-3] * 3)


def test_view_that_is_not_changed_is_the_input_of_the_pipeline() -> None:
    uv = torch.from_numpy(drawn_cohort(4).inputs_uv)
    seen = AugmentedViews(UNCHANGED)(uv, torch.Generator().manual_seed(1))
    torch.testing.assert_close(seen, Normalisation()(uv), atol=2e-3, rtol=0.0)


def test_view_is_another_each_time_and_the_same_for_the_same_seed() -> None:
    uv = torch.from_numpy(drawn_cohort(4).inputs_uv)
    views = AugmentedViews(Augmentation(crop_samples=1200, whole_share=0.0))
    one, same, other = (views(uv, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one.shape == (4, 12, 1200)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    whole = AugmentedViews(Augmentation(whole_share=1.0))(uv, torch.Generator().manual_seed(1))
    assert whole.shape == (4, 12, 5000)
    assert float((whole - Normalisation()(uv)).square().mean()) < 0.5, "it is still the same ECG"


def test_dropped_lead_is_flat_and_so_are_those_made_of_it_alone() -> None:
    uv = torch.from_numpy(drawn_cohort(4).inputs_uv)
    view = AugmentedViews(replace(UNCHANGED, lead_dropout=1.0))(uv, torch.Generator().manual_seed(1))
    assert (view == 0).all()


def test_nonsensical_plans_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=f"needs {len(TARGETS)} outputs, not 6"):
        Pretraining(encoder=replace(SIZE, n_outputs=6))
    for crop in (0, 5001):
        with pytest.raises(ConfigurationError, match="a crop has 1 to 5000 samples"):
            Augmentation(crop_samples=crop)
    with pytest.raises(ConfigurationError, match="of 1 patients"):
        EncoderTask(TINY, drawn_cohort(1), CPU)


def test_learning_rate_rises_to_its_peak_and_falls() -> None:
    rates = [one_cycle(i / 100, 2.0) for i in range(101)]
    assert max(rates) == rates[20] == 2.0
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0.0 < rates[100] < 0.001


def test_encoder_that_is_missing_damaged_or_of_another_size_is_refused(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    with pytest.raises(RunFolderError, match="is missing"):
        read_encoder(run, SIZE)
    pretrain(replace(TINY, loop=replace(TINY.loop, epochs=1)), drawn_cohort(16), run, silent, CPU)
    with pytest.raises(RunFolderError, match="of another size"):
        read_encoder(run, replace(SIZE, filters=(16, 32)))
    path = run.path / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunFolderError, match="damaged"):
        read_encoder(run, SIZE)


def test_distilled_encoder_comes_closer_to_its_teacher_and_asks_it_once(tmp_path: Path) -> None:
    cohort = drawn_cohort(48)
    teacher = EncoderTask(TINY, cohort, CPU).encoder.eval()
    plan = Distillation(
        encoder=replace(SIZE, n_outputs=16),
        loop=TINY.loop,
        augmentation=TINY.augmentation,
        learning_rate=1e-2,
        validation_share=0.25,
    )
    asked = []

    def normalise(uv: torch.Tensor) -> torch.Tensor:
        asked.append(len(uv))
        out: torch.Tensor = Normalisation()(uv)
        return out

    run = run_in(tmp_path, plan)
    distil(plan, cohort, teacher, normalise, run, silent, CPU)
    curve = run.curves()["distilled"]
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert (
        run.stage("distilled")["metrics"]["cosine"]
        == curve[run.stage("distilled")["best_epoch"] - 1]["cosine"]
    )
    (run.path / "stages/distilled.json").unlink()
    distil(plan, cohort, teacher, normalise, run, silent, CPU)
    assert sum(asked) == 48
    with pytest.raises(ConfigurationError, match="cannot be taught"):
        DistillationTask(plan, cohort, torch.zeros(48, 15), CPU)
