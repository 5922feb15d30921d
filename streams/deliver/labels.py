"""What became of alerts, as labels of their ECGs that training can read (docs/paired-cohort.md).

Labels come from alerts, so from ECGs that the model called high: they tell how often an alert was right, not
what it missed. Train on them beside a cohort of all comers, never alone.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from models.atomic import write_atomically
from models.cohorts.paired_table import REMARK, TABLE_FILE
from models.cohorts.rows import LABEL
from schemas.audit import CareAction, CareScope, CareVerb, Outcome
from schemas.errors import ConfigurationError
from streams.deliver.act_rules import RejectReason, reason_of
from streams.deliver.case import AlertCase

_KEY: Final = "key"
_SOURCE: Final = f"{REMARK}label_source"
_WHEN: Final = f"{REMARK}labelled_at"

#: What a rejection says of the patient; of a poor recording or a wrong patient it says nothing.
_REJECTED: Final = {RejectReason.KNOWN_CONDITION: True, RejectReason.NOT_PLAUSIBLE: False}


class LabelsError(ConfigurationError):
    """The labels cannot be put where they were asked for; the message names file and act."""

    code = "LABELS"


class LabelSource(StrEnum):
    """Who says so, the surer first."""

    OUTCOME = "outcome"
    CARE_TEAM = "care-team"


@dataclass(frozen=True, slots=True, kw_only=True)
class EcgLabel:
    """What is known of one ECG's patient.

    Attributes
    ----------
    is_high_risk : bool
        Whether the patient has the high-risk phenotype.
    source : LabelSource
        OUTCOME: stated as the outcome. CARE_TEAM: the alert was accepted, or rejected for a reason that
        tells of the patient; a guess at the bedside.
    when : datetime
        UTC; when that was stated.
    """

    ecg_id: str
    is_high_risk: bool
    source: LabelSource
    when: datetime


def labels_of(cases: Iterable[AlertCase], *, with_care_team: bool = False) -> tuple[EcgLabel, ...]:
    """Fold what people said of alerts into one label for each ECG, in the order of ``ecg_id``.

    An outcome goes before what the care team thought; of two of a kind the newer holds.

    Parameters
    ----------
    with_care_team : bool
        Also label ECGs without an outcome by acceptance and rejection.
    """
    best: dict[str, EcgLabel] = {}
    for case in cases:
        for act in case.acts:
            label = _label(case, act)
            if label is None or (label.source is LabelSource.CARE_TEAM and not with_care_team):
                continue
            known = best.get(label.ecg_id)
            if known is None or _rank(known) < _rank(label):
                best[label.ecg_id] = label
    return tuple(best[ecg_id] for ecg_id in sorted(best))


def write_labels(path: Path, labels: Iterable[EcgLabel]) -> int:
    """Write a CSV of key, label, and by whom and when as remarks; returns how many. Holds no patient.

    Its column ``key`` is the ``ecg_id``. Written whole or not at all; again gives the same bytes.
    """
    rows = [{_KEY: each.ecg_id, **_columns(each)} for each in labels]
    write_atomically(path, _csv_bytes((_KEY, LABEL, _SOURCE, _WHEN), rows))
    return len(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What joining labels to a cohort did.

    Attributes
    ----------
    n_labelled, n_changed, n_kept, n_absent : int
        Lines that had no label and have one now; that had one from an alert, which is newer now; that keep
        what the cohort says itself, or says already; labels of ECGs that are not in the cohort.
    """

    n_labelled: int
    n_changed: int
    n_kept: int
    n_absent: int


def join_labels(folder: Path, labels: Iterable[EcgLabel]) -> Joined:
    """Write labels into ``cohort.csv`` of a paired cohort whose keys are ``ecg_id``.

    A label that the cohort has of its own, from echocardiography, is never replaced; one that came from an
    alert before is. Nothing else in the file changes. Again changes nothing.

    Raises
    ------
    LabelsError
        When there is no such file, or it has no column ``key``.
    """
    path = folder / TABLE_FILE
    names, lines = _read(path)
    by_key = {each.ecg_id: each for each in labels}
    counts = {"n_labelled": 0, "n_changed": 0, "n_kept": 0}
    for line in lines:
        label = by_key.pop(line[_KEY].strip(), None)
        if label is not None:
            counts[_join(line, label)] += 1
    names += [name for name in (LABEL, _SOURCE, _WHEN) if name not in names]
    if counts["n_labelled"] or counts["n_changed"]:
        write_atomically(path, _csv_bytes(names, lines))
    return Joined(**counts, n_absent=len(by_key))


def _label(case: AlertCase, act: CareAction) -> EcgLabel | None:
    said = _said(act)
    if said is None or act.scope is not CareScope.ALERT:
        return None
    is_outcome = act.verb is CareVerb.OUTCOME
    source = LabelSource.OUTCOME if is_outcome else LabelSource.CARE_TEAM
    return EcgLabel(ecg_id=case.alert.ecg_id, is_high_risk=said, source=source, when=act.acted_at)


def _said(act: CareAction) -> bool | None:
    match act.verb:
        case CareVerb.OUTCOME if act.outcome is not Outcome.NOT_STATED:
            return act.outcome is Outcome.CONFIRMED
        case CareVerb.ACCEPTED:
            return True
        case CareVerb.REJECTED:
            return _REJECTED.get(reason_of(act)[0])
    return None


def _rank(label: EcgLabel) -> tuple[bool, datetime, bool]:
    # Said at one and the same moment, high wins: an order that does not hang on the cases'.
    return label.source is LabelSource.OUTCOME, label.when, label.is_high_risk


def _columns(label: EcgLabel) -> dict[str, str]:
    return {
        LABEL: str(int(label.is_high_risk)),
        _SOURCE: label.source.value,
        _WHEN: label.when.isoformat(timespec="seconds"),
    }


def _join(line: dict[str, str], label: EcgLabel) -> str:
    columns = _columns(label)
    is_blank, is_ours = not (line.get(LABEL) or "").strip(), bool(line.get(_SOURCE))
    if (not is_blank and not is_ours) or all(line.get(name) == text for name, text in columns.items()):
        return "n_kept"
    line.update(columns)
    return "n_labelled" if is_blank else "n_changed"


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            lines = list(reader)
    except OSError as error:
        raise LabelsError(
            f"{path}: cannot be read ({error.strerror}); give the folder of a paired cohort"
        ) from None
    except (csv.Error, UnicodeDecodeError):
        raise LabelsError(f"{path}: is no CSV in UTF-8; correct the file") from None
    names = list(reader.fieldnames or ())
    if _KEY not in names:
        raise LabelsError(f"{path}: has no column {_KEY}; add it, with the ecg_id of each line")
    for number, line in enumerate(lines, start=1):
        if None in line:
            raise LabelsError(f"{path}: line {number} after the header has more fields than it; correct it")
    return names, lines


def _csv_bytes(names: Iterable[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
