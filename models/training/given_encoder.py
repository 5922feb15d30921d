"""An encoder that was pretrained before, taken from its run folder to build a bundle on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.bundle import file_bytes, sha256
from models.cohorts.store_state import read_state
from models.founder import EncoderConfig, Net1D
from models.strict_reading import StrictReadingError, read_dataclass
from models.training.encoder_file import ENCODER_FILE, load_encoder
from models.training.run_folder import CONFIG_FILE, RunFolderError

#: Where ``diastole pretrain`` keeps its ECGs in a run folder.
ECGS_FOLDER: Final = Path("cohorts", "ecgs")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GivenEncoder:
    """A pretrained encoder, and what it was trained on.

    Attributes
    ----------
    n_ecgs : int
        Given to its pretraining, those that stopped it included.
    name : str
        Of the ECGs, as their source calls itself.
    teacher_sha256 : str or None
        Of the checkpoint whose embedding it learnt to predict; None where it learnt from the ECGs alone.
    """

    network: Net1D
    config: EncoderConfig
    n_ecgs: int
    name: str
    is_simulated: bool
    teacher_sha256: str | None = None

    @property
    def sha256(self) -> str:
        """Hash of its weights."""
        return sha256(file_bytes(self.network))

    @property
    def what(self) -> str:
        """Who its ECGs are of, for manifest and card."""
        return f"simulated people ({self.name})" if self.is_simulated else f"patients of {self.name}"

    @property
    def recipe(self) -> str:
        """How it was trained, in words."""
        how = (
            f"distilled from a teacher, sha256 {self.teacher_sha256},"
            if self.teacher_sha256
            else "pretrained"
        )
        return f"{how} before on {self.n_ecgs} ECGs of {self.what}, weights of sha256 {self.sha256}"


def given_encoder(folder: Path) -> GivenEncoder:
    """Take the encoder out of the run folder of ``diastole pretrain``.

    Raises
    ------
    RunFolderError
        When the folder holds no finished pretraining.
    """
    try:
        plan = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["plan"]
        config = read_dataclass(EncoderConfig, plan["encoder"], "plan.encoder")
        stages = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "stages").glob("*.json")]
        next(stage for stage in stages if "trained_ecgs" in stage)
        state = read_state(folder / ECGS_FOLDER)
    except (OSError, ValueError, LookupError, TypeError, StrictReadingError, StopIteration) as error:
        raise RunFolderError(
            f"{folder} holds no finished pretraining: give the run folder of diastole pretrain"
        ) from error
    if state is None or not state.is_complete:
        raise RunFolderError(
            f"{folder / ECGS_FOLDER} does not say whose ECGs the encoder was trained on: keep it beside "
            f"{ENCODER_FILE}"
        )
    return GivenEncoder(
        network=load_encoder(folder / ENCODER_FILE, config),
        config=config,
        n_ecgs=state.n_kept,
        name=state.provenance.name,
        is_simulated=state.provenance.is_simulated,
        teacher_sha256=plan.get("teacher_sha256"),
    )
