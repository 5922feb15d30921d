"""What a notice says, and what it never says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notices import PATIENT, alert_of, notice_of

from schemas.featurized import Quality
from streams.deliver.channels.notice import MAX_SUBJECT_CHARS, one_line, subject_of, text_of


def test_subject_says_urgency_ward_and_risk_in_one_line() -> None:
    subject = subject_of(notice_of())
    assert subject == "Urgent: risk of the high-risk diastolic phenotype 0.12 → 0.61 in ward Kardiologie Süd."


def test_text_holds_what_a_reader_asks_for() -> None:
    text = text_of(notice_of(), with_patient=False)
    for expected in (
        "rose from 0.12 to 0.61",
        "0.12 → 0.61 (90 % interval 0.52 to 0.70)",
        "e' 5.1 cm/s, e'/a' 0.62",
        "0.93 of 1 (BASELINE_WANDER:V3)",
        "ward Kardiologie Süd, site north",
        "Not for: Treatment decisions without an echocardiogram.",
        "https://diastole.example/alerts/",
    ):
        assert expected in text


def test_patient_is_named_only_when_asked_for() -> None:
    notice = notice_of()
    assert PATIENT in text_of(notice, with_patient=True)
    assert PATIENT not in text_of(notice, with_patient=False) + subject_of(notice)


def test_missing_values_are_said_to_be_missing_and_never_zero() -> None:
    alert = alert_of(
        motion=None,
        probability_before=None,
        before_ecg_id=None,
        before_acquired_at=None,
        probability_low=None,
        probability_high=None,
        first_seen=True,
        quality=Quality(acceptable=True, score=1.0),
    )
    text = text_of(notice_of(alert), with_patient=False)
    assert "Motion (synthetic, from the ECG): none" in text
    assert "no earlier score → 0.61 (no interval)" in text
    assert "0.00" not in text
    assert "first scored ECG" in subject_of(notice_of(alert))


def test_what_the_model_is_not_for_is_said_whole_and_once() -> None:
    whole = "Not for diagnosis: " + "trained on simulated ECGs alone. " * 25
    assert whole.strip() in text_of(notice_of(alert_of(not_for_text=whole)), with_patient=False)
    assert "Not for: Not for" not in text_of(notice_of(alert_of(not_for_text=whole)), with_patient=False)
    assert "Not for" not in text_of(notice_of(alert_of(not_for_text="")), with_patient=False)


def test_level_and_end_are_said() -> None:
    assert "not answered (step 2)" in subject_of(notice_of(level=2))
    assert subject_of(notice_of(level=2, is_over=True)).startswith("Over: ")
    assert "no longer in the high-risk phenotype" in text_of(notice_of(is_over=True), with_patient=False)


@given(st.text(max_size=250))
def test_whatever_a_record_holds_no_line_is_added(odd: str) -> None:
    alert = alert_of(ward_id=odd[:200], change_text=odd)
    notice = notice_of(alert)
    assert subject_of(notice).isprintable()
    assert len(subject_of(notice)) <= MAX_SUBJECT_CHARS
    n_lines = len(text_of(notice_of(alert_of(change_text="x")), with_patient=False).splitlines())
    assert len(text_of(notice, with_patient=False).splitlines()) in (n_lines, n_lines - 1)


@pytest.mark.parametrize("text", ["a\r\nBcc: x", "a\u2028Bcc: x", "a\x0bBcc: x", "  a   Bcc: x "])
def test_line_ends_of_every_kind_become_blanks(text: str) -> None:
    assert one_line(text) == "a Bcc: x"
