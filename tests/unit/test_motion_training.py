import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from models.cohorts.featurized import Cohort
from models.cohorts.tissue_doppler import Velocities, velocity_curves
from models.features import COLUMN_NAMES
from models.motion import MotionConfig, MotionGenerator, context_rows
from models.motion_measurements import N_VELOCITIES, is_fibrillating, measure_motion, rr_ms
from models.progress import silent
from models.training.loop import fit
from models.training.motion import MotionTask, MotionTraining, train_motion
from models.training.motion_calibration import calibrate_uncertainty
from models.training.motion_discriminator import DiscriminatorConfig, MotionDiscriminator
from models.training.motion_pairs import Pairs
from models.training.run_folder import RunConfiguration, RunFolder, open_run
from schemas.errors import ConfigurationError

CPU = torch.device("cpu")
SMALL = MotionConfig(
    channels=(8, 12, 16), kernel_sizes=(15, 7, 7), strides=(5, 5, 2), n_pooled=8, n_hidden=32, n_noise=4,
    decoder_channels=(16, 16, 12),
)  # fmt: skip
TINY = MotionTraining(
    epochs=8,
    batch_size=32,
    patience=8,
    learning_rate=5e-3,
    discriminator_learning_rate=2e-3,
    discriminator=DiscriminatorConfig(curve_channels=(8, 8), beat_channels=(8, 8), n_hidden=16),
)


def cohort(n: int, seed: int) -> Cohort:
    """Hearts whose e' falls as T flattens; every eighth fibrillates, P and late wave gone."""
    rng = np.random.default_rng(seed)
    at_ms = (np.arange(550) - 200) * 2.0
    beats, curves, features = [], [], np.full((n, len(COLUMN_NAMES)), np.nan, dtype=np.float32)
    for i in range(n):
        tall, rate, fibrillating = rng.uniform(0.1, 1.0), rng.uniform(55.0, 95.0), i % 8 == 7
        wave = np.exp(-0.5 * (at_ms / 11.0) ** 2) + 0.4 * tall * np.exp(-0.5 * ((at_ms - 290) / 40.0) ** 2)
        wave += (not fibrillating) * 0.1 * np.exp(-0.5 * ((at_ms + 150) / 20.0) ** 2)
        gains = np.linspace(300.0, 1200.0, 8)[:, None]
        beats.append(gains * wave + rng.normal(0.0, 4.0, (8, 550)))
        e = 4.0 + 7.0 * tall
        velocities = Velocities(
            s_prime_cm_s=(6.0 + 2.0 * tall, 7.0 + 2.0 * tall),
            e_prime_cm_s=(e, 1.3 * e),
            a_prime_cm_s=None if fibrillating else (8.5, 9.0),
            rr_ms=60000.0 / rate,
            s_onset_ms=75.0,
            s_end_ms=360.0,
            e_onset_ms=440.0,
            e_duration_ms=170.0,
            a_onset_ms=60000.0 / rate - 120.0,
        )
        curves.append(velocity_curves(velocities))
        known = {"heart_rate_bpm": rate, "rr_sd_ms": 150.0 if fibrillating else 20.0, "r_v5_mv": 1.0}
        known |= {} if fibrillating else {"pr_ms": 160.0}
        for name, number in known.items():
            features[i, COLUMN_NAMES.index(name)] = number
    keys = np.array([f"{seed}-{i}" for i in range(n)])
    return Cohort(
        keys=keys,
        patient_keys=keys,
        inputs_uv=np.zeros((n, 8, 5000), dtype=np.int16),
        beats_uv=np.round(beats).astype(np.int16),
        features=features,
        velocities_cm_s=np.array(curves, dtype=np.float32),
    )


@pytest.fixture(scope="module")
def train() -> Cohort:
    return cohort(256, 1)


@pytest.fixture(scope="module")
def held_out() -> Cohort:
    return cohort(96, 2)


@pytest.fixture
def task(train: Cohort, held_out: Cohort) -> Callable[[MotionTraining], MotionTask]:
    return lambda plan: MotionTask(SMALL, plan, train, held_out, seed=5, device=CPU)


@pytest.fixture(scope="module")
def trained(train: Cohort, held_out: Cohort) -> tuple[MotionGenerator, list[dict[str, float]]]:
    plan = replace(TINY, batch_size=16)
    made, result = train_motion(SMALL, plan, train, held_out, seed=5, device=CPU, run=None, progress=silent)
    return made, list(result.curve)


def measured(generator: MotionGenerator, of: Cohort) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    with torch.no_grad():
        curves, _ = generator(torch.from_numpy(of.beats_uv), context_rows(of.features))
    return measure_motion(curves, rr_ms(of.features), is_fibrillating(of.features)).numpy()


