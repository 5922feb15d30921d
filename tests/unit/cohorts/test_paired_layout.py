"""Our paired ECG–echo layout: written, read, and refused with what to do."""

import csv
import json
import math
import os
import pickle
import re
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.cohorts.errors import CohortError
from models.cohorts.paired import PairedCohort
from models.cohorts.paired_writer import write_paired
from models.cohorts.rows import CohortEcg, RowSource
from models.cohorts.simulated_cohorts import development, registry
from models.cohorts.store import featurize_cohort
from models.cohorts.subset import SubsetRows
from schemas.recorded import Sex

SAID: dict[str, Any] = {
    "version": 1,
    "name": "Echo laboratory",
    "is_simulated": False,
    "centres": ["north", "south"],
    "sample_rate_hz": 500,
    "lead_names": ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"],
    "uv_per_unit": 4.88,
    "notes": "same day",
}
COLUMNS = ("key", "patient_key", "centre", "split", "age_years", "sex", "is_high_risk", "lv_mass_index_g_m2")
LINES = (
    ("a1", "A", "north", "development", "61.5", "female", "1", "92.5"),
    ("a2", "A", "north", "development", "62", "female", "", ""),
    ("b1", "B", "south", "external", "", "", "0", "70"),
    ("c1", "C", "", "", "48", "male", "0", "66"),
)


def ecgs(n: int = 4, n_leads: int = 8, n_samples: int = 5000) -> npt.NDArray[np.int16]:
    out = np.random.default_rng(1).integers(-300, 300, size=(n, n_leads, n_samples), dtype=np.int16)
    out[:, :, 0] = np.arange(n)[:, None]  # tells whose samples these are
    return out


def curves(n: int = 4) -> npt.NDArray[np.float32]:
    out = np.full((n, 2, 128), np.nan, dtype=np.float32)
    out[0] = np.sin(np.arange(128) / 20)
    out[2, 1] = 3.0
    return out


def write_csv(folder: Path, lines: Sequence[Sequence[str]] = LINES, columns: Sequence[str] = COLUMNS) -> None:
    with (folder / "cohort.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *lines])


def write_json(folder: Path, said: Mapping[str, Any]) -> None:
    (folder / "cohort.json").write_text(json.dumps(said))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path, SAID)
    write_csv(tmp_path)
    np.save(tmp_path / "ecgs.npy", ecgs())
    np.save(tmp_path / "tissue_doppler.npy", curves())
    return tmp_path


def all_of(source: RowSource) -> list[CohortEcg]:
    return [source[i] for i in range(len(source))]


def test_a_row_is_its_line_its_ecg_and_its_curve(folder: Path) -> None:
    source = PairedCohort(folder)
    rows = all_of(source)
    assert [ecg.key for ecg in rows] == ["a1", "a2", "b1", "c1"]
    assert [ecg.patient_key for ecg in rows] == ["A", "A", "B", "C"]
    assert [ecg.samples[3, 0] for ecg in rows] == [0, 1, 2, 3]
    assert [ecg.sex for ecg in rows] == [Sex.FEMALE, Sex.FEMALE, Sex.UNKNOWN, Sex.MALE]
    assert [ecg.age_years for ecg in rows] == [61.5, 62.0, None, 48.0]
    assert [ecg.centre for ecg in rows] == ["north", "north", "south", ""]
    assert [ecg.split for ecg in rows] == ["development", "development", "external", ""]
    assert rows[0].outcomes == {"is_high_risk": 1.0, "lv_mass_index_g_m2": 92.5}
    assert all(math.isnan(outcome) for outcome in rows[1].outcomes.values())
    assert (rows[0].sample_rate_hz, rows[0].uv_per_unit) == (500.0, 4.88)
    assert rows[0].lead_names == tuple(SAID["lead_names"])
    assert rows[0].samples.dtype == np.int16
    np.testing.assert_array_equal(rows[0].velocities_cm_s, curves()[0])
    assert rows[1].velocities_cm_s is None
    np.testing.assert_array_equal(rows[2].velocities_cm_s, curves()[2])  # one site alone
    assert source.provenance.name == "Echo laboratory"
    assert not source.provenance.is_simulated


