"""What people do to an alert, as records of ``care.audit.v1``; refused where it makes no sense.

Each act carries the client's idempotency key in its id: the same request, sent again because the connection
dropped, is the same act, also when the alert has moved on since.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.audit import CareAction, CareScope, CareVerb, Outcome
from schemas.identity import action_id, subject_id
from streams.deliver.act_rules import (
    MAX_MUTE,
    REJECT_TEXTS,
    CareRefusedError,
    Refusal,
    RejectReason,
    expiry,
    free_text,
    occasion,
    reason_of,
    rejection,
)
from streams.deliver.case import AlertCase
from streams.deliver.life import LifeEvent, LifeState, is_allowed
from streams.deliver.mutes import MuteKey

__all__ = [
    "MAX_MUTE",
    "REJECT_TEXTS",
    "By",
    "CareRefusedError",
    "Refusal",
    "RejectReason",
    "accept",
    "acknowledge",
    "make_act",
    "mute",
    "mute_subject",
    "reason_of",
    "record_outcome",
    "reject",
    "subject_act_id",
    "unmute",
    "unmute_subject",
    "view",
    "view_subject",
]

#: What a refusal calls an act that is called otherwise in the audit.
_DONE: Final = {CareVerb.OUTCOME: "given an outcome before somebody answered it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who acts, and from where.

    Attributes
    ----------
    actor : str
        A token's name.
    origin : str
        ``inbox``, ``api`` or ``command``.
    """

    actor: str
    origin: str


def acknowledge(case: AlertCase, by: By, now: datetime, *, key: str = "") -> CareAction:
    """Say that somebody looks after it; nobody else is asked any more."""
    return _on_alert(case, CareVerb.ACKNOWLEDGED, by, now, key)


def accept(case: AlertCase, by: By, now: datetime, *, key: str = "", text: str = "") -> CareAction:
    """Say that the alert is acted on."""
    return _on_alert(case, CareVerb.ACCEPTED, by, now, key, reason=free_text(text))


def reject(case: AlertCase, by: By, now: datetime, *, code: str, key: str = "", text: str = "") -> CareAction:
    """Say that the alert is not acted on, and why.

    Parameters
    ----------
    code : str
        One of :class:`RejectReason`; OTHER needs the text.
    """
    return _on_alert(case, CareVerb.REJECTED, by, now, key, reason=rejection(code, text))


def mute(
    case: AlertCase, by: By, now: datetime, *, until: datetime | None, key: str = "", text: str = ""
) -> CareAction:
    """Keep one alert quiet for a while; when that is over it asks again.

    Parameters
    ----------
    until : datetime or None
        UTC; obligatory, at most :data:`MAX_MUTE` from now.
    """
    known = _known(case, CareVerb.MUTED, by, key)
    return known or _on_alert(
        case, CareVerb.MUTED, by, now, key, reason=free_text(text), expires_at=expiry(until, now)
    )


def unmute(case: AlertCase, by: By, now: datetime, *, key: str = "") -> CareAction:
    """End the alert's mute before its time.

    The life table bears an unmute of what is not muted (two may come at once); nobody may ask for one, as it
    would start the ladder anew.
    """
    known = _known(case, CareVerb.UNMUTED, by, key)
    if known is None and case.state is not LifeState.MUTED:
        raise CareRefusedError(Refusal.NOT_ALLOWED, _not_allowed(case, "unmuted"))
    return known or _on_alert(case, CareVerb.UNMUTED, by, now, key)


def record_outcome(
    case: AlertCase, by: By, now: datetime, *, outcome: Outcome, key: str = "", text: str = ""
) -> CareAction:
    """Say what the echocardiogram, or the care team, found in the end."""
    if outcome is Outcome.NOT_STATED:
        raise CareRefusedError(Refusal.OUTCOME_MISSING, "say CONFIRMED or NOT_CONFIRMED")
    return _on_alert(case, CareVerb.OUTCOME, by, now, key, reason=free_text(text), outcome=outcome)


def view(case: AlertCase, by: By, now: datetime, *, key: str = "") -> CareAction:
    """Note that somebody read it."""
    return _on_alert(case, CareVerb.VIEWED, by, now, key)


def make_act(
    case: AlertCase,
    verb: CareVerb,
    by: By,
    now: datetime,
    *,
    key: str = "",
    code: str = "",
    text: str = "",
    until: datetime | None = None,
    outcome: Outcome = Outcome.NOT_STATED,
) -> CareAction:
    """Make the act of this verb; what a verb does not need is ignored.

    Parameters
    ----------
    now, until : datetime
        UTC.
    key : str
        The request's idempotency key; without one, the act is told apart from others by its time.

    Raises
    ------
    CareRefusedError
        When the alert is not in a state for it, something is missing, or only the system does this.
    """
    match verb:
        case CareVerb.ACKNOWLEDGED:
            return acknowledge(case, by, now, key=key)
        case CareVerb.ACCEPTED:
            return accept(case, by, now, key=key, text=text)
        case CareVerb.REJECTED:
            return reject(case, by, now, key=key, code=code, text=text)
        case CareVerb.MUTED:
            return mute(case, by, now, key=key, until=until, text=text)
        case CareVerb.UNMUTED:
            return unmute(case, by, now, key=key)
        case CareVerb.OUTCOME:
            return record_outcome(case, by, now, key=key, outcome=outcome, text=text)
        case CareVerb.VIEWED:
            return view(case, by, now, key=key)
    raise CareRefusedError(Refusal.NOT_FOR_PEOPLE, f"{verb} is noted by the system alone; choose another act")