def test_training_lowers_the_validation_loss(
    trained: tuple[MotionGenerator, list[dict[str, float]]],
) -> None:
    _, curve = trained
    assert min(row["loss"] for row in curve) < 0.35 * curve[0]["loss"]
    best = min(curve, key=lambda row: row["loss"])
    assert best["mae_e_prime_septal_cm_s"] < 0.6  # the median of all is off by 1.7
    assert {name for name in best if name.startswith("mae_")} >= {
        f"mae_{wave}_prime_{site}_cm_s" for wave in "sea" for site in ("septal", "lateral")
    }


def test_generated_curves_look_like_tissue_doppler(
    trained: tuple[MotionGenerator, list[dict[str, float]]], held_out: Cohort
) -> None:
    generator, _ = trained
    rows = measured(generator, held_out)
    fibrillating = is_fibrillating(held_out.features).numpy()
    assert fibrillating.sum() == 12
    assert np.isnan(rows[fibrillating, 2]).all()
    assert np.isfinite(rows[~fibrillating][:, :N_VELOCITIES]).mean() > 0.95
    with torch.no_grad():
        curves, _ = generator(torch.from_numpy(held_out.beats_uv), context_rows(held_out.features))
    some = curves[~torch.from_numpy(fibrillating)].mean(dim=(0, 1))
    assert 15 < int(some.argmax()) < 55  # s' upward in the first half
    assert 60 < int(some[:100].argmin()) < 100  # e' downward after it
    assert int(some[100:].argmin()) > 5  # a' last


def test_flatter_t_waves_give_a_smaller_e_prime(
    trained: tuple[MotionGenerator, list[dict[str, float]]], held_out: Cohort
) -> None:
    generator, _ = trained
    e_prime = measured(generator, held_out)[:, 1]
    tall = held_out.beats_uv[:, 7, 345].astype(float)
    assert np.corrcoef(tall, e_prime)[0, 1] > 0.8


def test_intervals_hold_nine_of_ten_people(
    trained: tuple[MotionGenerator, list[dict[str, float]]], held_out: Cohort
) -> None:
    generator, _ = trained
    others = Pairs(cohort(200, 3)).batch(torch.arange(200), CPU)
    with torch.no_grad():
        curves, log_sd = generator(others.beats_uv, others.context)
    off = others.velocity_errors(curves).abs()
    known = torch.isfinite(off)
    share = ((off <= 1.645 * log_sd.exp()) & known).sum(dim=0) / known.sum(dim=0)
    assert share.tolist() == pytest.approx([0.9] * N_VELOCITIES, abs=0.09)


def test_calibration_corrects_deviations_that_are_far_too_small(
    trained: tuple[MotionGenerator, list[dict[str, float]]], held_out: Cohort
) -> None:
    generator = MotionGenerator(SMALL)
    generator.load_state_dict(trained[0].state_dict())
    generator.log_sd_shift -= 3.0
    grew = calibrate_uncertainty(generator, held_out)
    assert grew.tolist() == pytest.approx([float(np.exp(3.0))] * N_VELOCITIES, rel=1e-3)
    assert torch.allclose(generator.log_sd_shift, trained[0].log_sd_shift, atol=1e-3)


def test_calibration_leaves_what_too_few_people_have(
    trained: tuple[MotionGenerator, list[dict[str, float]]], held_out: Cohort
) -> None:
    generator = MotionGenerator(SMALL)
    generator.load_state_dict(trained[0].state_dict())
    assert calibrate_uncertainty(generator, held_out.rows(slice(0, 20))).tolist() == [1.0] * N_VELOCITIES


def test_the_discriminator_soon_tells_measured_from_drawn(
    task: Callable[[MotionTraining], MotionTask],
) -> None:
    still = replace(TINY, epochs=2, learning_rate=1e-9)
    curve = fit(task(still), still.loop(1), None, silent).curve
    assert curve[-1]["train_told_apart"] > 0.95
    assert curve[-1]["train_discriminator"] < 0.5 * curve[0]["train_discriminator"]


def test_the_generator_learns_from_the_discriminator_alone(
    task: Callable[[MotionTraining], MotionTask],
) -> None:
    taught = task(replace(TINY, learning_rate=1e-9, epochs=2))
    fit(taught, taught.plan.loop(1), None, silent)  # the discriminator has learnt, the generator has not
    taught.plan = replace(
        TINY, curve_weight=0.0, slope_weight=0.0, peak_weight=0.0, spread_weight=0.0, adversarial_weight=1.0,
        discriminator_learning_rate=1e-9,
    )  # fmt: skip
    taught.learner.train()
    chance = torch.Generator().manual_seed(0)
    terms = [taught.train_step(torch.arange(32), chance, done=0.5) for _ in range(16)]
    assert terms[0]["told_apart"] > 0.95
    assert terms[-1]["adversarial"] < terms[0]["adversarial"] - 0.5
    assert all(p.grad is not None and p.grad.abs().sum() > 0.0 for p in taught.learner.decoder.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0.0 for p in taught.learner.encoder.parameters())


