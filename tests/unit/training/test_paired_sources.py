from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.cohorts.errors import CohortError
from models.cohorts.joined import JoinedRows
from models.cohorts.paired_writer import write_paired
from models.cohorts.preparation import prepare
from models.cohorts.rows import CohortEcg, Provenance, RowSource
from models.cohorts.simulated_cohorts import development, registry
from models.training.paired_sources import DEVELOPMENT, EXTERNAL, MOTION, UNLABELLED, paired_sources
from schemas.leads import LEADS_8

CURVES = np.ones((2, 128), dtype=np.float32)


def row(i: int, patient: int, *, doppler: bool = True, label: float = 1.0, split: str = "") -> CohortEcg:
    return CohortEcg(
        key=f"E{i}",
        patient_key=f"P{patient}",
        samples=np.zeros((8, 1000), dtype=np.int16),
        sample_rate_hz=100.0,
        lead_names=LEADS_8,
        uv_per_unit=5.0,
        split=split,
        outcomes={"is_high_risk": label},
        velocities_cm_s=CURVES if doppler else None,
    )


def written(folder: Path, rows: list[CohortEcg]) -> Path:
    write_paired(folder, rows, name="Lab", is_simulated=False)
    return folder


def patients(source: RowSource | None) -> set[str]:
    assert source is not None
    return {source[i].patient_key for i in range(len(source))}


def test_patients_without_splits_are_dealt_and_no_label_is_seen_twice(tmp_path: Path) -> None:
    rows = [row(i, i // 2, label=float(i % 3 == 0)) for i in range(800)]
    sources = paired_sources(written(tmp_path, rows), seed=1)
    parts = [patients(each) for each in (sources.doppler, sources.development, sources.external)]
    assert [len(part) for part in parts] == [200, 140, 60]
    assert len(set.union(*parts)) == 400
    assert patients(sources.registry) == parts[0]
    assert sources.is_simulated == {"encoder": False, "motion": False, "ensemble": False}
    assert "Lab" in sources.what
    assert patients(paired_sources(tmp_path, seed=2).doppler) != parts[0]
    assert patients(paired_sources(tmp_path, seed=1).doppler) == parts[0]


def test_rows_without_curve_or_label_teach_only_the_encoder(tmp_path: Path) -> None:
    rows = [row(i, i // 2, label=1.0 if i % 2 else np.nan, doppler=bool(i % 2)) for i in range(800)]
    sources = paired_sources(written(tmp_path, rows), seed=1)
    for source in (sources.doppler, sources.development):
        assert len(source) == len(patients(source))
    assert len(sources.registry) == 2 * len(patients(sources.registry))


def test_splits_that_name_the_parts_count(tmp_path: Path) -> None:
    names = [UNLABELLED, MOTION, DEVELOPMENT, EXTERNAL, ""]
    rows = [row(i, i, split=names[i % 5]) for i in range(300)]
    sources = paired_sources(written(tmp_path, rows), seed=1)
    found = (sources.registry, sources.doppler, sources.development, sources.external)
    for source, wanted in zip(found, ({0, 1}, {1}, {2}, {3}), strict=True):
        assert patients(source) == {f"P{i}" for i in range(300) if i % 5 in wanted}


@pytest.mark.parametrize("others", [("train", "test"), (MOTION, DEVELOPMENT, "extrenal")])
def test_split_that_names_no_part_is_refused_naming_the_parts(
    tmp_path: Path, others: tuple[str, ...]
) -> None:
    rows = [row(i, i, split=others[i % len(others)]) for i in range(300)]
    with pytest.raises(CohortError, match="other parts than unlabelled, motion, development or external"):
        paired_sources(written(tmp_path, rows), seed=1)


def test_cohort_whose_own_splits_leave_nobody_outside_has_no_external_part(tmp_path: Path) -> None:
    rows = [row(i, i, split=(MOTION, DEVELOPMENT)[i % 2]) for i in range(100)]
    assert paired_sources(written(tmp_path, rows), seed=1).external is None


def test_cohort_that_leaves_a_part_with_too_few_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="ECGs of the part motion have tissue Doppler, 50 are needed"):
        paired_sources(written(tmp_path / "few", [row(i, i) for i in range(40)]), seed=1)
    rows = [row(i, i, split=(MOTION, DEVELOPMENT)[i % 2], label=np.nan) for i in range(120)]
    with pytest.raises(CohortError, match="0 ECGs of the part development have a value of is_high_risk"):
        paired_sources(written(tmp_path / "one", rows), seed=1)


def keys(source: RowSource) -> set[str]:
    return {source[i].key for i in range(len(source))}


def test_ecgs_labelled_by_alerts_join_the_ensemble_s_and_no_other_part(tmp_path: Path) -> None:
    names = [MOTION, DEVELOPMENT, EXTERNAL]
    lab = written(tmp_path / "lab", [row(i, i, split=names[i % 3]) for i in range(300)])
    plain = paired_sources(lab, seed=1)
    later = [
        replace(row(900, 900, label=0.0, doppler=False), outcomes={"is_high_risk": 0.0, "other": 5.0}),
        replace(row(901, 901, label=np.nan), outcomes={"is_high_risk": np.nan, "other": 5.0}),
        *(replace(row(902 + i, i), outcomes={"is_high_risk": 1.0, "other": 5.0}) for i in range(3)),
        replace(row(1, 1), outcomes={"is_high_risk": 1.0, "other": 5.0}),  # in the cohort already
    ]
    alerted = written(tmp_path / "alerted", later)
    sources = paired_sources(lab, seed=1, alerted=[alerted])
    # Of patients 0 to 2, those of motion and of external stay out.
    assert keys(sources.development) - keys(plain.development) == {"E900", "E903"}
    assert len(sources.development) == len(plain.development) + 2
    # As a process that prepares rows gets it.
    last = deepcopy(sources.development)[len(sources.development) - 2]
    assert (last.key, dict(last.outcomes)) == ("E900", {"is_high_risk": 0.0})
    assert keys(sources.doppler) == keys(plain.doppler)
    assert keys(sources.registry) == keys(plain.registry)
    assert patients(sources.external) == patients(plain.external)
    assert sources.what == f"{plain.what}, the ensemble also on 2 ECGs labelled by what became of alerts"
    # Another run's identity, and no less simulated than its parts.
    assert sources.development.provenance.details != plain.development.provenance.details
    twice = paired_sources(lab, seed=1, alerted=[alerted])
    assert twice.development.provenance == sources.development.provenance
    with pytest.raises(CohortError, match="5 have a value of is_high_risk, and none of these is new"):
        paired_sources(lab, seed=1, alerted=[alerted, alerted])


def test_ecgs_of_both_are_prepared_as_one_cohort_with_one_label() -> None:
    lab, alerted = development(3), registry(3, 5)
    known = [replace(alerted[i], outcomes={"is_high_risk": 1.0, "other": 2.0}) for i in range(3)]
    joined = JoinedRows([lab, ListedRows(known)])
    prepared = prepare(joined, 0, len(joined))
    names = tuple(lab[0].outcomes)
    assert prepared.outcome_names == names
    assert len(prepared.source_rows) + len(prepared.left_out) == 6
    labels = dict(zip(prepared.texts["key"], prepared.outcomes[:, names.index("is_high_risk")], strict=True))
    added = {row.key for row in known} & labels.keys()
    assert added
    assert all(labels[key] == 1.0 for key in added)
    assert joined.provenance.is_simulated
    with pytest.raises(IndexError):
        joined[6]


class ListedRows(list[CohortEcg]):
    """Rows that lie in memory."""

    provenance = Provenance(name="alerted", is_simulated=False)
