"""Which answers a page offers for an alert: what the life table allows and still says something."""

from typing import Final

from schemas.audit import CareVerb
from streams.deliver.case import ANSWERS, AlertCase
from streams.deliver.life import LifeEvent, is_allowed, next_state

_DECISIONS: Final = (CareVerb.ACCEPTED, CareVerb.REJECTED)

#: In the order in which they are shown.
OFFERED: Final = (
    CareVerb.ACKNOWLEDGED,
    CareVerb.ACCEPTED,
    CareVerb.REJECTED,
    CareVerb.MUTED,
    CareVerb.UNMUTED,
    CareVerb.OUTCOME,
)


def offers(case: AlertCase) -> tuple[CareVerb, ...]:
    """List the acts that make sense now, in the order of :data:`OFFERED`."""
    return tuple(verb for verb in OFFERED if _makes_sense(case, verb))


def _makes_sense(case: AlertCase, verb: CareVerb) -> bool:
    event = LifeEvent(verb.value)
    if not is_allowed(case.state, event):
        return False
    match verb:
        case CareVerb.ACKNOWLEDGED:
            # Whoever accepted or rejected has read it: no acknowledgement is asked for after.
            return case.last(*ANSWERS) is None
        case CareVerb.ACCEPTED | CareVerb.REJECTED:
            decision = case.last(*_DECISIONS)
            return decision is None or decision.verb is not verb
        case CareVerb.OUTCOME:
            return True
        case _:
            return next_state(case.state, event) is not case.state