def test_columns_of_the_whole_cohort_are_known_without_reading_ecgs(folder: Path) -> None:
    source = PairedCohort(folder)
    assert source.patient_keys == ["A", "A", "B", "C"]
    assert source.splits == ["development", "development", "external", ""]
    assert source.has_velocities().tolist() == [True, False, False, False], "whole curves count"
    np.testing.assert_array_equal(source.outcome("is_high_risk"), [1, np.nan, 0, 0])
    with pytest.raises(CohortError, match="has no outcome mass; it has is_high_risk, lv_mass_index_g_m2"):
        source.outcome("mass")


def test_a_split_is_read_alone_and_the_rest_is_counted(folder: Path) -> None:
    source = PairedCohort(folder, ("external",))
    assert [ecg.key for ecg in all_of(source)] == ["b1"]
    assert source.provenance.left_out == {"in another split": 3}
    assert source.has_velocities().tolist() == [False]
    with pytest.raises(CohortError, match="has no split test; its column split names 2"):
        PairedCohort(folder, ("test",))


def test_tissue_doppler_centre_split_age_and_sex_are_optional(folder: Path) -> None:
    (folder / "tissue_doppler.npy").unlink()
    write_csv(folder, [line[:2] for line in LINES], COLUMNS[:2])
    write_json(folder, {name: SAID[name] for name in SAID if name not in ("centres", "notes")})
    source = PairedCohort(folder)
    ecg = source[0]
    assert (ecg.age_years, ecg.sex, ecg.centre, ecg.split) == (None, Sex.UNKNOWN, "", "")
    assert ecg.velocities_cm_s is None
    assert ecg.outcomes == {}
    assert not source.has_velocities().any()


def test_remarks_are_not_read_and_columns_may_be_in_any_order(folder: Path) -> None:
    write_csv(
        folder,
        [(f"see chart {i}", line[1], line[0]) for i, line in enumerate(LINES)],
        ("_n", "patient_key", "key"),
    )
    assert all_of(PairedCohort(folder))[2].key == "b1"
    assert PairedCohort(folder)[0].outcomes == {}


def test_several_arrays_count_on(folder: Path) -> None:
    (folder / "ecgs.npy").unlink()
    np.save(folder / "ecgs_000.npy", ecgs()[:1])
    np.save(folder / "ecgs_001.npy", ecgs()[1:])
    assert [ecg.samples[0, 0] for ecg in all_of(PairedCohort(folder))] == [0, 1, 2, 3]


def test_parts_may_differ_in_rate_leads_unit_and_type(folder: Path) -> None:
    np.save(folder / "slow.npy", ecgs(1, 9, 2500).astype(np.float32))
    np.save(folder / "ecgs.npy", ecgs()[:3])
    slow = {
        "file": "slow.npy",
        "sample_rate_hz": 250,
        "uv_per_unit": None,
        "lead_names": ["V6", *SAID["lead_names"][:-1], "X"],
    }
    write_json(folder, SAID | {"parts": [{"file": "ecgs.npy"}, slow]})
    rows = all_of(PairedCohort(folder))
    assert [ecg.sample_rate_hz for ecg in rows] == [500, 500, 500, 250]
    assert [ecg.uv_per_unit for ecg in rows] == [4.88, 4.88, 4.88, None]
    assert rows[3].samples.shape == (9, 2500)
    assert rows[3].samples.dtype == np.float32


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("age_years", "old", "is no number"),
        ("age_years", "161", "is not between 0 and 130"),
        ("sex", "X", "is none of male, m, female, f, unknown, u"),
        ("is_high_risk", "0.7", "is neither 0 nor 1"),
        ("lv_mass_index_g_m2", "95 g", "is no number"),
        ("lv_mass_index_g_m2", "inf", "is not finite"),
        ("centre", "east", "is none of north, south"),
        ("key", "a1", "stands in line 2 already"),
        ("key", "", "is blank"),
        ("key", "k" * 65, "has 65 characters, more than 64"),
        ("patient_key", "", "is blank"),
        ("split", "external", "this patient is in another split in an earlier line"),
    ],
)
def test_a_field_that_cannot_be_is_an_error_with_line_and_column(
    folder: Path, column: str, text: str, said: str
) -> None:
    second = list(LINES[1])
    second[COLUMNS.index(column)] = text
    write_csv(folder, [LINES[0], second, *LINES[2:]])
    with pytest.raises(CohortError, match=f"line 3, column {column}: {re.escape(said)}"):
        PairedCohort(folder)


