"""Risk in, alerts out: what an ECG says of its patient moving into, up in, or out of the high-risk phenotype.

It is a function of the patient's earlier ECGs (folded into a state), this assessment and the policy:

* NOT_SCORED moves nothing and confirms nothing: it is not a low risk.
* An ECG not newer than the patient's newest scored one (by acquisition time, then ecg_id) moves nothing. So
  duplicates, replays and late ECGs change nothing, whichever bundle scored them.
* The first scored ECG decides by itself. Later changes of state need ``confirm_n`` of the last ``confirm_m``
  scored ECGs *since the state last changed*, this one among them; the ECG that completes the confirmation
  opens the episode and gives it its id.
* An episode raises ENTERED_HIGH at most once, then STEPPED_UP at most once. Within the lockout after the
  patient's last alert ENTERED_HIGH is withheld unless the risk stepped up since then; the first ECG after the
  lockout that is not below the exit threshold raises what is still owed.
* When the episode ends, every alert it raised is closed.
* When the policy changes, states are kept: thresholds apply from the next ECG on, and new alerts carry ids of
  the new policy version; alerts of the old one are closed under the id they were raised with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.alert import AlertClosed, AlertKind, AlertRaised
from schemas.risk import RiskAssessed
from streams.alert_records import closed_alerts, raised_alert
from streams.patient_state import Episode, PatientState, Score
from streams.policy import Policy
from streams.stage import Received
from streams.transition import Action, Observation, RiskState, step


class Unmoved(StrEnum):
    """Why an assessment was not considered."""

    NOT_SCORED = "NOT_SCORED"
    NOT_NEWER = "NOT_NEWER"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """The patient's next state and what follows for the care team.

    Attributes
    ----------
    unmoved : Unmoved or None
        Why the state is as it was; None when the assessment was considered.
    """

    state: PatientState
    alerts: tuple[AlertRaised | AlertClosed, ...] = ()
    unmoved: Unmoved | None = None


def alert(
    batch: Sequence[Received[RiskAssessed]], states: Mapping[str, PatientState], policy: Policy
) -> list[Decision]:
    """Decide a batch, in order; several assessments of one patient build on each other.

    Parameters
    ----------
    states : mapping of patient_id to PatientState
        Of the patients in the batch; a missing one has never been scored. Not changed.

    Returns
    -------
    list of Decision
        One per input, in order. A patient's new state is that of the last decision about it.
    """
    current = dict(states)
    decisions = []
    for received in batch:
        risk = received.record
        decision = decide(current.get(risk.patient_id), risk, policy)
        current[risk.patient_id] = decision.state
        decisions.append(decision)
    return decisions


def decide(state: PatientState | None, risk: RiskAssessed, policy: Policy) -> Decision:
    """Decide one assessment; on replay the state already knows the ECG and nothing follows."""
    known = state or PatientState()
    score = Score.of(risk)
    if score is None:
        return Decision(state=known, unmoved=Unmoved.NOT_SCORED)
    if not is_news(known, score):
        return Decision(state=known, unmoved=Unmoved.NOT_NEWER)
    recent = (*known.recent, score)[-policy.confirm_m :]
    after, action = step(known.risk_state, observe(known.risk_state, recent, policy))
    decision = _act(action, replace(known, recent=recent), score, risk, policy)
    return replace(decision, state=_settle(decision.state, known.risk_state, after, score, policy))


def is_news(state: PatientState, score: Score) -> bool:
    """Whether the ECG is newer than all scored before, and no remembered one under another time."""
    if state.newest is None:
        return True
    remembered = {recent.ecg_id for recent in state.recent} | {state.newest.ecg_id}
    if state.episode:
        remembered.add(state.episode.opening_ecg_id)
    return score.order > state.newest.order and score.ecg_id not in remembered


def observe(state: RiskState, recent: Sequence[Score], policy: Policy) -> Observation:
    """Classify the last of ``recent``; a change of state that is not confirmed yet is BETWEEN."""
    observed = [_classify(score.probability, policy) for score in recent]
    newest = observed[-1]
    needs_confirming = (state, newest) in {
        (RiskState.LOW, Observation.ABOVE),
        (RiskState.HIGH, Observation.BELOW),
    }
    if needs_confirming and observed.count(newest) < policy.confirm_n:
        return Observation.BETWEEN
    return newest


def _classify(probability: float, policy: Policy) -> Observation:
    if probability >= policy.enter_threshold:
        return Observation.ABOVE
    return Observation.BELOW if probability < policy.exit_threshold else Observation.BETWEEN


def _act(action: Action, seen: PatientState, score: Score, risk: RiskAssessed, policy: Policy) -> Decision:
    if action is Action.NOTHING:
        return Decision(state=seen)
    if action is Action.CLOSE:
        # The closed episode is kept, so that its opening ECG is known should it return under another time.
        return Decision(state=seen, alerts=closed_alerts(seen.episode, risk, score, policy))
    if action is Action.OPEN:
        first_seen = seen.risk_state is RiskState.UNKNOWN
        episode = Episode(opening_ecg_id=score.ecg_id, first_seen=first_seen)
        seen = replace(seen, episode=episode)
    return _raise_if_due(seen, score, risk, policy)


def _settle(
    state: PatientState, before: RiskState, after: RiskState, score: Score, policy: Policy
) -> PatientState:
    # Evidence for the last change of state must not count towards the next one, or A B A B A would flap.
    recent = state.recent if after is before else ()
    settled = replace(state, risk_state=after, newest=score, recent=recent)
    if after is not RiskState.HIGH and score.probability < policy.enter_threshold:
        return replace(settled, baseline=score)
    return settled


def _raise_if_due(seen: PatientState, score: Score, risk: RiskAssessed, policy: Policy) -> Decision:
    kind = due_kind(seen, score, policy)
    episode = seen.episode
    if kind is None or episode is None:
        return Decision(state=seen)
    raised = raised_alert(kind, seen, episode, score, risk, policy)
    alerted = replace(episode, alert_ids=(*episode.alert_ids, raised.alert_id))
    return Decision(state=replace(seen, episode=alerted, last_alert=score), alerts=(raised,))


def due_kind(state: PatientState, score: Score, policy: Policy) -> AlertKind | None:
    """Which alert the patient's episode owes at this ECG, if any.

    An ECG below the exit threshold raises nothing: it speaks for LOW, even while HIGH is not yet left.
    """
    if state.episode is None or score.probability < policy.exit_threshold:
        return None
    stepped_up = _stepped_up(state.last_alert, score, policy)
    match len(state.episode.alert_ids):
        case 0 if stepped_up or not _locked(state.last_alert, score, policy):
            return AlertKind.ENTERED_HIGH
        case 1 if stepped_up:
            return AlertKind.STEPPED_UP
        case _:
            return None


def _stepped_up(last_alert: Score | None, score: Score, policy: Policy) -> bool:
    # Probabilities carry 4 decimals; without rounding 0.61 + 0.15 ≤ 0.76 would depend on binary fractions.
    return last_alert is not None and round(score.probability - last_alert.probability, 6) >= policy.step_up


def _locked(last_alert: Score | None, score: Score, policy: Policy) -> bool:
    return last_alert is not None and score.acquired_at < last_alert.acquired_at + policy.lockout
