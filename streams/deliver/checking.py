"""A test notice to each channel: whether it would reach anybody, asked before an alert needs to know."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from schemas.alert import AlertClosed, AlertKind, AlertRaised, CloseReason, Priority
from schemas.errors import DiastoleError
from schemas.featurized import Measurements, Quality
from streams.deliver.case import AlertCase
from streams.deliver.channels.channel import Channel, RetractingChannel
from streams.deliver.channels.notice import Notice

#: Stands where a patient's identifier would; nobody has this one.
TEST_PATIENT: Final = "DIASTOLE-TEST"

_TEXT: Final = "This is a test of the channel: no patient is concerned and nothing is to be done."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of the test notice; ``problem`` is "" when it was taken."""

    channel: str
    problem: str


async def check_channels(channels: Mapping[str, Channel], now: datetime, run_id: uuid.UUID) -> list[Checked]:
    """Send a test notice to each channel at once, and say of each that can that it is over.

    Parameters
    ----------
    run_id : UUID
        A new one each time, or the other side takes it for a repeat.
    """
    case = _test_case(now, run_id)
    return list(await asyncio.gather(*(_check(channel, case, now) for channel in channels.values())))


async def _check(channel: Channel, case: AlertCase, now: datetime) -> Checked:
    notice = Notice(
        case=case, severity=Priority.MEDIUM, recipient="whoever tests the channel", level=0, link="", now=now
    )
    key = f"{case.alert.alert_id}:{channel.name}:0"
    try:
        await channel.send(notice, key)
        if isinstance(channel, RetractingChannel):
            await channel.retract(replace(notice, case=_ended(case)), key)
    except DiastoleError as error:
        return Checked(channel=channel.name, problem=f"{error.code}: {error}")
    return Checked(channel=channel.name, problem="")


def _ended(case: AlertCase) -> AlertCase:
    alert = case.alert
    closed = AlertClosed(
        alert_id=alert.alert_id,
        patient_id=alert.patient_id,
        ecg_id=alert.ecg_id,
        acquired_at=alert.acquired_at,
        reason=CloseReason.RETURNED_LOW,
        probability=0.0,
        policy_version=alert.policy_version,
        ward_id=alert.ward_id,
    )
    return case.with_end(closed, case.raised_at)


def _test_case(now: datetime, run_id: uuid.UUID) -> AlertCase:
    name = str(run_id)
    alert = AlertRaised(
        alert_id=name,
        kind=AlertKind.ENTERED_HIGH,
        patient_id=TEST_PATIENT,
        episode_ecg_id=name,
        ecg_id=name,
        acquired_at=now,
        assessed_at=now,
        published_at=now,
        first_seen=True,
        probability=0.5,
        probability_low=None,
        probability_high=None,
        policy_version="test",
        bundle_version="test",
        bundle_sha256="0" * 64,
        change_text=_TEXT,
        not_for_text=_TEXT,
        quality=Quality(acceptable=True, score=1.0),
        measurements=Measurements(),
        ward_id="TEST",
    )
    return AlertCase(alert=alert, raised_at=now)
