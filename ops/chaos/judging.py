"""From a play that is over to a verdict: read the topics and Redis, ask the oracle, compare."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis.asyncio

from ops.chaos.cluster import Cluster
from ops.chaos.observed import Observed, Point, sort_records
from ops.chaos.offsets import JUDGED_TOPICS, Offsets, watching
from ops.chaos.oracle import Oracle, read_rules
from ops.chaos.play import Played
from ops.chaos.poison import Poison
from ops.chaos.scenario import Planned, Scenario
from ops.chaos.starting import PARTITIONS
from ops.chaos.verdict import Verdict, judge
from schemas.codec import Codec
from streams.adapters.redis_history import RedisHistory
from streams.history import HistoryPoint

#: A history that was lost is to be back within a minute of Redis' return, which was before the last commit.
HISTORY_WITHIN_S: Final = 60.0

#: Between two looks at histories that are being filled.
_LOOK_EVERY_S: Final = 0.5

#: Set before each play: when it is gone, so is the rest of what Redis held.
_CANARY: Final = "diastole-chaos-canary"


async def set_canary(cluster: Cluster) -> None:
    """Leave a key in Redis by which a loss of its content is seen."""
    async with redis.asyncio.Redis.from_url(cluster.redis_admin_url) as client:
        await client.set(_CANARY, "alive")


async def has_lost_content(cluster: Cluster) -> bool:
    """Whether Redis was emptied since :func:`set_canary`: its histories must come back then."""
    async with redis.asyncio.Redis.from_url(cluster.redis_admin_url) as client:
        return await client.get(_CANARY) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, and how the history came back.

    Attributes
    ----------
    redis_was_emptied : bool
        Its content was lost during the play, and had to be filled in again by the system itself.
    history_s : float
        How long after the last commit the history was complete, s.
    """

    verdict: Verdict
    redis_was_emptied: bool
    history_s: float


async def judged(
    cluster: Cluster,
    scenario: Scenario,
    arrivals: Sequence[Planned | Poison],
    played: Played,
    begins: Offsets,
    codec: Codec,
    policy: Path,
) -> Judgement:
    """Read what came out between ``begins`` and ``played.ends``, and judge it.

    Parameters
    ----------
    policy : Path
        The alert policy that the workers run with.
    """
    over_s = time.monotonic()
    async with watching(cluster.bootstrap, PARTITIONS) as watcher:
        ends = {tp: end for tp, end in played.ends.items() if tp.topic in JUDGED_TOPICS}
        records = await watcher.read(begins, ends)
    observed = Observed(acknowledged=played.acknowledged, behind=dict(played.behind))
    await asyncio.to_thread(sort_records, records, arrivals, scenario.prefix, codec, observed)
    oracle = Oracle(await asyncio.to_thread(read_rules, policy))
    oracle.take(observed.inputs)
    emptied = await has_lost_content(cluster)
    await _read_histories(cluster, oracle, over_s + (HISTORY_WITHIN_S if emptied else 0.0), observed)
    history_s = round(time.monotonic() - over_s, 1)
    return Judgement(verdict=judge(observed, oracle), redis_was_emptied=emptied, history_s=history_s)


async def _read_histories(cluster: Cluster, oracle: Oracle, deadline_s: float, into: Observed) -> None:
    """Read all histories; those that lack points again, until the deadline."""
    must = {patient: {ecg.ecg_id for ecg in ecgs} for patient, ecgs in oracle.history().items()}
    history, left = RedisHistory(cluster.redis_admin_url), list(must)
    try:
        while left:
            for patient in left:
                into.histories[patient] = [_point(each) for each in await history.read(patient)]
            left = [p for p in left if must[p] - {point.ecg_id for point in into.histories[p]}]
            if not left or time.monotonic() >= deadline_s:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        await history.close()


def _point(point: HistoryPoint) -> Point:
    return Point(
        ecg_id=point.ecg_id,
        bundle_version=point.bundle_version,
        acquired_at=point.acquired_at,
        probability=point.probability,
        reasons=frozenset(point.not_scored_reasons),
    )
