"""What the care team is told, ECG by ECG: entering, confirmation, lockout, stepping up, leaving."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from assessments import assessed, moving, nth_ecg_id

from schemas.alert import AlertClosed, AlertKind, AlertRaised, CloseReason
from schemas.codec import Codec
from schemas.identity import alert_id
from schemas.registry import FileRegistry
from schemas.risk import RiskAssessed
from streams.alert import Decision, Unmoved, alert, decide
from streams.patient_state import PatientState
from streams.policy import Policy
from streams.stage import Received
from streams.transition import RiskState

POLICY = Policy(
    label="test",
    enter_threshold=0.6,
    exit_threshold=0.45,
    confirm_n=2,
    confirm_m=3,
    lockout_h=8.0,
    step_up=0.15,
)


def fold(risks: Iterable[RiskAssessed], policy: Policy = POLICY) -> list[Decision]:
    """Decide one patient's assessments in order."""
    state: PatientState | None = None
    decisions = []
    for risk in risks:
        decisions.append(decide(state, risk, policy))
        state = decisions[-1].state
    return decisions


def hourly(*probabilities: float | None) -> list[RiskAssessed]:
    """One ECG an hour, numbered from 0."""
    return [assessed(number, probability) for number, probability in enumerate(probabilities)]


def said(decisions: Iterable[Decision]) -> list[str]:
    """Per ECG: E entered, S stepped up, c closed once, - nothing."""
    letters = {AlertKind.ENTERED_HIGH: "E", AlertKind.STEPPED_UP: "S"}
    return [
        "".join("c" if isinstance(each, AlertClosed) else letters[each.kind] for each in decision.alerts)
        or "-"
        for decision in decisions
    ]


def raised(decisions: Iterable[Decision]) -> list[AlertRaised]:
    return [each for decision in decisions for each in decision.alerts if isinstance(each, AlertRaised)]


@pytest.mark.parametrize(
    ("case", "probabilities", "expected"),
    [
        ("never high", (0.1, 0.3, 0.59), "---"),
        ("first ECG high decides alone", (0.6,), "E"),
        ("one high ECG after a low one is not confirmed", (0.1, 0.9, 0.1), "---"),
        ("two high of two", (0.1, 0.7, 0.7), "--E"),
        ("two high of the last three", (0.1, 0.7, 0.5, 0.7), "---E"),
        ("two high of four are not enough", (0.1, 0.7, 0.5, 0.5, 0.7), "-----"),
        ("no second alert while high", (0.1, 0.7, 0.7, 0.7, 0.7), "--E--"),
        ("between the thresholds nothing is left", (0.7, 0.5, 0.5, 0.5), "E---"),
        ("one low ECG does not close", (0.7, 0.1, 0.7), "E--"),
        ("two low of three close", (0.7, 0.1, 0.7, 0.1), "E--c"),
        ("not scored in between neither confirms nor interrupts", (0.1, 0.7, None, 0.7), "---E"),
        ("not scored first leaves the patient unknown", (None, 0.7), "-E"),
        ("step up within the episode, inside the lockout", (0.7, 0.84, 0.85, 1.0), "E-S-"),
        ("both alerts of the episode are closed", (0.7, 0.9, 0.1, 0.1), "ES-cc"),
        ("evidence of the last change does not count again", (0.7, 0.1, 0.7, 0.1, 0.7, 0.1, 0.7), "E--c---"),
        ("re-entry within the lockout is held back", (0.7, 0.1, 0.1, 0.7, 0.7), "E-c--"),
        ("re-entry within the lockout with a step up", (0.7, 0.1, 0.1, 0.7, 0.85), "E-c-E"),
        ("held back, then stepped up", (0.7, 0.1, 0.1, 0.7, 0.7, 0.9), "E-c--E"),
        (
            "held back, then the lockout ends at hour 8",
            (0.7, 0.1, 0.1, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7),
            "E-c-----E",
        ),
        ("between is enough after the lockout", (0.7, 0.1, 0.1, 0.7, 0.7, 0.5, 0.5, 0.5, 0.5), "E-c-----E"),
        ("below exit never raises", (0.7, 0.1, 0.1, 0.7, 0.7, 0.7, 0.7, 0.7, 0.4, 0.7), "E-c------E"),
        ("an episode held back to its end closes nothing", (0.7, 0.1, 0.1, 0.7, 0.7, 0.1, 0.1), "E-c----"),
    ],
)
def test_sequence(case: str, probabilities: tuple[float | None, ...], expected: str) -> None:
    letters = said(fold(hourly(*probabilities)))
    assert "".join(letters) == expected, case


