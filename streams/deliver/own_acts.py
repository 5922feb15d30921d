"""The acts of delivery itself: a step of a plan, done, as a record of ``care.audit.v1``.

Their ids follow from what was done, so that a step done again after a crash is the same act.
"""

from datetime import datetime, timedelta
from typing import Final

from schemas.audit import CareAction, CareVerb
from schemas.identity import action_id
from schemas.invariants import MAX_TEXT_CHARS
from streams.deliver.case import AlertCase
from streams.deliver.steps import Escalate, Expire, List, Send, Unmute

#: Actor and origin of what the system does by itself.
DELIVER: Final = "deliver"

_REFUSED: Final = "refused: "


def delivered(case: AlertCase, send: Send, now: datetime) -> CareAction:
    """Note that a recipient was told; once for each channel and level, however often it is sent."""
    return _of_send(case, send, CareVerb.DELIVERED, now, reason="", at="")


def delivery_failed(
    case: AlertCase, send: Send, now: datetime, why: str, *, is_refused: bool = False
) -> CareAction:
    """Note that an attempt failed.

    Parameters
    ----------
    why : str
        For the reader of the audit; without patient identifiers and secrets. Cut where it is too long.
    is_refused : bool
        Whether the other side will refuse it again: the second channel is asked at once.
    """
    reason = f"{_REFUSED}{why}" if is_refused else why
    failed = CareVerb.DELIVERY_FAILED
    return _of_send(case, send, failed, now, reason=reason[:MAX_TEXT_CHARS], at=str(send.attempt))


def is_refusal(act: CareAction) -> bool:
    """Whether a failed delivery was refused for good."""
    return act.verb is CareVerb.DELIVERY_FAILED and act.reason.startswith(_REFUSED)


def act_of(case: AlertCase, step: List | Escalate | Unmute | Expire, now: datetime) -> CareAction:
    """Note a step that needs no channel.

    Parameters
    ----------
    now : datetime
        UTC.
    """
    match step:
        case List(reason=reason):
            return _act(case, CareVerb.LISTED, now, reason=reason, at=reason)
        case Escalate(level=level):
            return _act(case, CareVerb.ESCALATED, now, level=level)
        case Unmute(mute_id=mute_id):
            mute = next((act for act in case.acts if act.action_id == mute_id), None)
            # Another machine's clock may be ahead: what ends a mute comes after it, or it would never end.
            after = now if mute is None else max(now, mute.acted_at + timedelta(microseconds=1))
            return _act(case, CareVerb.UNMUTED, after, reason="ran out", at=mute_id)
        case Expire():
            return _act(case, CareVerb.EXPIRED, now)


def _of_send(
    case: AlertCase, send: Send, verb: CareVerb, now: datetime, *, reason: str, at: str
) -> CareAction:
    return _act(
        case,
        verb,
        now,
        reason=reason,
        at=at,
        level=send.level,
        channel=send.channel,
        recipient=send.recipient,
    )


def _act(
    case: AlertCase,
    verb: CareVerb,
    now: datetime,
    *,
    reason: str = "",
    at: str = "",
    level: int = 0,
    channel: str = "",
    recipient: str = "",
) -> CareAction:
    alert_id = case.alert.alert_id
    return CareAction(
        action_id=action_id(
            verb=verb.value, alert_id=alert_id, actor=DELIVER, level=level, channel=channel, at=at
        ),
        alert_id=alert_id,
        verb=verb,
        actor=DELIVER,
        acted_at=now,
        origin=DELIVER,
        reason=reason,
        level=level,
        channel=channel,
        recipient=recipient,
    )