def test_messages_do_not_repeat_what_a_table_holds(folder: Path) -> None:
    name = "Smith"
    for i, column in enumerate(COLUMNS):
        lines = [list(line) for line in LINES]
        lines[0][i] = lines[1][i] = name
        write_csv(folder, [tuple(line) for line in lines])
        if column != "patient_key":
            with pytest.raises(CohortError) as raised:
                PairedCohort(folder, ["none"])
            assert name not in str(raised.value)
    (folder / "cohort.csv").write_text(f"a1,{name},,,,,,\na2,{name},,,,,,\n")
    with pytest.raises(CohortError, match="has no column") as raised:
        PairedCohort(folder)
    assert name not in str(raised.value)


def test_peaks_in_another_unit_are_an_error(folder: Path) -> None:
    columns = (*COLUMNS, "e_prime_septal_cm_s")
    write_csv(folder, [(*line, "8.5") for line in LINES], columns)
    assert PairedCohort(folder)[0].outcomes["e_prime_septal_cm_s"] == 8.5
    for wrong in ("85", "-8.5"):
        write_csv(folder, [(*LINES[0], wrong), *((*line, "") for line in LINES[1:])], columns)
        with pytest.raises(CohortError, match=r"column e_prime_septal_cm_s: is not between 0 and 50"):
            PairedCohort(folder)


def test_curves_in_another_unit_are_an_error_that_names_row_and_line(folder: Path) -> None:
    np.save(folder / "tissue_doppler.npy", curves() * 100)
    source = PairedCohort(folder)
    with pytest.raises(
        CohortError, match=r"row 2 \(.*cohort\.csv, line 4\): velocities reach 300, .*in cm/s"
    ):
        source[2]


@pytest.mark.parametrize("missing", ["key", "patient_key"])
def test_a_missing_column_is_an_error_that_names_it(folder: Path, missing: str) -> None:
    i = COLUMNS.index(missing)
    write_csv(folder, [line[:i] + line[i + 1 :] for line in LINES], COLUMNS[:i] + COLUMNS[i + 1 :])
    with pytest.raises(CohortError, match=rf"cohort\.csv has no column {missing}"):
        PairedCohort(folder)


def test_a_table_that_is_damaged_is_an_error(folder: Path) -> None:
    write_csv(folder, [LINES[0], LINES[1][:-1]])
    with pytest.raises(CohortError, match="line 3: 7 fields under 8 column names"):
        PairedCohort(folder)
    write_csv(folder, LINES, ("key", *COLUMNS[:-1]))
    with pytest.raises(CohortError, match="has one name over columns"):
        PairedCohort(folder)
    (folder / "cohort.csv").write_bytes("key,patient_key\nJosé,1\n".encode("latin-1"))
    with pytest.raises(CohortError, match="save it as CSV in UTF-8"):
        PairedCohort(folder)
    (folder / "cohort.csv").write_text("")
    with pytest.raises(CohortError, match="is empty"):
        PairedCohort(folder)


def test_a_table_saved_by_a_spreadsheet_is_read(folder: Path) -> None:
    text = (folder / "cohort.csv").read_text()
    (folder / "cohort.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n")
    assert len(PairedCohort(folder)) == 4


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"version": 2}, "version is 2, this program reads 1"),
        ({"name": ""}, "name: is '', expected a text"),
        ({"is_simulated": "no"}, "is_simulated: is 'no', expected true or false"),
        ({"centres": "north"}, "centres: is 'north', expected a list of texts"),
        ({"sample_rate_hz": "500"}, "sample_rate_hz: is '500', expected a number"),
        ({"sample_rate_hz": 50}, "sample_rate_hz: 50 is not 100 to 2000"),
        ({"uv_per_unit": 0}, "uv_per_unit: 0 is not above 0"),
        ({"uv_per_unit": True}, "uv_per_unit: is True, expected a number"),
        ({"lead_names": ["I", "V1"]}, "lead_names: I, V1 does not give II, III, aVR, aVL, aVF, V2"),
        ({"parts": []}, "parts: list one object for each array"),
        ({"parts": [{"file": "../ecgs.npy"}]}, "file: '../ecgs.npy' is to lie in the folder itself"),
        ({"parts": [{}]}, "file: is None, expected a text"),
    ],
)
def test_a_description_that_cannot_be_is_an_error_that_names_the_field(
    folder: Path, said: dict[str, Any], message: str
) -> None:
    write_json(folder, SAID | said)
    with pytest.raises(CohortError, match=rf"cohort\.json.*{re.escape(message)}"):
        PairedCohort(folder)


