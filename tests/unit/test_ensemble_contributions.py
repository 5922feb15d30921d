import numpy as np
import pytest
import torch
from tiny_bundle import tiny_bundle

from models.ensemble import Ensemble, input_parts, part_matrix
from models.features import CLIP, COLUMNS, FOUNDATION, MOTION, PARTS
from models.motion_measurements import MOTION_COLUMNS

N_EMBEDDING = tiny_bundle().ensemble.n_embedding
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return tiny_bundle(seed=3).ensemble


@pytest.fixture
def inputs() -> Inputs:
    """Embedding, motion and features of 20 people, some of each missing."""
    generator = torch.Generator().manual_seed(1)
    embedding = torch.randn(20, N_EMBEDDING, generator=generator)
    motion = 8.0 + 4.0 * torch.randn(20, len(MOTION_COLUMNS), generator=generator)
    features = 50.0 + 60.0 * torch.randn(20, len(COLUMNS), generator=generator)
    motion[:4] = torch.nan
    motion[4:8, 2] = torch.nan
    features[6:12, 2] = torch.nan
    features[10:14, -2:] = torch.nan
    return embedding, motion, features


def test_contributions_and_the_reference_are_the_log_odds_of_the_mean_head(
    ensemble: Ensemble, inputs: Inputs
) -> None:
    log_odds, contributions = ensemble(*inputs)
    total = ensemble.reference_log_odds + contributions.sum(dim=1)
    np.testing.assert_allclose(total, log_odds.mean(dim=1), atol=1e-4)
    assert log_odds.std(dim=1).min() > 0.0


def test_reference_population_itself_has_no_contributions(ensemble: Ensemble, inputs: Inputs) -> None:
    fitted = tiny_bundle(seed=3).ensemble
    fitted.reference.copy_(fitted.inputs(*inputs).mean(dim=0))
    _, contributions = fitted(*inputs)
    np.testing.assert_allclose(contributions.mean(dim=0), 0.0, atol=1e-5)


@pytest.mark.parametrize("part", PARTS)
def test_what_is_known_of_a_part_moves_that_part_alone(ensemble: Ensemble, inputs: Inputs, part: str) -> None:
    embedding, motion, features = (each.clone() for each in inputs)
    if part == FOUNDATION:
        embedding += 1.0
    elif part == MOTION:
        motion[:] = torch.nan
    else:
        owned = [i for i, (_, owner) in enumerate(COLUMNS) if owner == part]
        features[:, owned] = torch.nan
    _, before = ensemble(*inputs)
    _, after = ensemble(embedding, motion, features)
    moved = (after - before).abs().amax(dim=0) > 1e-6
    assert [name for name, is_moved in zip(PARTS, moved.tolist(), strict=True) if is_moved] == [part]


def test_every_input_belongs_to_one_part() -> None:
    matrix = part_matrix(N_EMBEDDING)
    assert matrix.shape == (len(input_parts(N_EMBEDDING)), len(PARTS))
    assert (matrix.sum(dim=1) == 1.0).all()
    assert matrix.sum(dim=0)[PARTS.index(MOTION)] == 3 * len(MOTION_COLUMNS)
    assert matrix.sum(dim=0)[PARTS.index(FOUNDATION)] == N_EMBEDDING


def test_names_of_inputs_stand_where_the_inputs_do(ensemble: Ensemble) -> None:
    """One column moved moves the inputs of its own part, and its flag when it goes missing."""
    embedding, motion, features = torch.zeros(1, N_EMBEDDING), torch.zeros(1, 13), torch.zeros(1, 17)
    base = ensemble.inputs(embedding, motion, features)[0]
    owners = np.array(input_parts(N_EMBEDDING))
    for rows, names in ((motion, 13 * [MOTION]), (features, [part for _, part in COLUMNS])):
        for column, part in enumerate(names):
            rows[0, column] = torch.nan
            changed = (ensemble.inputs(embedding, motion, features)[0] != base).numpy()
            rows[0, column] = 0.0
            assert changed[-30:].sum() == 1
            assert set(owners[changed]) == {part}


def test_missing_counts_as_the_mean_with_its_flag_raised(ensemble: Ensemble) -> None:
    nothing = ensemble.inputs(
        torch.zeros(1, N_EMBEDDING), torch.full((1, 13), torch.nan), torch.full((1, 17), torch.nan)
    )
    n_known = 13 + N_EMBEDDING + 17
    assert (nothing[0, :13] == 0.0).all()
    assert (nothing[0, n_known : n_known + 30] == 0.0).all()
    assert (nothing[0, n_known + 30 :] == 1.0).all()


def test_one_absurd_number_does_not_decide(ensemble: Ensemble, inputs: Inputs) -> None:
    embedding, motion, features = inputs
    for size in (1e9, torch.inf):
        absurd = torch.full_like(features, size)
        log_odds, _ = ensemble(embedding, motion, absurd)
        assert torch.isfinite(log_odds).all()
        assert float(ensemble.inputs(embedding, motion, absurd).abs().max()) <= (CLIP**2 - 1) / 2**0.5 + 1e-6


def test_gradients_reach_motion_and_embedding_and_stop_at_what_is_missing(
    ensemble: Ensemble, inputs: Inputs
) -> None:
    embedding, motion, features = inputs
    embedding.requires_grad_()
    motion.requires_grad_()
    log_odds, _ = ensemble(embedding, motion, features)
    log_odds.mean().backward()
    assert embedding.grad is not None
    assert motion.grad is not None
    assert embedding.grad.abs().sum() > 0.0
    assert (motion.grad[torch.isnan(motion)] == 0.0).all()
    assert (motion.grad[~torch.isnan(motion)].abs().sum()) > 0.0
