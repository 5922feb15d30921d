"""PTB-XL, read from files of its layout."""

import csv
import pickle
import shutil
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import wfdb

from models.cohorts.errors import CohortError
from models.cohorts.ptbxl import PtbXl
from models.cohorts.rows import CohortEcg, RowSource
from models.cohorts.simulated_cohorts import registry
from models.cohorts.store import featurize_cohort, stored_state
from models.signal import condition, model_input_uv
from schemas.leads import LEADS_12
from schemas.recorded import Sex

COLUMNS = (
    *("ecg_id", "patient_id", "age", "sex", "report", "scp_codes", "pacemaker", "strat_fold"),
    *("filename_lr", "filename_hr"),
)
NAMES = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
STATEMENTS = """\
,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NORM,normal ECG,1.0,,,NORM,NORM
IMI,inferior myocardial infarction,1.0,,,MI,IMI
NDT,non-diagnostic T abnormalities,1.0,1.0,,STTC,STTC
LVH,left ventricular hypertrophy,1.0,,,HYP,LVH
CLBBB,complete left bundle branch block,1.0,,,CD,CLBBB
SR,sinus rhythm,,,1.0,,
AFIB,atrial fibrillation,,,1.0,,
"""


def line(ecg_id: int, fold: int, **said: str) -> dict[str, str]:
    place = f"{ecg_id // 1000 * 1000:05d}/{ecg_id:05d}"
    return {
        "ecg_id": str(ecg_id),
        "patient_id": f"{15000 + ecg_id // 2}.0",  # as pandas writes a column with gaps
        "age": "56.0",
        "sex": "1",
        "report": "sinusrhythmus,\nsonst normales ekg",
        "scp_codes": "{'NORM': 100.0, 'SR': 0.0}",
        "pacemaker": "",
        "strat_fold": str(fold),
        "filename_lr": f"records100/{place}_lr",
        "filename_hr": f"records500/{place}_hr",
        **said,
    }


LINES = (
    line(1, 3, sex="0"),
    line(2, 10, age="300.0", scp_codes="{'IMI': 35.0, 'LVH': 0.0, 'AFIB': 0.0}"),
    line(999, 9, age=""),
    line(1000, 8, pacemaker="ja, pacemaker", sex=""),
    line(21837, 1, scp_codes="{}"),
)


def signal_mv(ecg_id: int) -> npt.NDArray[np.float64]:
    """(5000, 12); tells ECG and lead, in whole units of 1 µV."""
    out = np.random.default_rng(ecg_id).normal(scale=0.3, size=(5000, 12)).round(3)
    out[0], out[1] = ecg_id % 30, np.arange(12) / 1000
    return np.asarray(out)


def write_record(
    folder: Path, ecg_id: int, mv: npt.NDArray[np.float64], names: Sequence[str] = NAMES, **other: object
) -> None:
    place = folder / "records500" / f"{ecg_id // 1000 * 1000:05d}"
    place.mkdir(parents=True, exist_ok=True)
    how = {"fs": 500, "units": ["mV"] * len(names), "adc_gain": [1000.0] * len(names)} | other
    wfdb.wrsamp(
        f"{ecg_id:05d}_hr",
        sig_name=list(names),
        p_signal=mv,
        fmt=["16"] * len(names),
        baseline=[0] * len(names),
        write_dir=str(place),
        **how,
    )