@pytest.mark.parametrize("missing", ["name", "is_simulated", "sample_rate_hz", "lead_names", "uv_per_unit"])
def test_a_description_without_a_field_is_an_error_that_names_it(folder: Path, missing: str) -> None:
    write_json(folder, {name: SAID[name] for name in SAID if name != missing})
    with pytest.raises(CohortError, match=rf"cohort\.json, {missing}: is None"):
        PairedCohort(folder)


@pytest.mark.parametrize("missing", ["cohort.json", "cohort.csv", "ecgs.npy"])
def test_a_missing_file_is_an_error_that_names_it(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(CohortError, match=re.escape(missing)):
        PairedCohort(folder)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("ecgs", ecgs()[:3], "hold 3 ECGs, cohort.csv has 4 lines"),
        ("ecgs", ecgs(n_leads=12), "has shape (4, 12, 5000), expected (N, 8, N)"),
        ("ecgs", ecgs().astype(np.float64), "holds float64, expected int16 or float32"),
        ("ecgs", ecgs(n_samples=4000), "4000 samples of each lead, less than 10 s at 500 Hz"),
        ("tissue_doppler", curves(3), "has shape (3, 2, 128), expected (4, 2, 128)"),
        ("tissue_doppler", np.zeros((4, 2, 100)), "has shape (4, 2, 100), expected (4, 2, 128)"),
    ],
)
def test_an_array_of_another_layout_is_an_error_that_names_it(
    folder: Path, name: str, array: npt.NDArray[Any], said: str
) -> None:
    np.save(folder / f"{name}.npy", array)
    with pytest.raises(CohortError, match=rf"{name}\.npy.*{re.escape(said)}"):
        PairedCohort(folder)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    cohort = development(14)
    told: list[int] = []

    def rows() -> Iterator[CohortEcg]:
        for i in range(len(cohort)):
            told.append(i)
            ecg = cohort[i]
            yield replace(ecg, velocities_cm_s=None, split="a") if i == 3 else replace(ecg, split="a")

    assert write_paired(tmp_path / "c", rows(), name="simulated", is_simulated=True, notes="for a test") == 14
    read = PairedCohort(tmp_path / "c")
    assert read.provenance.is_simulated
    assert len(json.loads((tmp_path / "c/cohort.json").read_text())["parts"]) == 3  # makes of cart
    by_key = {ecg.key: ecg for ecg in all_of(read)}
    assert len(by_key) == 14
    for expected in rows():
        ecg = by_key[expected.key]
        np.testing.assert_array_equal(ecg.samples, expected.samples)
        for name in (
            "patient_key",
            "sample_rate_hz",
            "lead_names",
            "uv_per_unit",
            "age_years",
            "sex",
            "centre",
            "split",
        ):
            assert getattr(ecg, name) == getattr(expected, name), name
        assert ecg.outcomes == pytest.approx(dict(expected.outcomes), nan_ok=True, rel=0, abs=0)
        if expected.velocities_cm_s is None:
            assert ecg.velocities_cm_s is None
        else:
            np.testing.assert_array_equal(ecg.velocities_cm_s, expected.velocities_cm_s)
    assert sorted(each.name for each in (tmp_path / "c").iterdir()) == [
        *("cohort.csv", "cohort.json", "ecgs_000.npy", "ecgs_001.npy", "ecgs_002.npy", "tissue_doppler.npy")
    ]


def test_it_gives_the_model_the_same_as_the_source_it_was_written_from(tmp_path: Path) -> None:
    cohort = development(10)
    write_paired(tmp_path / "c", (cohort[i] for i in range(10)), name="simulated", is_simulated=True)
    ours = featurize_cohort(PairedCohort(tmp_path / "c"), tmp_path / "ours", chunk_rows=3)
    theirs = featurize_cohort(cohort, tmp_path / "theirs")
    order = [theirs.keys.tolist().index(key) for key in ours.keys.tolist()]
    for name in ("inputs_uv", "beats_uv", "features", "velocities_cm_s"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name)[order])


def test_one_kind_of_ecg_without_curves_makes_the_plain_layout(tmp_path: Path) -> None:
    cohort = registry(30)
    alike = [ecg for ecg in (cohort[i] for i in range(30)) if ecg.sample_rate_hz == 250.0]
    write_paired(tmp_path / "c", alike, name="registry", is_simulated=True)
    assert sorted(each.name for each in (tmp_path / "c").iterdir()) == [
        "cohort.csv",
        "cohort.json",
        "ecgs.npy",
    ]
    assert json.loads((tmp_path / "c/cohort.json").read_text())["sample_rate_hz"] == 250.0
    assert [ecg.key for ecg in all_of(PairedCohort(tmp_path / "c"))] == [ecg.key for ecg in alike]