def test_without_an_adversary_nothing_is_lost_but_the_drawing(
    task: Callable[[MotionTraining], MotionTask],
) -> None:
    plan = replace(TINY, epochs=1, adversarial_weight=0.0)
    (row,) = fit(task(plan), plan.loop(1), None, silent).curve
    terms = sum(
        getattr(plan, f"{n}_weight") * row[f"train_{n}"] for n in ("curve", "slope", "peak", "spread")
    )
    assert row["train_loss"] == pytest.approx(terms, rel=1e-4)


def test_rows_without_curves_or_beats_are_left_out(train: Cohort) -> None:
    some = train.rows(np.arange(40))
    some.velocities_cm_s[3, 1, 17] = np.nan
    some.velocities_cm_s[4] = np.nan
    some.beats_uv[9] = 0
    pairs = Pairs(some)
    assert len(pairs) == 37
    assert set(range(40)) - set(pairs.rows.tolist()) == {3, 4, 9}
    batch = pairs.batch(torch.tensor([3, 36]), CPU)
    assert torch.equal(batch.beats_uv[0], torch.from_numpy(some.beats_uv[5]).float())
    assert torch.equal(batch.curves[1], torch.from_numpy(some.velocities_cm_s[39]))
    assert torch.isnan(batch.velocities[1, 2])  # row 39 fibrillates


def test_a_cohort_without_pairs_is_refused(train: Cohort) -> None:
    some = train.rows(np.arange(5))
    some.velocities_cm_s[:] = np.nan
    with pytest.raises(ConfigurationError, match="no ECG"):
        Pairs(some)
    with pytest.raises(ConfigurationError):
        Pairs(train.rows(slice(0, 0)))


class _PowerCutError(Exception):
    pass


def _cut_in_epoch_2(what: str, _done: float) -> None:
    if "epoch 2" in what:
        raise _PowerCutError


def _run(path: Path, plan: MotionTraining, *, resume: bool = False) -> RunFolder:
    configuration = RunConfiguration(command="train", plan=plan, seed=1, data_hash="")
    return open_run(path, configuration, started_at=datetime(2026, 1, 1, tzinfo=UTC), resume=resume)


def test_training_goes_on_after_an_interruption_as_if_there_had_been_none(
    task: Callable[[MotionTraining], MotionTask], tmp_path: Path
) -> None:
    plan = replace(TINY, epochs=3)
    whole = task(plan)
    fit(whole, plan.loop(1), None, silent)
    with pytest.raises(_PowerCutError):
        fit(task(plan), plan.loop(1), _run(tmp_path / "run", plan), _cut_in_epoch_2)
    resumed = task(plan)
    fit(resumed, plan.loop(1), _run(tmp_path / "run", plan, resume=True), silent)
    for name, tensor in whole.generator.state_dict().items():
        assert torch.equal(tensor, resumed.generator.state_dict()[name]), name


def test_another_seed_starts_from_other_weights(train: Cohort, held_out: Cohort) -> None:
    one, other = (MotionTask(SMALL, TINY, train, held_out, seed=s, device=CPU).learner for s in (1, 2))
    assert not torch.equal(one.spread.weight, other.spread.weight)


def test_training_reads_no_model_input(train: Cohort, held_out: Cohort) -> None:
    plan = replace(TINY, epochs=1)
    without = [each.without_inputs().rows(np.arange(64)) for each in (train, held_out)]
    assert [each.inputs_uv.size for each in without] == [0, 0]
    with_inputs = [each.rows(np.arange(64)) for each in (train, held_out)]
    learnt = [
        train_motion(SMALL, plan, *each, seed=5, device=CPU, run=None, progress=silent)[0].state_dict()
        for each in (with_inputs, without)
    ]
    for name, tensor in learnt[0].items():
        assert torch.equal(tensor, learnt[1][name]), name


def test_the_recipe_can_be_written_down() -> None:
    assert json.loads(json.dumps(asdict(MotionTraining())))["augmentation"]["noise_uv"] > 0.0


def test_the_discriminator_looks_at_the_ecg_too(train: Cohort) -> None:
    torch.manual_seed(0)
    judge = MotionDiscriminator(DiscriminatorConfig()).eval()
    batch = Pairs(train).batch(torch.arange(4), CPU)
    with torch.no_grad():
        own = judge(batch.curves, batch.beats_uv, batch.context)
        strange = judge(batch.curves, batch.beats_uv.flip(0), batch.context.flip(0))
    assert own.shape == (4,)
    assert not torch.allclose(own, strange, atol=1e-6)
