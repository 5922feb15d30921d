"""What became of alerts, as labels: which hold, that no patient is in them, and that a cohort takes them."""

import csv
import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from alert_cases import RAISED_AT, act, alert, case_of, minutes

from models.cohorts.paired import PairedCohort
from schemas.audit import CareVerb, Outcome
from schemas.recorded import EcgRecorded, Sex
from streams.deliver.alerted_cohort import PURPOSE, patient_key, write_alerted
from streams.deliver.labels import (
    EcgLabel,
    LabelsError,
    LabelSource,
    join_labels,
    labels_of,
    write_labels,
)
from streams.feeds.sealing import Secret

SALT = b"salt" * 8


def outcome(raised, stated, at):
    return act(raised, CareVerb.OUTCOME, minutes(at), outcome=stated)


def answered(number, *acts, first=CareVerb.ACCEPTED, reason=""):
    """Return a case that was answered at minute 1, with later acts made by ``outcome``."""
    raised = alert(number)
    return case_of(raised, [act(raised, first, minutes(1), reason=reason), *(each(raised) for each in acts)])


def confirmed(at=10):
    return lambda raised: outcome(raised, Outcome.CONFIRMED, at)


def not_confirmed(at=10):
    return lambda raised: outcome(raised, Outcome.NOT_CONFIRMED, at)


def said(cases, **more):
    return [(each.is_high_risk, each.source) for each in labels_of(cases, **more)]


def test_an_outcome_is_the_label_of_the_ecg_that_raised_the_alert():
    case = answered(1, confirmed())
    assert labels_of([case]) == (
        EcgLabel(ecg_id=case.alert.ecg_id, is_high_risk=True, source=LabelSource.OUTCOME, when=minutes(10)),
    )
    assert said([answered(1, not_confirmed())]) == [(False, LabelSource.OUTCOME)]


def test_the_newer_outcome_holds_whatever_the_order_of_the_cases():
    assert said([answered(1, confirmed(10), not_confirmed(20))]) == [(False, LabelSource.OUTCOME)]
    cases = [answered(1, confirmed(10)), answered(1, not_confirmed(20)), answered(1, confirmed(20))]
    assert {tuple(labels_of(order)) for order in permutations(cases)} == {labels_of(cases)}


@pytest.mark.parametrize(
    ("first", "reason", "label"),
    [
        (CareVerb.ACCEPTED, "", True),
        (CareVerb.REJECTED, "known-condition: on dialysis", True),
        (CareVerb.REJECTED, "not-plausible", False),
        (CareVerb.REJECTED, "poor-recording", None),
        (CareVerb.REJECTED, "wrong-patient", None),
        (CareVerb.REJECTED, "out-of-scope", None),
        (CareVerb.REJECTED, "other: tired", None),
        (CareVerb.ACKNOWLEDGED, "", None),
    ],
)
def test_what_the_care_team_thought_is_a_label_on_request_and_only_where_it_tells_of_the_patient(
    first, reason, label
):
    case = answered(1, first=first, reason=reason)
    assert said([case]) == []
    assert said([case], with_care_team=True) == ([] if label is None else [(label, LabelSource.CARE_TEAM)])


def test_an_outcome_goes_before_what_the_care_team_thought_later():
    case = answered(1, not_confirmed(5))
    case = case.with_act(act(case.alert, CareVerb.ACCEPTED, minutes(30)))
    assert said([case], with_care_team=True) == [(False, LabelSource.OUTCOME)]


def test_the_sidecar_names_ecgs_and_no_patient(tmp_path):
    cases = [answered(2, not_confirmed()), answered(1, confirmed())]
    path = tmp_path / "labels.csv"
    assert write_labels(path, labels_of(cases)) == 2
    lines = path.read_text().splitlines()
    assert lines[0] == "key,is_high_risk,_label_source,_labelled_at"
    assert lines[1] == f"{cases[1].alert.ecg_id},1,outcome,2026-03-01T12:10:00+00:00"
    assert lines[2].startswith(f"{cases[0].alert.ecg_id},0,outcome,")
    assert "P-1" not in path.read_text()


def recorded(number, patient_id="P-1"):
    return EcgRecorded(
        ecg_id=alert(number).ecg_id,
        patient_id=patient_id,
        acquired_at=RAISED_AT,
        sample_rate_hz=100.0,
        lead_names=("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"),
        uv_per_unit=5.0,
        samples=np.full((8, 1000), number, np.int16),
        age_years=71.0,
        sex=Sex.FEMALE,
        site_id="north",
    )


def alerted_cohort(folder, labels=()):
    """Write recordings 1 to 3, of two patients, as a cohort."""
    ecgs = [recorded(1), recorded(2, "P-2"), recorded(3)]
    joined = write_alerted(folder, ecgs, labels, salt=SALT, is_simulated=True)
    return joined, PairedCohort(folder)


