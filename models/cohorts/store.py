"""A cohort on disk, ready for the model: prepared in bounded memory, resumed when interrupted, then mapped.

::

    cohort.json              what it is, how far it has come, what was left out, SHA-256 of each array
    inputs_uv.npy …          one file for each array of models.cohorts.featurized.Cohort
    outcomes.npy             float64, (n, n_outcomes); cohort.json names the columns
    split.npy, centre.npy    of each row, which Cohort does not hold
    source_rows.npy          int64, (n,): which row of the source each is
    left_out.json            how many rows were left out and why, and the first of them by key

After each chunk of rows the arrays are brought to disk, then ``cohort.json`` says so: work interrupted at any
instant goes on from there and gives the same files.
"""

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from models.cohorts.errors import CohortError
from models.cohorts.fan_out import CHUNK_ROWS, prepared_in_order
from models.cohorts.featurized import Cohort
from models.cohorts.fingerprint import array_sha256s, sha256_of
from models.cohorts.npy_files import NpyWriter, open_array
from models.cohorts.preparation import MOST_CHARS, TEXTS, VELOCITY_SHAPE, PreparedRows, require_same_outcomes
from models.cohorts.rows import RowSource
from models.cohorts.store_state import StoreState, read_state, write_json, write_state
from models.features import COLUMN_NAMES
from models.progress import Progress, silent
from schemas.featurized import MEDIAN_BEAT_SAMPLES, MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES

_ARRAYS: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "inputs_uv": ("<i2", (MODEL_INPUT_LEADS, MODEL_INPUT_SAMPLES)),
    "beats_uv": ("<i2", (MODEL_INPUT_LEADS, MEDIAN_BEAT_SAMPLES)),
    "features": ("<f4", (len(COLUMN_NAMES),)),
    "velocities_cm_s": ("<f4", VELOCITY_SHAPE),
    "source_rows": ("<i8", ()),
    **dict.fromkeys(TEXTS, (f"<U{MOST_CHARS}", ())),
}


def featurize_cohort(
    source: RowSource,
    folder: Path,
    *,
    workers: int = 1,
    progress: Progress = silent,
    chunk_rows: int = CHUNK_ROWS,
) -> Cohort:
    """Prepare all rows of a source into a folder, or go on where that was interrupted.

    Parameters
    ----------
    source : RowSource
        Picklable where there is more than one worker. Rows that are done already are not read again.
    folder : pathlib.Path
        New, empty, or one in which the same rows were begun.
    workers : int
        Processes to share the work; the result does not depend on it.
    chunk_rows : int
        Rows after which what is done is kept for good; nor on this.

    Returns
    -------
    Cohort
        Mapped from the folder. Rows the running pipeline would not score are not in it; they are counted by
        reason in ``left_out.json``.

    Raises
    ------
    CohortError
        When the folder holds another cohort, another process works on it, the source has no rows or no usable
        one, or a row is not as it must be.
    CohortWorkerError
        When a worker died; the same call goes on.
    """
    if workers < 1 or chunk_rows < 1:
        raise CohortError(f"{workers} workers, {chunk_rows} rows a chunk: give 1 or more of each")
    folder.mkdir(parents=True, exist_ok=True)
    with _held(folder):
        state = _begun(folder, source)
        if not state.is_complete:
            if state.n_done < state.n_rows:
                prepared = prepared_in_order(source, state.n_done, workers=workers, chunk_rows=chunk_rows)
                with closing(prepared) as chunks:
                    state = _add_rows(chunks, folder, state, progress)
            _complete(folder, state)
    return open_cohort(folder)


def open_cohort(folder: Path, *, verify: bool = False) -> Cohort:
    """Map a stored cohort, read-only.

    Parameters
    ----------
    verify : bool
        Whether to compare the arrays with the fingerprints kept beside them, which reads them whole.

    Raises
    ------
    CohortError
        When the folder holds no complete cohort, or another content than was written.
    """
    state = _complete_state(folder)
    cohort = _mapped(folder, state)
    if verify:
        differing = sorted(
            name for name, digest in array_sha256s(cohort).items() if state.sha256s.get(name) != digest
        )
        if differing:
            raise CohortError(
                f"{folder}: {', '.join(differing)} changed since written: delete it and prepare it anew"
            )
    return cohort


def stored_texts(folder: Path, name: Literal["split", "centre"]) -> npt.NDArray[np.str_]:
    """Part of the cohort, or centre, of each row of a stored cohort: str, (n,)."""
    return _array(folder, name, _complete_state(folder).n_kept)


def stored_sha256(folder: Path) -> str:
    """Fingerprint of a stored cohort as it was written, the same as :func:`cohort_sha256` computes."""
    return sha256_of(_complete_state(folder).sha256s)


def stored_state(folder: Path) -> StoreState | None:
    """Read what a folder holds and how far it has come; None when nothing was begun in it."""
    return read_state(folder)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other processes from working on the folder."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CohortError(f"another process works on {folder}: wait for it") from None
        yield


