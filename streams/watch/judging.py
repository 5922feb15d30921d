"""What Kafka and health addresses say, judged: pure functions from a look to findings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.alert import AlarmKind, Priority
from streams.topology import SILENT_ROUTE, WAVEFORM_ROUTE
from streams.watch.asking import Address, Answer
from streams.watch.condition import Finding
from streams.watch.offsets import GroupLook, Movement

#: Kafka is looked at and addresses are asked so often, s. An address is given as long to answer as there is
#: between two questions, so that a worker stopped right after an answer is found out at the end of the second
#: question after it: 3 × 3 = 9 s. A stage with traffic is found out by Kafka after 2 + 10 + 2 = 14 s at most.
LOOK_EVERY_S: Final = 2.0
ASK_EVERY_S: Final = 3.0

#: Longer than one question and shorter than two: one answer that is late is none yet.
_SILENT_FOR_S: Final = 0.8 * ASK_EVERY_S

#: Less than two looks of standing still is what any batch does, s.
_STILL_S: Final = 2 * LOOK_EVERY_S

#: Some partitions may wait while their worker is busy with others: three times as long as all of them.
_SOME_FACTOR: Final = 3.0

#: A stage is behind no more once the wait is half of what made it so.
_CALM: Final = 0.5

#: Stages without which every alert comes in time all the same.
_LESS_URGENT: Final = frozenset({"history", "link", "api", "watch", WAVEFORM_ROUTE.stage, SILENT_ROUTE.stage})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long what is borne, s; see the settings of the same names."""

    stalled_after_s: float = 10.0
    missing_after_s: float = 60.0
    behind_after_s: float = 60.0


def priority_of(stage: str) -> Priority:
    """How urgent it is that a stage does nothing: HIGH where alerts come late for it."""
    return Priority.MEDIUM if stage in _LESS_URGENT else Priority.HIGH


def stalled(stage: str, look: GroupLook | None, movement: Movement | None, bounds: Bounds) -> Finding:
    """Judge whether a stage stands still.

    Parameters
    ----------
    look, movement
        None when Kafka did not say.
    """
    if look is None or movement is None:
        return Finding(kind=AlarmKind.STAGE_STALLED, source=stage, is_ill=None)
    cause, bound_s, since, said, advice = _stall(stage, look, movement, bounds)
    return Finding(
        kind=AlarmKind.STAGE_STALLED,
        source=stage,
        is_ill=bool(cause),
        cause=cause,
        bound_s=bound_s,
        since=since,
        priority=priority_of(stage),
        message=said,
        action_text=advice,
    )


def _stall(
    stage: str, look: GroupLook, movement: Movement, bounds: Bounds
) -> tuple[str, float, datetime | None, str, str]:
    if look.n_members == 0:
        said = f"The stage {stage} has no worker: {_unread(look)}."
        return "missing", bounds.missing_after_s, None, said, f"Start one: diastole worker {stage}."
    # A worker that was started needs its time before it shares in the work.
    bound_s = bounds.stalled_after_s if look.is_settled else bounds.missing_after_s
    at, since = movement.at, movement.moved_at
    advice = (
        f"See /readyz and the log of the workers of {stage}: one that waits says for what; one that does not "
        "answer is to be started anew."
    )
    if look.unread and (at - since).total_seconds() >= _STILL_S:
        return "still", bound_s, since, f"The stage {stage} finishes nothing: {_unread(look)}.", advice
    since = min(movement.still.values(), default=at)
    if look.is_settled and (at - since).total_seconds() >= _STILL_S:
        n_still = sum((at - each).total_seconds() >= _STILL_S for each in movement.still.values())
        said = f"The stage {stage} finishes nothing of {n_still} of its {len(look.offsets)} partitions."
        return "partly still", _SOME_FACTOR * bounds.stalled_after_s, since, said, advice
    return "", 0.0, None, "", ""


def _unread(look: GroupLook) -> str:
    return f"{look.unread} records wait" if look.unread else "what comes will wait"


def behind(stage: str, look: GroupLook | None, bounds: Bounds, *, is_alarmed: bool) -> Finding:
    """Judge whether records wait too long for a stage that works.

    Parameters
    ----------
    is_alarmed : bool
        It was behind at the look before; it is so until the wait is half of what made it so.
    """
    kind = AlarmKind.STAGE_BEHIND
    if look is None:
        return Finding(kind=kind, source=stage, is_ill=None)
    limit_s = bounds.behind_after_s * (_CALM if is_alarmed else 1.0)
    return Finding(
        kind=kind,
        source=stage,
        is_ill=look.wait_s > limit_s,
        cause="behind",
        bound_s=LOOK_EVERY_S,
        message=f"The stage {stage} is behind: its oldest unread record has waited {look.wait_s:.0f} s.",
        action_text=(
            f"Start another worker of {stage}, up to as many as its topic has partitions; if it does not "
            "help, see why it is slow (diastole_work_seconds, diastole_settle_seconds)."
        ),
    )


def answered(address: Address, answers: Sequence[Answer], bounds: Bounds) -> Finding:
    """Judge what a health address answered; where a name stands for several, the worst of them counts."""
    stage = next((each.stage for each in answers if each.stage), address.name.partition(":")[0])
    cause, bound_s, said = _trouble(address, answers, bounds)
    return Finding(
        kind=AlarmKind.STAGE_STALLED,
        source=address.source,
        is_ill=bool(cause),
        cause=cause,
        bound_s=bound_s,
        priority=priority_of(stage),
        message=said,
        action_text="Look at that process and its log. If it stands still (stopped, out of memory, its disk "
        "hangs), end it and start it anew: nothing is lost, what it had not finished is done again.",
    )


def _trouble(address: Address, answers: Sequence[Answer], bounds: Bounds) -> tuple[str, float, str]:
    of = f" ({len(answers)} processes answer to that name)" if len(answers) > 1 else ""
    if any(each.is_silent for each in answers):
        said = f"The process {address.name} does not answer{of}: it is stopped or hangs."
        return "silent", _SILENT_FOR_S, said
    if any(each.is_stalled for each in answers):
        return "stalled", _SILENT_FOR_S, f"The process {address.name} has work and finishes none{of}."
    if not answers or any(each.is_absent for each in answers):
        return "absent", bounds.missing_after_s, f"The process {address.name} is not there{of}."
    why = next((each.why for each in answers if not (each.is_ready or each.is_behind)), None)
    if why is not None:
        return "unready", bounds.missing_after_s, f"The process {address.name} is not ready{of}: {why}."
    return "", 0.0, ""
