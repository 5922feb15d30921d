"""Risk as the broker stores it."""

from dataclasses import replace
from typing import Any

from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.risk import RiskAssessed
from streams.access import Broker
from streams.adapters.kafka_follower import open_follower
from streams.topology import ECG_RISK


async def stored_risks(
    broker: Broker, codec: Codec, *, budget_s: float = 600.0
) -> tuple[list[RiskAssessed], int]:
    """Read ``ecg.risk.v1`` from its beginning to its end; the order of a patient's assessments is kept.

    It joins no consumer group and changes nothing. Curves and strips are let go of: an assessment without
    them takes about 2 kB, so a million need 2 GB.

    Returns
    -------
    (list of RiskAssessed, int)
        And how many messages were none.

    Raises
    ------
    TopicBehindError
        When no broker answers, or the end is not reached in the budget.
    ConfigurationError
        When there is no such topic.
    """
    risks: list[RiskAssessed] = []
    unread = 0

    def take(message: Any) -> None:
        nonlocal unread
        try:
            risks.append(
                lean(codec.decode(message.value or b"", RiskAssessed, headers=tuple(message.headers)))
            )
        except PoisonError:
            unread += 1

    async with open_follower(broker, ECG_RISK, take, budget_s):
        # What arrives from here on is another day's.
        return list(risks), unread


def lean(risk: RiskAssessed) -> RiskAssessed:
    """Leave out what no decision asks for."""
    return replace(risk, motion=None, rhythm_strip_uv=None, contributions=(), timings=())