def mute_subject(
    scope: CareScope,
    subject: str,
    by: By,
    now: datetime,
    *,
    until: datetime | None,
    text: str,
    key: str = "",
    site_id: str = "",
) -> CareAction:
    """Keep all alerts of a patient, a ward or a site quiet: planned downtime, works on a feed.

    Parameters
    ----------
    site_id : str
        Of a ward: of which site, since others may have wards of that name; empty: at every site.

    Raises
    ------
    CareRefusedError
        When subject, reason or expiry is missing or out of bounds.
    """
    if not text.strip():
        raise CareRefusedError(Refusal.REASON_MISSING, "say why; whoever misses an alert will ask")
    expires_at = expiry(until, now)
    return _on_subject(
        CareVerb.MUTED,
        scope,
        subject,
        by,
        now,
        key,
        reason=free_text(text),
        expires_at=expires_at,
        site_id=site_id,
    )


def unmute_subject(
    scope: CareScope,
    subject: str,
    by: By,
    now: datetime,
    *,
    key: str = "",
    text: str = "",
    site_id: str = "",
) -> CareAction:
    """End such a quiet, named as it was asked for; alerts still open are sent then."""
    return _on_subject(
        CareVerb.UNMUTED, scope, subject, by, now, key, reason=free_text(text), site_id=site_id
    )


def subject_act_id(verb: CareVerb, about: MuteKey, by: By, key: str) -> str:
    """Return the id that an act on a patient, ward or site has by its key; of no key, of no act."""
    scope, subject, site_id = about
    return _id(verb, subject_id(scope=scope.value, subject=subject, site_id=site_id), by, key)


def view_subject(scope: CareScope, subject: str, by: By, now: datetime, *, key: str = "") -> CareAction:
    """Note that somebody read of a patient, or of a ward's patients."""
    return _on_subject(CareVerb.VIEWED, scope, subject, by, now, key)


def _on_alert(
    case: AlertCase,
    verb: CareVerb,
    by: By,
    now: datetime,
    key: str,
    *,
    reason: str = "",
    expires_at: datetime | None = None,
    outcome: Outcome = Outcome.NOT_STATED,
) -> CareAction:
    known = _known(case, verb, by, key)
    if known is not None:
        return known
    event = LifeEvent(verb.value)
    if not is_allowed(case.state, event):
        raise CareRefusedError(Refusal.NOT_ALLOWED, _not_allowed(case, _DONE.get(verb, verb.value.lower())))
    alert_id = case.alert.alert_id
    return CareAction(
        action_id=_id(verb, alert_id, by, occasion(key, now)),
        alert_id=alert_id,
        verb=verb,
        actor=by.actor,
        acted_at=now,
        origin=by.origin,
        reason=reason,
        expires_at=expires_at,
        outcome=outcome,
    )


def _on_subject(
    verb: CareVerb,
    scope: CareScope,
    subject: str,
    by: By,
    now: datetime,
    key: str,
    *,
    reason: str = "",
    expires_at: datetime | None = None,
    site_id: str = "",
) -> CareAction:
    if scope is CareScope.ALERT or not subject:
        raise CareRefusedError(Refusal.SUBJECT_MISSING, "name the patient, the ward or the site it is about")
    if site_id and scope is not CareScope.WARD:
        raise CareRefusedError(Refusal.SITE_NOT_FOR_THIS, "give a site with a ward alone; leave it out here")
    about = subject_id(scope=scope.value, subject=subject, site_id=site_id)
    return CareAction(
        action_id=_id(verb, about, by, occasion(key, now)),
        alert_id=about,
        verb=verb,
        actor=by.actor,
        acted_at=now,
        origin=by.origin,
        reason=reason,
        expires_at=expires_at,
        scope=scope,
        subject=subject,
        site_id=site_id,
    )


def _id(verb: CareVerb, about: str, by: By, at: str) -> str:
    return action_id(verb=verb.value, alert_id=about, actor=by.actor, at=at)


def _known(case: AlertCase, verb: CareVerb, by: By, key: str) -> CareAction | None:
    # A request sent again is answered as the first time, also when the alert has moved on since.
    if not key:
        return None
    wanted = _id(verb, case.alert.alert_id, by, key)
    return next((act for act in case.acts if act.action_id == wanted), None)


def _not_allowed(case: AlertCase, done: str) -> str:
    return (
        f"the alert is {case.state.value.lower()} and cannot be {done}; load it again to see what can be done"
    )