def lines_of(folder):
    with (folder / "cohort.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_recordings_that_raised_alerts_become_a_cohort_with_the_labels_that_are_known(tmp_path):
    labels = labels_of([answered(1, confirmed()), answered(2, not_confirmed()), answered(9, confirmed())])
    joined, cohort = alerted_cohort(tmp_path / "cohort", labels)
    assert (joined.n_labelled, joined.n_absent) == (2, 1)
    assert cohort.keys == [recorded(number).ecg_id for number in (1, 2, 3)]
    np.testing.assert_array_equal(cohort.outcome("is_high_risk"), [1, 0, np.nan])
    assert (cohort[0].samples == 1).all()
    assert (cohort[0].age_years, cohort[0].sex, cohort[0].centre) == (71, Sex.FEMALE, "north")
    assert cohort[0].patient_key == cohort[2].patient_key != cohort[1].patient_key
    assert "P-1" not in (tmp_path / "cohort" / "cohort.csv").read_text()
    said = [(line["_label_source"], line["_labelled_at"]) for line in lines_of(tmp_path / "cohort")]
    assert said == [("outcome", "2026-03-01T12:10:00+00:00")] * 2 + [("", "")]


def test_an_outcome_that_comes_later_or_is_corrected_is_written_in(tmp_path):
    alerted_cohort(tmp_path, labels_of([answered(1, confirmed())]))
    later = labels_of([answered(1, confirmed(), not_confirmed(30)), answered(2, confirmed())])
    joined = join_labels(tmp_path, later)
    assert (joined.n_labelled, joined.n_changed, joined.n_kept, joined.n_absent) == (1, 1, 0, 0)
    np.testing.assert_array_equal(PairedCohort(tmp_path).outcome("is_high_risk"), [0, 1, np.nan])
    before = (tmp_path / "cohort.csv").read_bytes()
    assert join_labels(tmp_path, later).n_kept == 2
    assert (tmp_path / "cohort.csv").read_bytes() == before


def test_one_patient_has_one_key_under_one_salt_and_another_under_another():
    assert patient_key("P-1", SALT) == patient_key("P-1", SALT)
    assert len({patient_key("P-1", SALT), patient_key("P-2", SALT), patient_key("P-1", b"other" * 8)}) == 3
    with pytest.raises(LabelsError, match="salt of 0 bytes hides nobody; use 16"):
        patient_key("P-1", b"")


def test_a_site_names_patients_by_the_documentation_as_the_export_does(tmp_path):
    text = (Path(__file__).resolve().parents[2] / "docs" / "paired-cohort.md").read_text()
    program = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[-1]
    secret, file = Secret.generate(), tmp_path / "patients.key"
    file.touch(mode=0o600)
    file.write_text(secret.text())
    scope = {"file": file}
    program = program.replace('Path("patients.key")', "file").replace(
        "\npatient_key(", "\nkey = patient_key("
    )
    exec(program, scope)  # noqa: S102
    write_alerted(tmp_path / "out", [recorded(1)], (), salt=secret.derive(PURPOSE), is_simulated=True)
    assert PairedCohort(tmp_path / "out").patient_keys == [scope["key"]]


def test_what_echocardiography_says_is_spared(tmp_path):
    labels = labels_of([answered(number, confirmed()) for number in (1, 2, 9)])
    rows = "".join(f"{recorded(number).ecg_id},a,{said}\n" for number, said in ((1, "0"), (2, "")))
    (tmp_path / "cohort.csv").write_text("key,patient_key,is_high_risk\n" + rows)
    joined = join_labels(tmp_path, labels)
    assert (joined.n_labelled, joined.n_changed, joined.n_kept, joined.n_absent) == (1, 0, 1, 1)
    assert [line["is_high_risk"] for line in lines_of(tmp_path)] == ["0", "1"]


def test_a_cohort_without_the_column_gets_it(tmp_path):
    path = tmp_path / "cohort.csv"
    label = labels_of([answered(1, confirmed())])
    path.write_text(f"key,patient_key\n{label[0].ecg_id},a\nother,b\n")
    assert join_labels(tmp_path, label).n_labelled == 1
    assert path.read_text().splitlines()[1:] == [
        f"{label[0].ecg_id},a,1,outcome,2026-03-01T12:10:00+00:00",
        "other,b,,,",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read .*; give the folder"),
        (b"patient_key\na\n", "has no column key; add it"),
        (b"key\n\xff\n", "is no CSV in UTF-8"),
        (b"key\na,b\n", "line 1 after the header has more fields"),
    ],
)
def test_a_table_that_cannot_take_labels_says_so(tmp_path, content, message):
    if content is not None:
        (tmp_path / "cohort.csv").write_bytes(content)
    with pytest.raises(LabelsError, match=message):
        join_labels(tmp_path, ())
