"""What changed, in one sentence for the reader of an alert: short, no patient identifier, no clock."""

from datetime import timedelta
from typing import Final

from schemas.alert import AlertKind
from streams.patient_state import Episode, PatientState, Score
from streams.policy import Policy

RISK: Final = "Risk of the high-risk diastolic phenotype"

_SPANS: Final = (
    (timedelta(days=2), timedelta(days=1), "days"),
    (timedelta(hours=2), timedelta(hours=1), "hours"),
    (timedelta(0), timedelta(minutes=1), "minutes"),
)


def span_text(span: timedelta) -> str:
    """Round a span up: ``3 days``, ``5 hours``, ``12 minutes`` (from two of the larger unit on)."""
    for least, unit, name in _SPANS:
        if span >= least:
            return f"{max(1, -(-span // unit))} {name}"
    return "0 minutes"


def change_text(kind: AlertKind, state: PatientState, episode: Episode, score: Score, policy: Policy) -> str:
    """Say what changed.

    Parameters
    ----------
    state : PatientState
        Of before ``score``, which is only the last of ``recent`` yet.
    """
    if kind is AlertKind.STEPPED_UP:
        return f"{_moved(state.last_alert, score, since='the last alert')} while already HIGH."
    if episode.first_seen:
        return f"{RISK} is {score.probability:.2f}: HIGH on the first scored ECG, no earlier score is known."
    moved = _moved(state.baseline, score, since=_since(state, episode, score))
    return f"{moved}; {_evidence(state, episode, score, policy)}."


def _since(state: PatientState, episode: Episode, score: Score) -> str:
    """Say which ECG "rose from" is of, unless it is the one before, which the alert names as such."""
    if state.baseline == state.newest:
        return ""
    below = "the last ECG below the threshold"
    return below if score.ecg_id == episode.opening_ecg_id else f"{below} before HIGH"


def _moved(earlier: Score | None, score: Score, since: str = "") -> str:
    if earlier is None:
        return f"{RISK} is {score.probability:.2f}"
    before, after = f"{earlier.probability:.2f}", f"{score.probability:.2f}"
    verb = "rose" if after > before else "changed"
    at = f" at {since}" if since else ""
    model = (
        "" if earlier.bundle_version == score.bundle_version else " (earlier score by another model version)"
    )
    span = span_text(score.acquired_at - earlier.acquired_at)
    return f"{RISK} {verb} from {before}{at} to {after} within {span}{model}"


def _evidence(state: PatientState, episode: Episode, score: Score, policy: Policy) -> str:
    if score.ecg_id != episode.opening_ecg_id:
        return f"HIGH since an earlier ECG, held back by the {policy.lockout_h:g} h lockout"
    n_above, n_recent = (
        sum(each.probability >= policy.enter_threshold for each in state.recent),
        len(state.recent),
    )
    if n_recent == 1:
        return "HIGH on this ECG"
    counted = f"the last {n_recent}" if n_above == n_recent else f"{n_above} of the last {n_recent}"
    return f"HIGH confirmed by {counted} ECGs"