def test_writing_refuses_what_it_could_not_read_again(tmp_path: Path) -> None:
    ecg = development(1)[0]
    with pytest.raises(CohortError, match="has no rows"):
        write_paired(tmp_path / "none", [], name="x", is_simulated=True)
    with pytest.raises(CohortError, match="row 1 has the outcomes"):
        write_paired(tmp_path / "b", [ecg, replace(ecg, outcomes={})], name="x", is_simulated=True)
    assert not (tmp_path / "b/cohort.json").exists()  # what is half written is no cohort
    with pytest.raises(CohortError, match="choose an empty folder"):
        write_paired(tmp_path / "b", [ecg], name="x", is_simulated=True)
    wide = replace(ecg, samples=ecg.samples.astype(np.int32))
    with pytest.raises(CohortError, match="samples are int32"):
        write_paired(tmp_path / "w", [wide], name="x", is_simulated=True)


def test_the_examples_of_the_documentation_hold(folder: Path) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "paired-cohort.md").read_text()
    plain, parts = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    said = json.loads(plain)
    np.save(folder / "ecgs.npy", ecgs(n_leads=12))
    write_json(folder, said)
    assert PairedCohort(folder)[0].uv_per_unit == said["uv_per_unit"]
    np.save(folder / "ecgs_000.npy", ecgs(3, 12))
    np.save(folder / "ecgs_001.npy", ecgs(1, 12, 2500))
    write_json(folder, said | json.loads(f"{{{parts}}}"))
    assert [ecg.sample_rate_hz for ecg in all_of(PairedCohort(folder))] == [500, 500, 500, 250]
    program, _ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    target = folder / "written"
    exec(program.replace('Path("simulated-100")', "target").replace("100", "2"), {"target": target})  # noqa: S102
    assert len(PairedCohort(target)) == 2


def test_reading_row_by_row_holds_one_row(tmp_path: Path) -> None:
    """200 ECGs are 16 MB on disk; one is 80 kB."""
    write_json(tmp_path, SAID)
    write_csv(tmp_path, [(f"k{i}", f"p{i}", "", "", "", "", "", "") for i in range(200)])
    np.save(tmp_path / "ecgs.npy", ecgs(200))
    np.save(tmp_path / "tissue_doppler.npy", np.ones((200, 2, 128), np.float32))
    source = PairedCohort(tmp_path)
    tracemalloc.start()
    assert sum(int(source[i].samples[0, 0]) for i in range(200)) == 199 * 100
    assert source.has_velocities().all()
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert highest < 500_000


def test_another_process_reads_the_same_and_is_sent_no_ecgs(folder: Path) -> None:
    source = PairedCohort(folder)
    source[0]
    sent = pickle.dumps(source)
    assert len(sent) < 10_000
    received = pickle.loads(sent)  # noqa: S301 - our own
    np.testing.assert_array_equal(received[3].samples, source[3].samples)


def test_another_version_of_the_table_is_another_cohort(folder: Path) -> None:
    before = PairedCohort(folder).provenance
    assert PairedCohort(folder).provenance == before
    write_csv(folder, [*LINES[:-1], (*LINES[-1][:-1], "67")])
    changed = PairedCohort(folder).provenance
    assert changed != before
    write_json(folder, SAID | {"uv_per_unit": 5})
    assert PairedCohort(folder).provenance not in (before, changed)


def test_a_subset_is_a_source_of_its_own(folder: Path) -> None:
    whole = PairedCohort(folder)
    subset = SubsetRows(whole, [2, 0], "those with curves")
    assert [ecg.key for ecg in all_of(subset)] == ["b1", "a1"]
    assert subset.provenance.left_out == {"not chosen": 2}
    assert subset.provenance.details.startswith("those with curves of: ")
    assert subset.provenance != whole.provenance
    for i in (2, -1):
        with pytest.raises(IndexError):
            subset[i]
    with pytest.raises(IndexError, match="rows of 4 reach from 0 to 4"):
        SubsetRows(whole, [0, 4], "wrong")


def test_rows_of_arrays_that_were_written_to_are_other_rows(folder: Path) -> None:
    before, path = PairedCohort(folder).provenance, folder / "ecgs.npy"
    assert PairedCohort(folder).provenance == before
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert PairedCohort(folder).provenance != before