def write_tables(folder: Path, lines: Sequence[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> None:
    with (folder / "ptbxl_database.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    (folder / "scp_statements.csv").write_text(STATEMENTS)


@pytest.fixture(scope="module")
def as_published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    whole = tmp_path_factory.mktemp("ptbxl")
    write_tables(whole, LINES)
    for each in LINES:
        write_record(whole, int(each["ecg_id"]), signal_mv(int(each["ecg_id"])))
    return whole


@pytest.fixture
def folder(as_published: Path, tmp_path: Path) -> Path:
    """Give a copy to this test alone, to spoil."""
    shutil.copytree(as_published, tmp_path, dirs_exist_ok=True)
    return tmp_path


def all_of(source: RowSource) -> dict[str, CohortEcg]:
    return {source[i].key: source[i] for i in range(len(source))}


def test_rows_are_in_the_order_of_the_table_with_their_own_samples(folder: Path) -> None:
    source = PtbXl(folder)
    assert [source[i].key for i in range(len(source))] == ["1", "2", "999", "1000", "21837"]
    for key, ecg in all_of(source).items():
        assert ecg.samples.shape == (12, 5000)
        np.testing.assert_allclose(ecg.samples.astype(float), signal_mv(int(key)).T, atol=1e-6)
    assert source[2].patient_key == "15499"


def test_samples_are_in_mv_at_500_hz_by_the_standard_names(folder: Path) -> None:
    ecg = PtbXl(folder)[0]
    assert ecg.sample_rate_hz == 500.0
    assert ecg.uv_per_unit == 1000.0
    assert ecg.samples.dtype == np.float32
    assert ecg.lead_names == LEADS_12
    np.testing.assert_allclose(ecg.samples[:, 1].astype(float), np.arange(12) / 1000, atol=1e-6)


def test_leads_are_found_by_name_whatever_their_order(folder: Path) -> None:
    turned = [*NAMES[6:], *NAMES[:6]]
    write_record(folder, 1, signal_mv(1)[:, [*range(6, 12), *range(6)]], turned)
    np.testing.assert_allclose(PtbXl(folder)[0].samples.astype(float), signal_mv(1).T, atol=1e-6)


def test_sex_0_is_male(folder: Path) -> None:
    ecgs = all_of(PtbXl(folder))
    assert [ecgs[key].sex for key in ("1", "2", "1000")] == [Sex.MALE, Sex.FEMALE, Sex.UNKNOWN]


def test_an_age_of_300_is_90_and_more(folder: Path) -> None:
    ecgs = all_of(PtbXl(folder))
    assert [ecgs[key].age_years for key in ("1", "2", "999")] == [56.0, 90.0, None]


def test_codes_are_read_from_a_dict_in_text(folder: Path) -> None:
    ecgs = all_of(PtbXl(folder))
    first, second, last = (ecgs[key].outcomes for key in ("1", "2", "21837"))
    assert (first["NORM"], first["SR"], first["IMI"], first["AFIB"]) == (1, 1, 0, 0)
    assert first["diagnostic_class_NORM"] == 1
    # a likelihood of 0 is one that nobody gave
    assert (second["IMI"], second["LVH"], second["AFIB"], second["NORM"]) == (1, 1, 1, 0)
    assert (second["diagnostic_class_MI"], second["diagnostic_class_HYP"]) == (1, 1)
    assert (second["diagnostic_class_CD"], second["diagnostic_class_STTC"]) == (0, 0)
    assert not any(last.values())
    assert list(first) == list(second) == list(last)


def test_a_code_without_a_description_is_an_outcome_without_a_class(folder: Path) -> None:
    write_tables(folder, [LINES[0], line(2, 1, scp_codes="{'XYZ': 100.0}"), *LINES[2:]])
    ecgs = all_of(PtbXl(folder))
    assert (ecgs["2"].outcomes["XYZ"], ecgs["1"].outcomes["XYZ"]) == (1, 0)


@pytest.mark.parametrize(
    "text", ["", "NORM", "['NORM']", "{NORM: 100}", "{1: 2}", "__import__('os').getcwd()"]
)
def test_codes_that_are_no_dict_are_an_error_and_never_run(folder: Path, text: str) -> None:
    write_tables(folder, [LINES[0], line(2, 1, scp_codes=text)])
    with pytest.raises(CohortError, match=r"line 5, column scp_codes: is not like"):  # reports span lines
        PtbXl(folder)


def test_folds_are_the_recommended_splits(folder: Path) -> None:
    source = PtbXl(folder)
    assert [source[i].split for i in range(5)] == ["train", "test", "val", "train", "train"]
    held_out = PtbXl(folder, ("test", "val"))
    assert [held_out[i].key for i in range(len(held_out))] == ["2", "999"]
    assert held_out.provenance.left_out == {"split train": 3}
    assert held_out.provenance.details != source.provenance.details
    for splits in (("validation",), (), ("val", "val")):
        with pytest.raises(CohortError, match="give some of train, val, test"):
            PtbXl(folder, splits)


@pytest.mark.parametrize("suffix", ["dat", "hea"])
def test_a_row_without_its_record_is_an_error_that_names_it(folder: Path, suffix: str) -> None:
    (folder / f"records500/01000/01000_hr.{suffix}").unlink()
    with pytest.raises(CohortError, match=rf"01000_hr\.{suffix} is not there, which .*csv, line 9 names"):
        PtbXl(folder)
    assert len(PtbXl(folder, ("val", "test"))) == 2  # whose records are there


def test_a_folder_of_records_that_is_missing_is_an_error(folder: Path) -> None:
    write_tables(folder, [*LINES, line(5000, 1)])
    with pytest.raises(CohortError, match=r"05000_hr\.hea is not there"):
        PtbXl(folder)


def test_a_record_cut_short_is_an_error_that_names_it(folder: Path) -> None:
    path = folder / "records500/00000/00002_hr.dat"
    path.write_bytes(path.read_bytes()[:-100])
    source = PtbXl(folder)
    with pytest.raises(CohortError, match="00002_hr is damaged"):
        source[1]
    (folder / "records500/00000/00001_hr.hea").write_text("nothing of the kind\n")
    with pytest.raises(CohortError, match="00001_hr is damaged"):
        source[0]


@pytest.mark.parametrize(
    ("n", "names", "other", "said"),
    [
        (1000, NAMES, {"fs": 100}, r"at 100 Hz, \(1000, 12\) samples"),
        (4000, NAMES, {}, r"\(4000, 12\) samples"),
        (5000, NAMES[:11], {}, r"\(5000, 11\) samples"),
        (5000, [*NAMES[:11], "VX"], {}, "VX at 500 Hz"),
        (5000, NAMES, {"units": ["uV"] * 12, "adc_gain": [1.0] * 12}, "samples in uV"),
    ],
)
def test_a_record_of_another_layout_is_an_error_that_names_it(
    folder: Path, n: int, names: Sequence[str], other: dict[str, object], said: str
) -> None:
    write_record(folder, 1, signal_mv(1)[:n, : len(names)], names, **other)
    source = PtbXl(folder)
    with pytest.raises(CohortError, match=f"00001_hr holds .*{said}.*expected the 12 leads at 500 Hz"):
        source[0]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"age": "200"}, "column age: is not between 0 and 130"),
        ({"strat_fold": "11"}, "column strat_fold: is not between 1 and 10"),
        ({"strat_fold": ""}, "column strat_fold: is no fold"),
        ({"sex": "2"}, "column sex: is neither 0 nor 1"),
        ({"patient_id": ""}, "column patient_id: is no identifier"),
        ({"ecg_id": "1"}, "line 5, column ecg_id: stands in line 3 already"),
    ],
)
def test_a_field_that_cannot_be_is_an_error(folder: Path, said: dict[str, str], message: str) -> None:
    write_tables(folder, [LINES[0], line(2, 1) | said])
    with pytest.raises(CohortError, match=message):
        PtbXl(folder)


