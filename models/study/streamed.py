"""Score a cohort too large to keep: rows are prepared, scored and forgotten, piece by piece, resumable."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.atomic import write_atomically
from models.bundle import Bundle
from models.cohorts.errors import CohortError
from models.cohorts.fan_out import CHUNK_ROWS, prepared_in_order
from models.cohorts.featurized import Cohort
from models.cohorts.preparation import PreparedRows
from models.cohorts.rows import RowSource
from models.features import COLUMN_NAMES
from models.progress import Progress
from models.scoring import score_cohort
from models.study.estimate import FloatArray

#: Pieces whose scores are written as one file: about 8 000 ECGs, half a minute of work to lose.
_CHUNKS_A_FILE: Final = 32
Piece = dict[str, npt.NDArray[Any]]

_ARRAYS: Final = ("patient_keys", "probability", "features", "outcomes")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredRows:
    """What a bundle said of the usable rows of a source, and what is known of them.

    Attributes
    ----------
    patient_keys : numpy.ndarray
        str, (n,).
    probability : numpy.ndarray
        float64, (n,), of the high-risk phenotype.
    features : numpy.ndarray
        float32, (n, 17); NaN is missing.
    outcomes : mapping of str to numpy.ndarray
        float64, (n,), by the source's name.
    left_out : mapping of str to int
        Rows that were not scored, by reason.
    """

    patient_keys: npt.NDArray[np.str_]
    probability: FloatArray
    features: npt.NDArray[np.float32]
    outcomes: Mapping[str, FloatArray]
    left_out: Mapping[str, int]


def score_rows(
    bundle: Bundle,
    source: RowSource,
    folder: Path,
    workers: int,
    progress: Progress,
    *,
    chunk_rows: int = CHUNK_ROWS,
    chunks_a_file: int = _CHUNKS_A_FILE,
) -> ScoredRows:
    """Score a source, or go on where that was interrupted; memory holds a few pieces at a time.

    Parameters
    ----------
    folder : pathlib.Path
        Keeps what was scored, in a folder of its own for each bundle and source.
    workers : int
        Processes that prepare; this one scores.

    Raises
    ------
    CohortError
        When the source has no rows.
    """
    if not len(source):
        raise CohortError(
            f"{source.provenance.name} has no row to score ({_left_out(source)}): check that the folder "
            "holds the ECGs and the columns they are chosen by, or leave the cohort out of the study"
        )
    kept_in = folder / _identity(bundle, source)
    kept_in.mkdir(parents=True, exist_ok=True)
    rows_a_file = chunks_a_file * chunk_rows
    n_files = -(-len(source) // rows_a_file)
    paths = [kept_in / f"{i:05d}.npz" for i in range(n_files)]
    done = next((i for i, path in enumerate(paths) if not path.exists()), n_files)
    waiting: list[Piece] = []
    for piece in prepared_in_order(source, done * rows_a_file, workers=workers, chunk_rows=chunk_rows):
        waiting.append(_scored(bundle, piece))
        progress(f"score {source.provenance.name}", piece.stop / len(source))
        if piece.stop % rows_a_file == 0 or piece.stop == len(source):
            _keep(paths[(piece.stop - 1) // rows_a_file], waiting)
            waiting = []
    return _collected(paths)


def _scored(bundle: Bundle, piece: PreparedRows) -> Piece:
    cohort = Cohort(
        keys=np.array(piece.texts["key"], dtype=np.str_),
        patient_keys=np.array(piece.texts["patient_key"], dtype=np.str_),
        inputs_uv=piece.inputs_uv,
        beats_uv=piece.beats_uv,
        features=piece.features,
        velocities_cm_s=piece.velocities_cm_s,
    )
    chances = score_cohort(bundle, cohort).probability if len(cohort) else np.zeros(0)
    return {
        "patient_keys": cohort.patient_keys,
        "probability": chances,
        "features": piece.features.reshape(len(cohort), len(COLUMN_NAMES)),
        "outcomes": piece.outcomes.reshape(len(cohort), len(piece.outcome_names)),
        "outcome_names": np.array(piece.outcome_names, dtype=np.str_),
        "left_out": np.array([reason for reason, _ in piece.left_out], dtype=np.str_),
    }


def _keep(path: Path, pieces: list[Piece]) -> None:
    """Write pieces as one file, whole or not at all."""
    joined: dict[str, Any] = {
        name: np.concatenate([piece[name] for piece in pieces]) for name in (*_ARRAYS, "left_out")
    }
    content = BytesIO()
    np.savez(content, outcome_names=pieces[0]["outcome_names"], **joined)
    write_atomically(path, content.getvalue())


def _collected(paths: list[Path]) -> ScoredRows:
    files = [dict(np.load(path, allow_pickle=False)) for path in paths]
    arrays = {name: np.concatenate([each[name] for each in files]) for name in _ARRAYS}
    names = files[0]["outcome_names"].tolist()
    return ScoredRows(
        patient_keys=arrays["patient_keys"],
        probability=arrays["probability"],
        features=arrays["features"],
        outcomes={name: arrays["outcomes"][:, i] for i, name in enumerate(names)},
        left_out=Counter(reason for each in files for reason in each["left_out"].tolist()),
    )


def _left_out(source: RowSource) -> str:
    """Say what the source itself left out, by reason."""
    left_out = source.provenance.left_out
    return ", ".join(f"{reason} {n}" for reason, n in sorted(left_out.items())) or "none was left out"


def _identity(bundle: Bundle, source: RowSource) -> str:
    said = f"{bundle.sha256} {len(source)} {source.provenance}"
    return f"{source.provenance.name}-{sha256(said.encode()).hexdigest()[:16]}".lower().replace(" ", "-")