def test_the_lockout_counts_acquisition_time_to_the_microsecond() -> None:
    episode = [assessed(n, p, hour=h) for n, p, h in ((0, 0.7, 0), (1, 0.1, 1), (2, 0.1, 2), (3, 0.7, 3))]
    eight_hours_less = assessed(4, 0.7, hour=8 - 1e-6 / 3600)
    assert said(fold([*episode, eight_hours_less]))[-1] == "-"
    assert said(fold([*episode, assessed(4, 0.7, hour=8)]))[-1] == "E"


def test_a_step_up_of_exactly_the_policy_is_one_whatever_binary_fractions_say() -> None:
    # 0.76 - 0.61 is 0.15000000000000002 and 0.95 - 0.80 is 0.1499999999999999
    assert said(fold(hourly(0.61, 0.76))) == ["E", "S"]
    assert said(fold(hourly(0.80, 0.95))) == ["E", "S"]
    assert said(fold(hourly(0.80, 0.9499))) == ["E", "-"]


def test_the_confirming_ecg_opens_the_episode_and_the_alert_names_it() -> None:
    [entered] = raised(fold(hourly(0.31, 0.72, 0.5, 0.78)))
    assert entered.episode_ecg_id == entered.ecg_id == nth_ecg_id(3)
    assert entered.alert_id == alert_id(
        policy_version=POLICY.version,
        patient_id="P-1",
        episode_ecg_id=nth_ecg_id(3),
        kind=AlertKind.ENTERED_HIGH,
    )
    assert (entered.probability, entered.probability_before) == (0.78, 0.5)
    assert (entered.before_ecg_id, entered.first_seen) == (nth_ecg_id(2), False)
    assert entered.not_for_text == "Not for treatment decisions."


def test_a_first_ecg_that_is_high_is_marked_first_seen_and_has_no_before() -> None:
    [entered] = raised(fold(hourly(0.78)))
    assert entered.first_seen
    assert (entered.probability_before, entered.before_ecg_id, entered.before_acquired_at) == (None,) * 3


def test_a_step_up_belongs_to_its_episode_and_carries_its_own_ecg() -> None:
    entered, stepped = raised(fold(hourly(0.65, 0.66, 0.85)))
    assert stepped.episode_ecg_id == entered.episode_ecg_id
    assert (stepped.ecg_id, stepped.kind) == (nth_ecg_id(2), AlertKind.STEPPED_UP)
    assert stepped.alert_id != entered.alert_id


def test_an_alert_carries_the_motion_of_the_ecg_that_raised_it() -> None:
    risks = [assessed(n, p, motion=moving(9.0 - n)) for n, p in enumerate((0.1, 0.7, 0.7))]
    (entered,) = raised(fold(risks))
    codec = Codec(FileRegistry())
    read = codec.decode(codec.encode(entered), AlertRaised)
    assert read.motion is not None
    assert (read.ecg_id, read.motion.e_prime_cm_s) == (nth_ecg_id(2), 7.0)
    np.testing.assert_array_equal(read.motion.velocities_cm_s, risks[2].motion.velocities_cm_s)


def test_an_ecg_without_motion_raises_an_alert_without() -> None:
    (entered,) = raised(fold(hourly(0.7)))
    assert entered.motion is None


def test_closing_names_the_alert_the_ecg_and_the_reason() -> None:
    decisions = fold(hourly(0.7, 0.1, 0.2))
    [entered] = raised(decisions)
    [closed] = decisions[-1].alerts
    assert isinstance(closed, AlertClosed)
    assert (closed.alert_id, closed.ecg_id) == (entered.alert_id, nth_ecg_id(2))
    assert (closed.reason, closed.probability) == (CloseReason.RETURNED_LOW, 0.2)


@pytest.mark.parametrize(
    ("probabilities", "text"),
    [
        (
            (0.31, 0.78, 0.5, 0.79),
            "rose from 0.50 to 0.79 within 60 minutes; HIGH confirmed by 2 of the last 3 ECGs.",
        ),
        (
            (0.31, 0.72, 0.78),
            (
                "rose from 0.31 at the last ECG below the threshold to 0.78 within 2 hours; "
                "HIGH confirmed by the last 2 ECGs."
            ),
        ),
        (
            (0.78,),
            "is 0.78: HIGH on the first scored ECG, no earlier score is known.",
        ),
        (
            (0.65, 0.85),
            "rose from 0.65 at the last alert to 0.85 within 60 minutes while already HIGH.",
        ),
        (
            (0.7, 0.1, 0.2, 0.7, 0.7, 0.7, 0.7, 0.7, 0.8),
            (
                "rose from 0.20 at the last ECG below the threshold before HIGH to 0.80 within 6 hours; "
                "HIGH since an earlier ECG, held back by the 8 h lockout."
            ),
        ),
    ],
)
def test_the_sentence_says_what_changed(probabilities: tuple[float, ...], text: str) -> None:
    sentence = raised(fold(hourly(*probabilities)))[-1].change_text
    assert sentence == f"Risk of the high-risk diastolic phenotype {text}"


