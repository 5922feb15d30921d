"""``cohort.json`` of a folder of our paired ECG–echo layout (docs/paired-cohort.md)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.cohorts.errors import CohortError
from models.cohorts.tables import file_sha256
from models.leads import plan_leads
from models.signal import MAX_RATE_HZ, MIN_RATE_HZ

DESCRIPTION_FILE: Final = "cohort.json"
ECGS_FILE: Final = "ecgs.npy"
ECGS_PARTS: Final = "ecgs_*.npy"
#: Rises when an older Diastole could not read a newer folder.
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How the ECGs of one array were recorded.

    Attributes
    ----------
    uv_per_unit : float or None
        None where amplitudes have no unit.
    """

    file: str
    sample_rate_hz: float
    lead_names: tuple[str, ...]
    uv_per_unit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What ``cohort.json`` says.

    Attributes
    ----------
    version : str
        Name of the file and the beginning of its SHA-256.
    recordings : tuple of Recording
        In the order of the rows.
    """

    version: str
    name: str
    is_simulated: bool
    notes: str
    centres: tuple[str, ...]
    recordings: tuple[Recording, ...]


def read_description(folder: Path) -> Description:
    """Read ``cohort.json``.

    Raises
    ------
    CohortError
        When it is missing or a field is missing or not as it must be; the message names the field.
    """
    path = folder / DESCRIPTION_FILE
    said = _read_json(path)
    if said.get("version") != VERSION:
        raise CohortError(f"{path}: version is {said.get('version')!r}, this program reads {VERSION}")
    return Description(
        version=f"{path.name} {file_sha256(path)[:12]}",
        name=_text(path, said, "name"),
        is_simulated=_yes_or_no(path, said, "is_simulated"),
        notes=_text(path, {"notes": ""} | said, "notes", may_be_empty=True),
        centres=_texts(path, {"centres": []} | said, "centres"),
        recordings=tuple(_recording(path, said | part) for part in _parts(folder, path, said)),
    )


def _parts(folder: Path, path: Path, said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Arrays of ECGs, in order: those listed, else the one or those that are there."""
    if "parts" in said:
        parts = said["parts"]
        if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
            raise CohortError(f"{path}, parts: list one object for each array of ECGs, or leave it out")
        return parts
    if (folder / ECGS_FILE).exists():
        return [{"file": ECGS_FILE}]
    there = sorted(each.name for each in folder.glob(ECGS_PARTS))
    if not there:
        raise CohortError(f"{folder} holds neither {ECGS_FILE} nor {ECGS_PARTS}: put the ECGs there")
    return [{"file": name} for name in there]


def _recording(path: Path, said: Mapping[str, Any]) -> Recording:
    rate_hz = _number(path, said, "sample_rate_hz")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise CohortError(f"{path}, sample_rate_hz: {rate_hz:g} is not {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g}")
    uv_per_unit = None
    if "uv_per_unit" not in said or said["uv_per_unit"] is not None:
        uv_per_unit = _number(path, said, "uv_per_unit")
        if not uv_per_unit > 0:
            raise CohortError(f"{path}, uv_per_unit: {uv_per_unit:g} is not above 0")
    leads = _texts(path, said, "lead_names")
    missing = plan_leads(leads).missing
    if missing:
        raise CohortError(
            f"{path}, lead_names: {', '.join(leads) or 'nothing'} does not give {', '.join(missing)}; "
            "name each row of the arrays, as I, II, V1 … V6 or all twelve"
        )
    file = _text(path, said, "file")
    if Path(file).name != file:
        raise CohortError(f"{path}, file: {file!r} is to lie in the folder itself")
    return Recording(file=file, sample_rate_hz=rate_hz, lead_names=leads, uv_per_unit=uv_per_unit)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CohortError(f"{path} cannot be read ({error.strerror}): it describes the cohort") from error
    except ValueError as error:
        raise CohortError(f"{path} is no JSON in UTF-8: {error}") from error
    if not isinstance(said, dict):
        raise CohortError(f"{path} is no JSON object")
    return said


def _text(path: Path, said: Mapping[str, Any], name: str, *, may_be_empty: bool = False) -> str:
    text = said.get(name)
    if not isinstance(text, str) or not (text or may_be_empty):
        raise CohortError(f"{path}, {name}: is {text!r}, expected a text")
    return text


def _texts(path: Path, said: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = said.get(name)
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise CohortError(f"{path}, {name}: is {texts!r}, expected a list of texts")
    return tuple(texts)


def _yes_or_no(path: Path, said: Mapping[str, Any], name: str) -> bool:
    answer = said.get(name)
    if not isinstance(answer, bool):
        raise CohortError(f"{path}, {name}: is {answer!r}, expected true or false")
    return answer


def _number(path: Path, said: Mapping[str, Any], name: str) -> float:
    found = said.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise CohortError(f"{path}, {name}: is {found!r}, expected a number")
    return float(found)
