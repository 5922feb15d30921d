import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from models.founder import COMPACT, FULL, Net1D
from models.founder_checkpoint import FounderCheckpointError, load_founder
from schemas.errors import ConfigurationError

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def published() -> Net1D:
    torch.manual_seed(0)
    return Net1D(FULL).eval()


@pytest.fixture(scope="module")
def checkpoint(published: Net1D, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("founder") / "12_lead_ECGFounder.pth"
    # What training keeps beside the weights, a metric among them as numpy gives it.
    torch.save({"state_dict": published.state_dict(), "step": 7, "val_auroc": np.float64(0.92)}, path)
    return path


@pytest.fixture
def altered(published: Net1D, tmp_path: Path) -> Callable[[Callable[[State], object]], Path]:
    """Write the checkpoint with its weights changed by a function; those it leaves alone take no room."""

    def write(change: Callable[[State], object]) -> Path:
        # Expanded zeros: a file of 1 MB with the names and shapes of the full encoder.
        state = {
            name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
            for name, tensor in published.state_dict().items()
        }
        change(state)
        path = tmp_path / "altered.pth"
        torch.save({"state_dict": state}, path)
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(FounderCheckpointError) as raised:
        load_founder(path)
    said = str(raised.value)
    assert "\n" not in said
    assert len(said) < 2000
    return said


def same_embeddings(first: Net1D, second: Net1D) -> bool:
    torch.manual_seed(1)
    ecgs = torch.randn(2, 12, 5000)
    with torch.inference_mode():
        embedding = first.embed(ecgs)
        assert embedding.shape == (2, 1024)
        return torch.equal(embedding, second.embed(ecgs))


def test_checkpoint_gives_the_embeddings_of_the_encoder_it_was_made_of(
    checkpoint: Path, published: Net1D
) -> None:
    loaded = load_founder(checkpoint)
    assert not loaded.training
    assert sum(p.numel() for p in loaded.parameters()) == 30_819_014
    assert len(loaded.state_dict()) == 509
    assert same_embeddings(loaded, published)


def test_loading_leaves_the_random_numbers_of_the_process_alone(checkpoint: Path) -> None:
    before = torch.get_rng_state()
    load_founder(checkpoint)
    assert torch.equal(torch.get_rng_state(), before)


def test_safetensors_of_the_same_names_load(published: Net1D, tmp_path: Path) -> None:
    path = tmp_path / "founder.safetensors"
    safetensors.torch.save_file(published.state_dict(), path)
    assert same_embeddings(load_founder(path), published)


def test_weights_in_half_precision_are_widened(altered: Callable[..., Path]) -> None:
    def halve(state: State) -> None:
        state["dense.bias"] = torch.full((150,), 0.5, dtype=torch.float16)

    dense_bias = load_founder(altered(halve)).dense.bias
    assert dense_bias.dtype == torch.float32
    assert torch.equal(dense_bias, torch.full((150,), 0.5))


def test_a_missing_name_is_told(altered: Callable[..., Path]) -> None:
    said = refusal(altered(lambda state: state.pop("stage_list.3.block_list.1.conv2.conv.weight")))
    assert "1 missing: stage_list.3.block_list.1.conv2.conv.weight" in said
    assert "unknown" not in said
    assert "fetch" in said


def test_an_unknown_name_is_told(altered: Callable[..., Path]) -> None:
    said = refusal(
        altered(lambda state: state.update({"dense2.weight": torch.zeros(3), "a\nb": torch.zeros(3)}))
    )
    assert "2 unknown: dense2.weight, a\\nb" in said


def test_a_wrong_shape_is_told_beside_the_right_one(altered: Callable[..., Path]) -> None:
    said = refusal(altered(lambda state: state.update({"first_conv.conv.weight": torch.zeros(64, 1, 16)})))
    assert "first_conv.conv.weight (64, 1, 16) instead of (64, 12, 16)" in said


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(150, dtype=torch.int64),
        torch.zeros(150, dtype=torch.complex64),
        torch.zeros(150).to_sparse(),
        torch.zeros(150, device="meta"),
        "no tensor",
    ],
    ids=["integer", "complex", "sparse", "without memory", "text"],
)
def test_what_is_no_array_of_real_numbers_is_told(wrong: object, altered: Callable[..., Path]) -> None:
    assert "1 of another type: dense.bias" in refusal(
        altered(lambda state: state.update({"dense.bias": wrong}))
    )


def test_a_long_list_of_names_is_cut_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "compact.pth"
    torch.save({"state_dict": Net1D(COMPACT).state_dict()}, path)
    said = refusal(path)
    assert "325 missing: " in said  # 509 less the 184 that the compact encoder has too
    assert "and 315 more" in said
    assert "of another shape: first_conv.conv.weight (16, 12, 16) instead of (64, 12, 16)" in said


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_finite_numbers_are_refused(number: float, altered: Callable[..., Path]) -> None:
    def spoil(state: State) -> None:
        state["dense.bias"] = torch.zeros(150)
        state["dense.bias"][149] = number

    assert "no finite numbers in dense.bias" in refusal(altered(spoil))


def test_a_number_too_large_for_single_precision_is_refused(altered: Callable[..., Path]) -> None:
    def swell(state: State) -> None:
        state["dense.bias"] = torch.full((150,), 1e300, dtype=torch.float64)

    assert "no finite numbers in dense.bias" in refusal(altered(swell))


class _MakesFolder:
    """A pickle of it, opened by a reader that runs code, makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_pickle_that_brings_code_is_refused_and_not_run(as_zip: bool, tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "it-ran"
    content = {"state_dict": {}, "extra": _MakesFolder(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=as_zip)
    said = refusal(path)
    assert not trace.exists()
    if as_zip:
        assert "mkdir to be run, which was not done" in said
    torch.load(path, weights_only=False)  # it would have run elsewhere
    assert trace.is_dir()


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999999])
def test_a_truncated_file_is_refused(kept: float, checkpoint: Path, tmp_path: Path) -> None:
    content = checkpoint.read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(content[: int(kept * len(content))])
    assert "damaged" in refusal(path)


def test_altered_files_of_any_kind_are_refused_and_never_leak_another_error(tmp_path: Path) -> None:
    rng, whole = np.random.default_rng(0), tmp_path / "whole.pth"
    path = tmp_path / "altered.pth"
    for as_zip in (True, False):
        state = {"dense.bias": torch.zeros(3), "n": torch.tensor(1)}
        torch.save({"state_dict": state, "m": np.float64(1)}, whole, _use_new_zipfile_serialization=as_zip)
        content = np.frombuffer(whole.read_bytes(), np.uint8)
        for _ in range(150):
            spoilt = content.copy()
            spoilt[rng.integers(0, len(spoilt), rng.integers(1, 20))] = rng.integers(0, 256)
            path.write_bytes(spoilt.tobytes())
            refusal(path)


def test_a_safetensors_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "founder.safetensors"
    path.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{no header at all")
    assert "not a whole safetensors file" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], {"weights": {}}, {"state_dict": [1]}, torch.zeros(3)])
def test_a_file_without_a_dictionary_of_weights_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    assert "under state_dict" in refusal(path)


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "missing.pth")
    assert "there is no file" in refusal(tmp_path)


def test_a_refusal_tells_the_operator_to_act() -> None:
    assert issubclass(FounderCheckpointError, ConfigurationError)
    assert FounderCheckpointError.code == "FOUNDER_CHECKPOINT"