@pytest.mark.parametrize("missing", ["scp_codes", "strat_fold", "filename_hr", "sex"])
def test_a_missing_column_or_table_is_an_error_that_names_it(folder: Path, missing: str) -> None:
    write_tables(folder, LINES, [name for name in COLUMNS if name != missing])
    with pytest.raises(CohortError, match=rf"ptbxl_database\.csv has no column {missing}"):
        PtbXl(folder)
    write_tables(folder, LINES)
    (folder / "scp_statements.csv").unlink()
    with pytest.raises(CohortError, match=r"scp_statements\.csv cannot be read"):
        PtbXl(folder)


def test_reading_row_by_row_holds_one_record(tmp_path: Path) -> None:
    """24 records are 2.9 MB on disk and 5.8 MB as float32; one takes 1.5 MB while wfdb scales it."""
    write_tables(tmp_path, [line(i, 1) for i in range(1, 25)])
    for i in range(1, 25):
        write_record(tmp_path, i, signal_mv(i))
    source = PtbXl(tmp_path)
    source[0]

    def peak(n: int) -> int:
        tracemalloc.start()
        for i in range(n):
            source[i]
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(24) < peak(2) + 240_000


def test_another_process_reads_the_same(folder: Path) -> None:
    source = PtbXl(folder)
    received = pickle.loads(pickle.dumps(source))  # noqa: S301 - our own
    np.testing.assert_array_equal(received[4].samples, source[4].samples)
    assert received[1].outcomes == source[1].outcomes


def test_records_reach_the_model_and_paced_ones_are_left_out(tmp_path: Path) -> None:
    drawn = [registry(60)[i] for i in range(60)]
    at_500_hz = [ecg for ecg in drawn if ecg.sample_rate_hz == 500.0 and ecg.uv_per_unit][:3]
    write_tables(tmp_path, [line(1, 1), line(2, 1), line(3, 1, pacemaker="ja, pacemaker")])
    for i, ecg in enumerate(at_500_hz):
        write_record(tmp_path, i + 1, ecg.samples.T.astype(np.float64) * (ecg.uv_per_unit or 0.0) / 1000.0)
    cohort = featurize_cohort(PtbXl(tmp_path), tmp_path / "prepared")
    assert cohort.keys.tolist() == ["1", "2"]
    state = stored_state(tmp_path / "prepared")
    assert state is not None
    assert state.left_out["PACED"].n == 1
    for ours, ecg in zip(cohort.inputs_uv, at_500_hz, strict=False):
        mv = condition(
            ecg.samples[None],
            sample_rate_hz=500.0,
            lead_names=ecg.lead_names,
            uv_per_unit=ecg.uv_per_unit or 0.0,
        ).mv
        np.testing.assert_allclose(ours, model_input_uv(mv)[0], atol=2)  # stored in whole µV
