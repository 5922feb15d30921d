from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.features import COLUMN_NAMES, MEASUREMENT_PARTS
from models.motion import CONTEXT_COLUMNS, MotionConfig, MotionGenerator, context_rows, has_beat, smoothed


@pytest.fixture(scope="module")
def generator() -> MotionGenerator:
    torch.manual_seed(3)
    made = MotionGenerator(MotionConfig()).eval()
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    return made


def beats(n: int = 5) -> Tensor:
    random = torch.Generator().manual_seed(7)
    return torch.randint(-900, 900, (n, 8, 550), generator=random, dtype=torch.int16)


def context(n: int = 5, amplitude: float = 1.0) -> Tensor:
    return torch.tensor([[74.0, 21.0, amplitude]]).repeat(n, 1)


def test_curves_of_two_sites_and_six_deviations_come_out(generator: MotionGenerator) -> None:
    curves, log_sd = generator(beats(), context())
    assert curves.shape == (5, 2, 128)
    assert log_sd.shape == (5, 6)
    assert curves.dtype == log_sd.dtype == torch.float32


def test_without_noise_the_answer_is_one_and_the_same(generator: MotionGenerator) -> None:
    first, _ = generator(beats(), context())
    again, _ = generator(beats(), context(), None)
    still, _ = generator(beats(), context(), torch.zeros(5, generator.config.n_noise))
    assert torch.equal(first, again)
    assert torch.equal(first, still)


def test_noise_moves_the_curves_and_not_the_deviations(generator: MotionGenerator) -> None:
    noise = torch.randn(5, generator.config.n_noise, generator=torch.Generator().manual_seed(0))
    answer, stated = generator(beats(), context())
    drawn, stated_too = generator(beats(), context(), noise)
    assert not torch.allclose(answer, drawn)
    assert torch.equal(stated, stated_too)


def test_batch_mates_do_not_matter(generator: MotionGenerator) -> None:
    together, stated = generator(beats(), context())
    alone, stated_alone = generator(beats()[3:4], context()[3:4])
    assert torch.allclose(together[3:4], alone, atol=1e-4)
    assert torch.allclose(stated[3:4], stated_alone, atol=1e-5)


@pytest.mark.parametrize("missing", range(len(CONTEXT_COLUMNS)))
def test_missing_context_gives_another_finite_answer(generator: MotionGenerator, missing: int) -> None:
    known = context()
    unknown = known.clone()
    unknown[:, missing] = torch.nan
    curves, log_sd = generator(beats(), unknown)
    assert torch.isfinite(curves).all()
    assert torch.isfinite(log_sd).all()
    assert not torch.equal(curves, generator(beats(), known)[0])


def test_an_unknown_amplitude_is_not_looked_at(generator: MotionGenerator) -> None:
    small, large = beats() * 0.3, beats().float()
    unknown = context(amplitude=float("nan"))
    assert torch.allclose(generator(small, unknown)[0], generator(large, unknown)[0], atol=1e-4)
    assert not torch.allclose(generator(small, context())[0], generator(large, context())[0], atol=1e-4)


def test_an_absurd_context_counts_as_a_very_large_one(generator: MotionGenerator) -> None:
    absurd, more_so = torch.tensor([[900.0, 9e3, 1.0]]), torch.tensor([[1000.0, 9.9e3, 1.0]])
    assert torch.equal(generator(beats(1), absurd)[0], generator(beats(1), more_so)[0])


def test_a_beat_of_zeros_is_no_beat_and_breaks_nothing(generator: MotionGenerator) -> None:
    some = beats()
    some[2] = 0
    assert has_beat(some).tolist() == [True, True, False, True, True]
    curves, log_sd = generator(some, context())
    assert torch.isfinite(curves).all()
    assert torch.isfinite(log_sd).all()


def test_configuration_and_weights_rebuild_the_generator(generator: MotionGenerator) -> None:
    rebuilt = MotionGenerator(MotionConfig(**asdict(generator.config)))
    rebuilt.load_state_dict(generator.state_dict(), strict=True)
    assert torch.equal(rebuilt(beats(), context())[0], generator(beats(), context())[0])
    assert all(tensor.is_contiguous() for tensor in rebuilt.state_dict().values())
    assert {tensor.dtype for tensor in rebuilt.state_dict().values()} == {torch.float32}


def test_another_size_has_other_weights_and_the_same_shapes() -> None:
    small = replace(MotionConfig(), channels=(8, 8, 8, 8), n_pooled=4, n_hidden=16, decoder_channels=(8, 8))
    curves, log_sd = MotionGenerator(small)(beats(2), context(2))
    assert curves.shape == (2, 2, 128)
    assert log_sd.shape == (2, 6)


def test_the_shipped_size_is_small(generator: MotionGenerator) -> None:
    assert 100_000 < sum(p.numel() for p in generator.parameters()) < 350_000


def test_deviations_move_with_their_calibration(generator: MotionGenerator) -> None:
    other = MotionGenerator(generator.config)
    other.load_state_dict(generator.state_dict())
    other.log_sd_shift += torch.arange(6.0)
    moved = other(beats(), context())[1] - generator(beats(), context())[1]
    assert torch.allclose(moved, torch.arange(6.0).expand(5, 6), atol=1e-5)


def test_the_answer_can_be_traced_to_the_beat(generator: MotionGenerator) -> None:
    x = beats(1).float().requires_grad_()
    generator(x, context(1))[0].abs().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0.0


def test_smoothing_keeps_levels_and_slopes() -> None:
    straight = torch.linspace(-5.0, 5.0, 128).expand(1, 2, -1)
    assert torch.allclose(smoothed(straight)[..., 2:-2], straight[..., 2:-2], atol=1e-5)
    assert torch.allclose(smoothed(torch.full((1, 2, 128), 7.0)), torch.tensor(7.0))


def test_context_is_read_from_feature_rows() -> None:
    rows = np.full((3, len(COLUMN_NAMES)), np.nan, dtype=np.float32)
    rows[:, COLUMN_NAMES.index("heart_rate_bpm")] = (60.0, 70.0, np.nan)
    rows[:, COLUMN_NAMES.index("rr_sd_ms")] = (20.0, np.nan, 30.0)
    rows[0, COLUMN_NAMES.index(MEASUREMENT_PARTS["voltage"][-1])] = 1.4  # one voltage: samples have a unit
    got = context_rows(rows)
    assert got.dtype == torch.float32
    nan = float("nan")
    wanted = torch.tensor([[60.0, 20.0, 1.0], [70.0, nan, nan], [nan, 30.0, nan]])
    assert torch.equal(got.nan_to_num(-1.0), wanted.nan_to_num(-1.0))
    assert torch.equal(context_rows(torch.from_numpy(rows)).nan_to_num(-1.0), got.nan_to_num(-1.0))
