"""What became of alerts, as labels: which hold, that no patient is in them, and that a cohort takes them."""

from itertools import permutations

import numpy as np
import pytest
from alert_cases import RAISED_AT, act, alert, case_of, minutes

from models.cohorts.paired import PairedCohort
from models.cohorts.paired_writer import write_paired
from schemas.audit import CareVerb, Outcome
from schemas.recorded import EcgRecorded, Sex
from streams.deliver.labels import (
    EcgLabel,
    LabelsError,
    LabelSource,
    join_labels,
    labelled_ecgs,
    labels_of,
    write_labels,
)

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


def labelled_cohort(folder, labels):
    """Write recordings 1 to 3, of two patients, as a cohort."""
    ecgs = [recorded(1), recorded(2, "P-2"), recorded(1), recorded(3)]
    n = write_paired(folder, labelled_ecgs(ecgs, labels, salt=SALT), name="alerts", is_simulated=True)
    return n, PairedCohort(folder)


def test_labelled_recordings_become_a_cohort_that_training_reads(tmp_path):
    labels = labels_of([answered(1, confirmed()), answered(2, not_confirmed()), answered(9, confirmed())])
    n, cohort = labelled_cohort(tmp_path / "cohort", labels)
    assert n == len(cohort) == 2
    assert cohort.outcome("is_high_risk").tolist() == [1, 0]
    assert [cohort[i].key for i in range(2)] == [label.ecg_id for label in labels[:2]]
    assert (cohort[0].samples == 1).all()
    assert (cohort[0].age_years, cohort[0].sex, cohort[0].centre) == (71, Sex.FEMALE, "north")
    assert cohort[0].patient_key != cohort[1].patient_key
    assert "P-1" not in (tmp_path / "cohort" / "cohort.csv").read_text()


def test_one_patient_has_one_key_under_one_salt_and_another_under_another():
    labels = labels_of([answered(1, confirmed()), answered(3, confirmed())])
    ecgs = [recorded(1), recorded(3)]
    first, second = (row.patient_key for row in labelled_ecgs(ecgs, labels, salt=SALT))
    other, _ = (row.patient_key for row in labelled_ecgs(ecgs, labels, salt=b"other" * 8))
    assert first == second != other
    with pytest.raises(LabelsError, match="salt of 0 bytes hides nobody; use 16"):
        next(labelled_ecgs(ecgs, labels, salt=b""))


def test_labels_join_a_cohort_and_spare_what_echocardiography_says(tmp_path):
    labels = labels_of([answered(number, confirmed()) for number in (1, 2, 3, 9)])
    labelled_cohort(tmp_path, labels)
    path = tmp_path / "cohort.csv"
    header, *lines = path.read_text().splitlines()
    column = header.split(",").index("is_high_risk")
    fields = [line.split(",") for line in lines]
    fields[0][column], fields[1][column] = "0", ""  # the echo says no; not known; known as it is said
    path.write_text("\n".join([header, *(",".join(each) for each in fields)]) + "\n")

    joined = join_labels(tmp_path, labels)
    assert (joined.n_labelled, joined.n_changed, joined.n_kept, joined.n_absent) == (1, 0, 2, 1)
    assert PairedCohort(tmp_path).outcome("is_high_risk").tolist() == [0, 1, 1]

    before = path.read_bytes()
    assert join_labels(tmp_path, labels).n_kept == 3
    assert path.read_bytes() == before

    corrected = labels_of([answered(2, confirmed(), not_confirmed(30))])
    assert join_labels(tmp_path, corrected).n_changed == 1
    assert PairedCohort(tmp_path).outcome("is_high_risk").tolist() == [0, 0, 1]


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
