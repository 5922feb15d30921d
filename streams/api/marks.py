"""What happened to a patient's alerts, as marks on a trend."""

from collections.abc import Iterable
from typing import Final

from schemas.audit import CareVerb
from streams.api.views import MarkView
from streams.deliver.case import AlertCase

#: Acts a reader of a trend asks for; deliveries and looks would hide them.
_MARKED: Final = {
    CareVerb.ACKNOWLEDGED: "acknowledged",
    CareVerb.ACCEPTED: "accepted",
    CareVerb.REJECTED: "rejected",
    CareVerb.ESCALATED: "escalated",
    CareVerb.MUTED: "muted",
    CareVerb.EXPIRED: "expired",
    CareVerb.OUTCOME: "outcome",
}


def marks_of(cases: Iterable[AlertCase]) -> list[MarkView]:
    """Mark each alert where its ECG lies on the trend, and what was done where it was done; in time order."""
    marks = [mark for case in cases for mark in _of_case(case)]
    return sorted(marks, key=lambda mark: mark.at)


def _of_case(case: AlertCase) -> Iterable[MarkView]:
    alert_id, state = case.alert.alert_id, case.state.value
    yield MarkView(
        at=case.alert.acquired_at, kind="ALERT", text=case.alert.change_text, alert_id=alert_id, state=state
    )
    for act in case.acts:
        if act.verb in _MARKED:
            said = f"{_MARKED[act.verb]} by {act.actor}" + (f": {act.reason}" if act.reason else "")
            yield MarkView(at=act.acted_at, kind="ACT", text=said, alert_id=alert_id, state=state)
    if case.closed is not None:
        at = case.closed.acquired_at
        yield MarkView(at=at, kind="CLOSED", text="risk is low again", alert_id=alert_id, state=state)