def _begun(folder: Path, source: RowSource) -> StoreState:
    wanted = StoreState(provenance=source.provenance, n_rows=len(source))
    found = read_state(folder)
    if found is None:
        strangers = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
        if strangers:
            raise CohortError(f"{folder} holds other files ({strangers[0]} …): choose an empty folder")
        if wanted.n_rows == 0:
            raise CohortError(f"{wanted.provenance.name} ({wanted.provenance.details}) has no rows")
        write_state(folder, wanted)
        return wanted
    if (found.provenance, found.n_rows) != (wanted.provenance, wanted.n_rows):
        raise CohortError(
            f"{folder} holds {_in_short(found)}; asked for are {_in_short(wanted)}, and number, files or "
            "options of the two are not the same: choose another folder, or delete it"
        )
    return found


def _in_short(state: StoreState) -> str:
    return f"{state.n_rows} rows of {state.provenance.name}"


def _add_rows(
    chunks: Iterator[PreparedRows], folder: Path, state: StoreState, progress: Progress
) -> StoreState:
    what = f"prepare {state.provenance.name}"
    writers: dict[str, NpyWriter] = {}
    try:
        for rows in chunks:
            names = state.outcome_names if state.n_done else rows.outcome_names
            require_same_outcomes(f"the source from row {state.n_done} on", rows.outcome_names, names)
            writers = writers or _writers(folder, state.n_kept, len(names))
            state = _commit(folder, state, rows, writers)
            progress(what, state.n_done / state.n_rows)
    finally:
        for writer in writers.values():
            writer.close()
    return state


def _writers(folder: Path, n_kept: int, n_outcomes: int) -> dict[str, NpyWriter]:
    layouts = _ARRAYS | {"outcomes": ("<f8", (n_outcomes,))}
    return {
        name: NpyWriter(folder / f"{name}.npy", dtype, shape, n_kept)
        for name, (dtype, shape) in layouts.items()
    }


def _commit(folder: Path, state: StoreState, rows: PreparedRows, writers: dict[str, NpyWriter]) -> StoreState:
    """Append rows. Only what ``cohort.json`` says is there counts: it is written last."""
    after = state.after(rows.stop, len(rows.source_rows), rows.outcome_names, rows.left_out)
    try:
        for name, writer in writers.items():
            writer.append(_texts(rows, name) if name in TEXTS else getattr(rows, name))
            writer.sync()
        write_state(folder, after)
    except OSError as error:
        raise CohortError(
            f"{folder} cannot be written to ({error.strerror}): make room, and run the same again to go on"
        ) from error
    return after


def _texts(rows: PreparedRows, name: str) -> npt.NDArray[np.str_]:
    too_long = next((text for text in rows.texts[name] if len(text) > MOST_CHARS), None)
    if too_long is not None:
        raise CohortError(f"a {name} has {len(too_long)} characters: {MOST_CHARS} are kept, shorten it")
    return np.array(rows.texts[name], dtype=f"<U{MOST_CHARS}")


def _complete(folder: Path, state: StoreState) -> None:
    by_reason = {reason: asdict(each) for reason, each in sorted(state.left_out.items())}
    write_json(
        folder / "left_out.json",
        {
            "n_rows": state.n_rows,
            "n_kept": state.n_kept,
            "by_reason": by_reason,
            "not_offered_by_the_source": dict(state.provenance.left_out),
        },
    )
    if state.n_kept == 0:
        counts = ", ".join(f"{reason} {each['n']}" for reason, each in by_reason.items())
        raise CohortError(f"none of {state.n_rows} ECGs of {state.provenance.name} can be used: {counts}")
    write_state(folder, replace(state, sha256s=array_sha256s(_mapped(folder, state))))


def _complete_state(folder: Path) -> StoreState:
    state = read_state(folder)
    if state is None:
        raise CohortError(f"{folder} holds no prepared cohort")
    if not state.is_complete:
        raise CohortError(
            f"{folder} holds {state.n_done} of {state.n_rows} rows: prepare it again, and it goes on"
        )
    return state


def _mapped(folder: Path, state: StoreState) -> Cohort:
    n = state.n_kept
    outcomes = open_array(folder / "outcomes.npy", shape=(n, len(state.outcome_names)), dtypes=("float64",))
    return Cohort(
        keys=_array(folder, "key", n),
        patient_keys=_array(folder, "patient_key", n),
        inputs_uv=_array(folder, "inputs_uv", n),
        beats_uv=_array(folder, "beats_uv", n),
        features=_array(folder, "features", n),
        velocities_cm_s=_array(folder, "velocities_cm_s", n),
        outcomes={name: outcomes[:, i] for i, name in enumerate(state.outcome_names)},
    )


def _array(folder: Path, name: str, n: int) -> npt.NDArray[Any]:
    dtype, row_shape = _ARRAYS[name]
    return open_array(folder / f"{name}.npy", shape=(n, *row_shape), dtypes=(dtype,))
