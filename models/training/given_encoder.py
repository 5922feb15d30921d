"""An encoder that was pretrained before, taken from its run folder to build a bundle on."""

import json
from dataclasses import dataclass
from pathlib import Path

from models.bundle import file_bytes, sha256
from models.founder import EncoderConfig, Net1D
from models.strict_reading import StrictReadingError, read_dataclass
from models.training.encoder_file import ENCODER_FILE, load_encoder
from models.training.run_folder import CONFIG_FILE, RunFolderError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GivenEncoder:
    """A pretrained encoder, and on how many ECGs it was trained."""

    network: Net1D
    config: EncoderConfig
    n_ecgs: int

    @property
    def sha256(self) -> str:
        """Hash of its weights."""
        return sha256(file_bytes(self.network))


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
        n_ecgs = next(int(stage["trained_ecgs"]) for stage in stages if "trained_ecgs" in stage)
    except (OSError, ValueError, LookupError, TypeError, StrictReadingError, StopIteration) as error:
        raise RunFolderError(
            f"{folder} holds no finished pretraining: give the run folder of diastole pretrain"
        ) from error
    return GivenEncoder(network=load_encoder(folder / ENCODER_FILE, config), config=config, n_ecgs=n_ecgs)
