import pytest
import torch

from models.founder import COMPACT, FULL, Net1D, same_padding


def test_full_size_has_the_parameters_and_keys_of_the_published_checkpoint() -> None:
    state = Net1D(FULL).state_dict()
    assert len(state) == 509
    assert sum(p.numel() for p in Net1D(FULL).parameters()) == 30_819_014
    assert state["first_conv.conv.weight"].shape == (64, 12, 16)
    assert state["dense.weight"].shape == (150, 1024)
    assert "stage_list.6.block_list.3.se_fc2.bias" in state
    assert state["stage_list.1.block_list.0.conv2.conv.weight"].shape == (160, 16, 16)


def test_compact_size_has_the_parameters_stated() -> None:
    assert sum(p.numel() for p in Net1D(COMPACT).parameters()) == 264_942


def test_stages_halve_the_length_rounding_up() -> None:
    encoder = Net1D(COMPACT).eval()
    lengths = []
    with torch.inference_mode():
        x = encoder.first_conv(torch.zeros(1, 12, 5000))
        for stage in encoder.stage_list:
            lengths.append(x.shape[-1])
            x = stage(x)
    assert [*lengths, x.shape[-1]] == [2500, 1250, 625, 313, 157, 79, 40, 20]


@pytest.mark.parametrize(("length", "stride"), [(5000, 2), (625, 2), (313, 2), (20, 1)])
def test_padding_gives_the_length_over_the_stride(length: int, stride: int) -> None:
    before, after = same_padding(length, 16, stride)
    assert (length + before + after - 16) // stride + 1 == -(-length // stride)
    assert 0 <= after - before <= 1


def test_embedding_of_an_ecg_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    encoder, ecgs = Net1D(COMPACT).eval(), torch.randn(5, 12, 5000)
    with torch.inference_mode():
        assert torch.allclose(encoder.embed(ecgs)[3:4], encoder.embed(ecgs[3:4]), atol=1e-5)