@pytest.mark.parametrize(
    "probabilities", [(0.31, 0.72, 0.78), (0.31, 0.78, 0.5, 0.79), (0.7, 0.1, 0.2, *[0.7] * 5, 0.8)]
)
def test_a_number_that_is_not_the_ecg_before_says_whose_it_is(probabilities: tuple[float, ...]) -> None:
    entered = raised(fold(hourly(*probabilities)))[-1]
    _, _, rest = entered.change_text.partition("rose from ")
    told, _, whose = rest.partition(" ")
    assert whose.startswith("at the last ECG") == (told != f"{entered.probability_before:.2f}")


def test_the_sentence_says_when_two_model_versions_are_compared() -> None:
    risks = [assessed(0, 0.3), *(assessed(n, 0.8, bundle_version="b2") for n in (1, 2))]
    assert "(earlier score by another model version)" in raised(fold(risks))[0].change_text


def test_no_text_of_an_alert_holds_the_patient_identifier() -> None:
    for entered in raised(fold(hourly(0.3, 0.7, 0.7, 0.9))):
        assert "P-1" not in entered.change_text


def test_of_two_ecgs_of_one_instant_the_greater_id_is_the_newer() -> None:
    lesser, greater = assessed(1, 0.1, hour=0), assessed(2, 0.2, hour=0)
    assert [d.unmoved for d in fold([lesser, greater])] == [None, None]
    assert [d.unmoved for d in fold([greater, lesser])] == [None, Unmoved.NOT_NEWER]


def test_a_late_ecg_moves_nothing_however_high() -> None:
    decisions = fold([assessed(5, 0.1), assessed(3, 0.99), assessed(4, 0.99)])
    assert [d.unmoved for d in decisions] == [None, Unmoved.NOT_NEWER, Unmoved.NOT_NEWER]
    assert decisions[-1].state == decisions[0].state


def test_a_second_bundles_score_of_the_same_ecg_moves_nothing() -> None:
    decisions = fold([assessed(0, 0.1), assessed(0, 0.9, bundle_version="b2")])
    assert decisions[-1].unmoved is Unmoved.NOT_NEWER


def test_the_same_ecg_sent_again_under_a_later_time_confirms_nothing() -> None:
    decisions = fold([assessed(0, 0.1), assessed(1, 0.9), assessed(1, 0.9, hour=5)])
    assert decisions[-1].unmoved is Unmoved.NOT_NEWER


def test_not_scored_does_not_advance_newest() -> None:
    decisions = fold([assessed(0, 0.1), assessed(9, None), assessed(1, 0.2)])
    assert [d.unmoved for d in decisions] == [None, Unmoved.NOT_SCORED, None]


def test_not_scored_as_the_first_of_all_leaves_the_patient_unknown() -> None:
    [decision] = fold([assessed(0, None)])
    assert decision.state == PatientState()


def test_under_another_policy_state_is_kept_and_old_alerts_close_under_their_own_id() -> None:
    stricter = replace(POLICY, label="stricter", enter_threshold=0.7)
    *_, entered = fold(hourly(0.65))
    stepped = decide(entered.state, assessed(1, 0.9), stricter)
    low = decide(stepped.state, assessed(2, 0.1), stricter)
    closed = decide(low.state, assessed(3, 0.1), stricter)
    assert stepped.state.risk_state is RiskState.HIGH
    [first], [second] = raised([entered]), raised([stepped])
    assert (first.policy_version, second.policy_version) == (POLICY.version, stricter.version)
    assert [each.alert_id for each in closed.alerts] == [first.alert_id, second.alert_id]


def test_a_confirmation_of_one_decides_on_each_ecg() -> None:
    hasty = replace(POLICY, confirm_n=1, confirm_m=1, lockout_h=0.0)
    assert said(fold(hourly(0.1, 0.7, 0.1, 0.7), hasty)) == ["-", "E", "c", "E"]


def test_a_batch_gives_one_decision_per_record_and_keeps_patients_apart() -> None:
    mine, yours = hourly(0.1, 0.7, 0.7), [replace(r, patient_id="P-2") for r in hourly(0.9, 0.1, 0.1)]
    batch = [
        Received(record=risk, published_at=risk.published_at)
        for pair in zip(mine, yours, strict=True)
        for risk in pair
    ]
    states: dict[str, PatientState] = {}
    decisions = alert(batch, states, POLICY)
    assert said(decisions) == ["-", "E", "-", "-", "E", "c"]
    assert states == {}
