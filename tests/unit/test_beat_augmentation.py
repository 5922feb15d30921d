import pytest
import torch
from torch import Tensor

from models.training.beat_augmentation import BeatAugmentation, Chance, augment_beats, hide_context

NOTHING = BeatAugmentation(
    gain_sd=0.0,
    lead_gain_sd=0.0,
    sideways_sd=0.0,
    weak_lead_share=0.0,
    shift_ms=0.0,
    noise_uv=0.0,
    lowpass_share=0.0,
    highpass_share=0.0,
    hidden_share=0.0,
)


def chance(seed: int = 0) -> Chance:
    return Chance(torch.Generator().manual_seed(seed))


def plan(**changes: float | tuple[float, float]) -> BeatAugmentation:
    kept = {name: getattr(NOTHING, name) for name in BeatAugmentation.__slots__}
    return BeatAugmentation(**{**kept, **changes})


def beats(n: int = 40) -> Tensor:
    """A QRS of 12 ms and a T wave of 40 ms, other in every lead."""
    at_ms = (torch.arange(550) - 200) * 2.0
    shape = torch.exp(-0.5 * (at_ms / 12.0) ** 2) + 0.3 * torch.exp(-0.5 * ((at_ms - 290.0) / 40.0) ** 2)
    return (torch.arange(1.0, 9.0)[:, None] * 200.0 * shape).expand(n, 8, 550).clone()


def fast_part(uv: Tensor) -> Tensor:
    """Power above 50 Hz, over leads: (n,)."""
    spectrum: Tensor = torch.fft.rfft(uv).abs().square()
    return spectrum[..., torch.fft.rfftfreq(550, 1 / 500.0) > 50.0].sum(dim=(1, 2))


def test_a_plan_of_nothing_changes_nothing() -> None:
    assert torch.allclose(augment_beats(beats(), NOTHING, chance()), beats(), atol=0.05)
    context = torch.tensor([[70.0, 20.0, 1.0]]).repeat(9, 1)
    assert torch.equal(hide_context(context, NOTHING, chance()), context)


def test_the_same_chance_changes_beats_the_same_way() -> None:
    one, again, other = (augment_beats(beats(), BeatAugmentation(), chance(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other, atol=1.0)


def test_beats_are_shifted_by_no_more_than_asked_each_by_its_own() -> None:
    peaks = augment_beats(beats(), plan(shift_ms=8.0), chance())[:, 0].argmax(dim=-1) - 200
    assert int(peaks.abs().max()) == 4  # 8 ms at 500 Hz
    assert len(set(peaks.tolist())) > 4


def test_a_gain_of_all_leads_keeps_what_they_are_to_each_other() -> None:
    out = augment_beats(beats(), plan(gain_sd=0.3), chance())
    assert torch.allclose(out[:, 1, 200] / out[:, 0, 200], torch.tensor(2.0), atol=1e-3)
    assert float((out[:, 0, 200] / beats()[:, 0, 200]).log().std()) == pytest.approx(0.3, abs=0.1)


def test_one_lead_of_a_beat_is_weakened() -> None:
    share = augment_beats(beats(), plan(weak_lead_share=1.0), chance())[..., 200] / beats()[..., 200]
    assert ((share < 0.995).sum(dim=1) <= 1).all()
    assert float((share < 0.9).any(dim=1).float().mean()) > 0.7
    assert float(share.min()) >= -1e-3


def test_chest_electrodes_move_toward_their_neighbours_and_limb_leads_stay() -> None:
    moved = augment_beats(beats(), plan(sideways_sd=0.2), chance())
    assert torch.allclose(moved[:, :2], beats()[:, :2], atol=0.05)
    assert torch.allclose(moved[:, 7], beats()[:, 7], atol=0.05)  # V6 has none further on
    assert (moved[:, 2:7, 200] - beats()[:, 2:7, 200]).abs().mean() > 10.0


def test_a_low_pass_filter_takes_fast_parts_and_leaves_slow_ones() -> None:
    out = augment_beats(beats(), plan(lowpass_share=1.0, lowpass_hz=(20.0, 30.0)), chance())
    assert (fast_part(out) < 0.05 * fast_part(beats())).all()
    t_height, t_height_before = (each[..., 345] - each[..., 450] for each in (out, beats()))
    assert torch.allclose(t_height, t_height_before, rtol=0.02)


def test_a_high_pass_filter_bends_st_and_keeps_the_level_before_qrs() -> None:
    out = augment_beats(beats(), plan(highpass_share=1.0, highpass_hz=(0.5, 0.8)), chance())
    level = slice(170, 175)
    before, after = beats()[..., level].mean(dim=-1), out[..., level].mean(dim=-1)
    assert torch.allclose(before, after, atol=0.05)
    assert (out[:, 7, 500:].mean(dim=-1) < beats()[:, 7, 500:].mean(dim=-1) - 10.0).all()


def test_noise_is_added_in_the_size_stated() -> None:
    added = augment_beats(beats(), plan(noise_uv=20.0), chance()) - beats()
    sizes = added.std(dim=-1)
    assert float(sizes.max()) < 22.0
    assert float(sizes.mean()) == pytest.approx(10.0, abs=1.5)


def test_context_is_hidden_as_often_as_asked_amplitude_twice_as_often() -> None:
    context = torch.tensor([[70.0, 20.0, 1.0]]).repeat(4000, 1)
    hidden = hide_context(context, plan(hidden_share=0.2), chance()).isnan().float().mean(dim=0)
    assert hidden.tolist() == pytest.approx([0.1, 0.1, 0.2], abs=0.03)
