"""The alert stage's memory as bytes: complete, small, versioned."""

import json
from datetime import timedelta

import pytest
from assessments import START, nth_ecg_id
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from streams.patient_state import Episode, PatientState, Score, StateDamagedError
from streams.transition import RiskState

SCORES = st.builds(
    Score,
    ecg_id=st.uuids().map(str),
    acquired_at=st.timedeltas(timedelta(days=-20_000), timedelta(days=60_000)).map(
        lambda after: START + after
    ),
    probability=st.integers(0, 10_000).map(lambda ten_thousandths: ten_thousandths / 10_000),
    bundle_version=st.text(max_size=12),
)
EPISODES = st.builds(
    Episode,
    opening_ecg_id=st.uuids().map(str),
    first_seen=st.booleans(),
    alert_ids=st.lists(st.uuids().map(str), max_size=2).map(tuple),
)
STATES = st.builds(
    PatientState,
    risk_state=st.sampled_from(RiskState),
    newest=st.none() | SCORES,
    baseline=st.none() | SCORES,
    recent=st.lists(SCORES, max_size=4).map(tuple),
    episode=st.none() | EPISODES,
    last_alert=st.none() | SCORES,
)


@given(STATES)
def test_bytes_hold_the_whole_state(state: PatientState) -> None:
    assert PatientState.from_bytes(state.to_bytes()) == state


def test_a_full_state_under_the_default_policy_stays_below_a_kilobyte() -> None:
    score = Score(ecg_id=nth_ecg_id(1), acquired_at=START, probability=0.7812, bundle_version="sim-2026.1")
    episode = Episode(opening_ecg_id=score.ecg_id, first_seen=False, alert_ids=(score.ecg_id,) * 2)
    state = PatientState(
        risk_state=RiskState.HIGH,
        newest=score,
        baseline=score,
        recent=(score,) * 3,
        episode=episode,
        last_alert=score,
    )
    assert len(state.to_bytes()) < 1024


def test_what_this_version_wrote_once_is_read_for_ever() -> None:
    golden = (
        b'{"v":1,"state":"LOW","newest":["00000000-0000-0000-0000-000000000001",1772366400000000,0.31,"b1"],'
        b'"baseline":null,"recent":[],"episode":null,"last_alert":null}'
    )
    newest = Score(ecg_id=nth_ecg_id(1), acquired_at=START, probability=0.31, bundle_version="b1")
    state = PatientState(risk_state=RiskState.LOW, newest=newest)
    assert PatientState.from_bytes(golden) == state
    assert state.to_bytes() == golden


def test_a_key_added_later_within_the_version_is_ignored() -> None:
    table = json.loads(PatientState().to_bytes()) | {"muted_until": None}
    assert PatientState.from_bytes(json.dumps(table).encode()) == PatientState()


def test_another_version_is_refused_with_what_to_do() -> None:
    table = json.loads(PatientState().to_bytes()) | {"v": 2}
    with pytest.raises(
        ConfigurationError, match="has version 2, this Diastole reads 1; run the Diastole that"
    ):
        PatientState.from_bytes(json.dumps(table).encode())


DAMAGED = [
    b"",
    b"\xff",
    b"[]",
    b"{}",
    b'{"v":1}',
    b'{"v":null}',
    PatientState().to_bytes()[:-1],
    b"[" * 10**5,
]


#: Lawful JSON whose parts are not what they should be; a decision would stumble over each.
DAMAGED += [
    json.dumps({**json.loads(PatientState().to_bytes()), part: wrong}).encode()
    for part, wrong in [
        ("state", "ASLEEP"),
        ("newest", ["x", 0, 0.5, "b1"]),
        ("newest", [nth_ecg_id(1), 2**60, 0.5, "b1"]),
        ("newest", [nth_ecg_id(1), -(2**80), 0.5, "b1"]),
        ("newest", [nth_ecg_id(1), 0, float("nan"), "b1"]),
        ("newest", [nth_ecg_id(1), 0, "0.5", "b1"]),
        ("newest", [nth_ecg_id(1), 0, 0.5, None]),
        ("newest", [nth_ecg_id(1), 0, 0.5]),
        ("baseline", 7),
        ("recent", None),
        ("recent", [[]]),
        ("episode", [nth_ecg_id(1), True, "abc"]),
        ("episode", [None, True, []]),
        ("newest", [None, 0, 0.5, "b1"]),
    ]
]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_damaged_bytes_cost_this_patients_ecgs_alone_and_are_not_quoted(damaged: bytes) -> None:
    with pytest.raises(StateDamagedError, match="alert state of this patient is damaged"):
        PatientState.from_bytes(damaged)
