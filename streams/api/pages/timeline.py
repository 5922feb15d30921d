"""The life of an alert as people read it: who did what, when, in order."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from schemas.audit import CareAction, CareScope, CareVerb, Outcome
from streams.api.wording import KINDS, VERBS, moment
from streams.deliver.act_rules import REJECT_TEXTS, reason_of
from streams.deliver.case import AlertCase

OUTCOMES: Final = {
    Outcome.CONFIRMED: "high-risk phenotype confirmed",
    Outcome.NOT_CONFIRMED: "high-risk phenotype not confirmed",
    Outcome.NOT_STATED: "not stated",
}

#: Acts of the system, not of people; their actor is not named.
_OWN: Final = frozenset(
    {
        CareVerb.DELIVERED,
        CareVerb.DELIVERY_FAILED,
        CareVerb.ESCALATED,
        CareVerb.EXPIRED,
        CareVerb.LISTED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One entry.

    Attributes
    ----------
    tone : str
        ``raise``, ``answer``, ``trouble``, ``end``, ``plain``: how it stands out.
    """

    at: datetime
    title: str
    detail: str = ""
    who: str = ""
    tone: str = "plain"


def timeline(case: AlertCase, zone: tzinfo) -> list[Moment]:
    """Tell the whole life, the oldest first; of those who looked, each first look."""
    moments = [
        Moment(at=case.alert.acquired_at, title="ECG recorded"),
        Moment(at=case.raised_at, title="Alert raised", detail=KINDS[case.alert.kind], tone="raise"),
    ]
    seen: set[str] = set()
    for act in case.acts:
        if act.scope is not CareScope.ALERT:
            continue
        if act.verb is CareVerb.VIEWED:
            if act.actor in seen:
                continue
            seen.add(act.actor)
        moments.append(_moment(act, zone))
    if case.closed is not None and case.closed_at is not None:
        fell = f"{case.closed.probability:.2f} on the ECG of {moment(case.closed.acquired_at, zone)}"
        moments.append(Moment(at=case.closed_at, title="Risk fell again", detail=fell, tone="end"))
    # An escalation and the deliveries it leads to may bear one time.
    return sorted(moments, key=lambda each: (each.at, each.title.startswith(VERBS[CareVerb.DELIVERED])))


def _moment(act: CareAction, zone: tzinfo) -> Moment:
    return Moment(
        at=act.acted_at,
        title=VERBS[act.verb] + (f" to level {act.level}" if act.verb is CareVerb.ESCALATED else ""),
        detail=_detail(act, zone),
        who="" if act.verb in _OWN else act.actor,
        tone=_tone(act.verb),
    )


def _detail(act: CareAction, zone: tzinfo) -> str:
    parts = [_reason(act)]
    if act.channel:
        parts.insert(0, f"{act.channel} to {act.recipient}" if act.recipient else act.channel)
    if act.verb is CareVerb.MUTED and act.expires_at is not None:
        parts.insert(0, f"until {moment(act.expires_at, zone)}")
    if act.verb is CareVerb.OUTCOME:
        parts.insert(0, OUTCOMES[act.outcome])
    return ". ".join(part for part in parts if part)


def _reason(act: CareAction) -> str:
    if act.verb is not CareVerb.REJECTED:
        return act.reason
    code, text = reason_of(act)
    return f"{REJECT_TEXTS[code]}: {text}" if text else REJECT_TEXTS[code]


def _tone(verb: CareVerb) -> str:
    match verb:
        case CareVerb.ACKNOWLEDGED | CareVerb.ACCEPTED | CareVerb.REJECTED | CareVerb.OUTCOME:
            return "answer"
        case CareVerb.ESCALATED | CareVerb.DELIVERY_FAILED | CareVerb.EXPIRED:
            return "trouble"
        case _:
            return "plain"
