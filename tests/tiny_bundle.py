"""A bundle whose weights nobody trained: small, quick to make, and as complete as any."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.bundle import Bundle, load_bundle, sha256, weight_files, write_bundle
from models.ensemble import Ensemble
from models.founder import EncoderConfig, Net1D
from models.heads_plan import HeadsPlan
from models.manifest import LEARNT_PARTS, Manifest, Performance, Threshold, TrainingRecord
from models.motion import MotionConfig, MotionGenerator
from models.motion_measurements import MOTION_COLUMNS
from models.scorer import Extractor
from schemas.risk import MOTION_SAMPLES

ENCODER = EncoderConfig(base_filters=16, filters=(16, 32), blocks=(1, 1), n_outputs=6)
MOTION = MotionConfig()
N_HEADS = 5
#: What a study fits anew: quick.
HEADS = HeadsPlan(n_heads=N_HEADS, penalties=(1.0,), inner_folds=2)


def manifest(files: dict[str, bytes], **changes: Any) -> Manifest:
    """A manifest of these files that holds together."""
    whole = Manifest(
        bundle_version="tiny",
        files={name: sha256(content) for name, content in files.items()},
        encoder=ENCODER,
        motion=MOTION,
        heads=HEADS,
        n_folds=3,
        threshold=Threshold(probability=0.5, operating_point="specificity 0.9 on nobody"),
        training=TrainingRecord(
            cohort="nobody",
            simulated_parts=LEARNT_PARTS,
            patients=0,
            seed=0,
            data_sha256=sha256(b""),
            pretraining_ecgs=0,
            motion_patients=0,
            recipe={"encoder": "drawn", "motion": "drawn", "ensemble": "drawn"},
        ),
        performance=(
            performance("development, out of fold", "all", "ensemble", auc=0.86, auc_low=0.83, auc_high=0.88),
            performance("development, out of fold", "all", "foundation", auc=0.81),
            performance("development, out of fold", "women", "ensemble", auc=0.85),
        ),
        motion_error={"e_prime_septal_mae_cm_s": 1.41},
        interval="90 %: 5th to 95th percentile of heads that were drawn.",
        intended_use="Tests.",
        not_for_text="Not for anything else: nobody trained this model.",
        limits=("Nobody trained this model.",),
    )
    return replace(whole, **changes)


def performance(cohort: str, subgroup: str, model: str, **numbers: float) -> Performance:
    """One row of a performance table, of 100 patients."""
    return Performance(cohort=cohort, subgroup=subgroup, model=model, n=100, events=40, **numbers)


def tiny_bundle(seed: int = 0, **changes: Any) -> Bundle:
    """A bundle with drawn weights; ECGs differ in their probability, and contributions in all their parts."""
    torch.manual_seed(seed)
    encoder, motion = Net1D(ENCODER).eval(), MotionGenerator(MOTION).eval()
    motion.load_state_dict(_moving())
    ensemble = Ensemble(ENCODER.n_features, N_HEADS).eval()
    _standardise(ensemble, encoder)
    ensemble.weights.copy_(0.15 * torch.randn(1, ensemble.weights.shape[1]).expand_as(ensemble.weights))
    ensemble.weights.add_(0.02 * torch.randn(ensemble.weights.shape))
    ensemble.biases.copy_(0.1 * torch.randn(N_HEADS))
    listed = manifest(weight_files(encoder, motion, ensemble), **changes)
    return Bundle(manifest=listed, encoder=encoder, motion=motion, ensemble=ensemble)


def written(folder: Path, bundle: Bundle) -> Path:
    """A bundle's folder, hashes right, whatever it holds."""
    files = weight_files(bundle.encoder, bundle.motion, bundle.ensemble)
    listed = {name: sha256(content) for name, content in files.items()}
    write_bundle(folder, replace(bundle.manifest, files=listed), files)
    return folder


def tiny_bundle_folder(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """The same in a folder, loaded once to see that it is whole."""
    written(folder, tiny_bundle(seed, **changes))
    load_bundle(folder)
    return folder


def waves(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Model inputs and beats, int16, (n, 8, 5000) and (n, 8, 550): sums of sines, no two alike."""
    rng = np.random.default_rng(seed)

    def drawn(n_samples: int) -> np.ndarray:
        t = np.arange(n_samples) / 500
        hz, phase = rng.uniform(1, 25, (n, 8, 6, 1)), rng.uniform(0, 6, (n, 8, 6, 1))
        size = rng.uniform(20, 300, (n, 8, 6, 1))
        return (size * np.sin(2 * np.pi * hz * t + phase)).sum(axis=2).astype(np.int16)

    return drawn(5000), drawn(550)


@cache
def _moving() -> dict[str, torch.Tensor]:
    """Weights of a generator that has learnt one kind of curve, more or less of it by the ECG."""
    torch.manual_seed(0)
    motion = MotionGenerator(MOTION)
    _, beats_uv = waves(8)
    cycle = torch.arange(MOTION_SAMPLES) / MOTION_SAMPLES
    lobes = ((8.0, 0.22, 0.08), (-9.0, 0.58, 0.06), (-7.0, 0.88, 0.05))  # s', e', a': cm/s, place, width
    curve = sum(size * torch.exp(-0.5 * ((cycle - at) / width).square()) for size, at, width in lobes)
    targets = torch.linspace(0.7, 1.3, 8)[:, None, None] * torch.stack([curve, 1.2 * curve])
    optimiser = torch.optim.Adam(motion.parameters(), lr=3e-3)
    for _ in range(120):
        curves, _ = motion(torch.from_numpy(beats_uv), torch.full((8, 3), torch.nan), None)
        loss = (curves - targets).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: tensor.detach() for name, tensor in motion.state_dict().items()}


def _standardise(ensemble: Ensemble, encoder: Net1D) -> None:
    """As fitted to a few waves, so that the embedding of an ECG moves the answer."""
    uv, _ = waves(12)
    extractor = Extractor(encoder, MotionGenerator(MOTION), manifest({}).input)
    with torch.no_grad():
        embedding = encoder.embed(extractor.normalisation(torch.from_numpy(uv)))
    n_motion = len(MOTION_COLUMNS)
    known = slice(n_motion, n_motion + ENCODER.n_features)
    ensemble.centre[known], ensemble.scale[known] = embedding.mean(dim=0), embedding.std(dim=0)
    ensemble.centre[known.stop :] = torch.tensor(_TYPICAL)
    ensemble.scale[known.stop :] = torch.tensor([abs(number) for number in _TYPICAL]) / 3
    ensemble.centre[:n_motion], ensemble.scale[:n_motion] = 8.0, 4.0


#: Of each feature, in its own unit.
_TYPICAL = (70.0, 20.0, 160.0, 100.0, -3.0, 90.0, 30.0, 420.0, 0.3, 0.1, 0.5, 0.8, 1.0, 1.2, 1.0, 65.0, 1.0)
