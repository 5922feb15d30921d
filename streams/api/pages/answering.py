"""A form that answers an alert, and the act it becomes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Form

from schemas.audit import CareAction, CareVerb, Outcome
from streams.api.doors import Caller
from streams.api.muting import require_why
from streams.api.problems import refusing
from streams.api.services import Services
from streams.api.wording import VERBS
from streams.deliver.act_rules import MAX_MUTE, MAX_REASON_CHARS
from streams.deliver.acts import By, make_act
from streams.deliver.case import AlertCase

ORIGIN: Final = "inbox"

_MAX_MUTE_H: Final = MAX_MUTE // timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a form says.

    Attributes
    ----------
    occasion : str
        Names this very form: sent twice, it is the same act.
    code : str
        Of REJECTED: one of :class:`streams.deliver.act_rules.RejectReason`.
    hours : int
        Of MUTED.
    then : str
        Path to go on to; empty is the alert's page.
    """

    verb: CareVerb
    occasion: str
    reason: str = ""
    code: str = ""
    hours: int = 8
    outcome: Outcome = Outcome.NOT_STATED
    then: str = ""


def answer_form(
    verb: Annotated[CareVerb, Form()],
    occasion: Annotated[str, Form(min_length=1, max_length=64)],
    reason: Annotated[str, Form(max_length=MAX_REASON_CHARS)] = "",
    code: Annotated[str, Form(max_length=32)] = "",
    hours: Annotated[int, Form(ge=1, le=_MAX_MUTE_H)] = 8,
    outcome: Annotated[Outcome, Form()] = Outcome.NOT_STATED,
    then: Annotated[str, Form(max_length=512)] = "",
) -> Answer:
    """Read the form; a FastAPI dependency."""
    return Answer(
        verb=verb,
        occasion=occasion,
        reason=reason.strip(),
        code=code,
        hours=hours,
        outcome=outcome,
        then=then,
    )


async def answer_alert(services: Services, case: AlertCase, answer: Answer, caller: Caller) -> None:
    """Act on an alert; returns once Kafka has the act. Sent again, it is the same act.

    Raises
    ------
    ProblemError
        409 when the alert was answered meanwhile, 422 when something is missing.
    RetriableError
        When Kafka did not take it; the same may be tried again.
    """
    require_why(answer.verb, answer.reason)
    await services.book.append(refusing(lambda: _act(services, case, answer, caller)))


def _act(services: Services, case: AlertCase, answer: Answer, caller: Caller) -> CareAction:
    now = services.now()
    return make_act(
        case,
        answer.verb,
        By(actor=caller.name, origin=ORIGIN),
        now,
        key=answer.occasion,
        code=answer.code,
        text=answer.reason,
        until=now + timedelta(hours=answer.hours),
        outcome=answer.outcome,
    )


def done_words(verb: str) -> str:
    """Say what was done, for a known verb; else nothing."""
    return VERBS[CareVerb(verb)] if verb in set(CareVerb) else ""
