"""Seeds one after another on one cluster, each judged, each a line of the results."""

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from models.bundle import DEFAULT_BUNDLE
from ops.chaos.cluster import COPIES, Cluster
from ops.chaos.faults import available
from ops.chaos.judging import Judgement, judged, set_canary
from ops.chaos.offsets import Offsets, watching
from ops.chaos.oracle import read_rules
from ops.chaos.palette import Turns, Waveform, load_palette
from ops.chaos.play import Played, play
from ops.chaos.poison import Poison
from ops.chaos.results import SeedResult, append_result, read_results
from ops.chaos.scenario import Planned, Scenario
from ops.chaos.starting import PARTITIONS, running_cluster
from ops.chaos.verdict import Verdict
from schemas.codec import Codec
from schemas.errors import DiastoleError
from schemas.registry import FileRegistry
from streams.policy import DEFAULT_POLICY
from streams.topology import ECG_FEATURIZED, ECG_RECORDED, ECG_RISK, dead_letter_topic

log = structlog.get_logger(__name__)

#: The alert stage reads its whole state topic whenever partitions move, and Kafka compacts it slowly: after
#: so many seeds a fresh cluster is quicker.
_SEEDS_PER_CLUSTER: Final = 10

#: What is deleted once a seed is judged: 400 MB of waveforms each.
_LARGE_TOPICS: Final = (ECG_RECORDED, ECG_FEATURIZED, ECG_RISK, dead_letter_topic(ECG_RECORDED))

#: Troubles of the harness itself: the seed counts as failed, and the next one gets a fresh cluster.
_TROUBLES: Final = (DiastoleError, KafkaError, RedisError, OSError, TimeoutError)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What is to be played.

    Attributes
    ----------
    seeds : sequence of int
    results : Path
        Seeds that hold according to it are not played again.
    kinds : tuple of str
        Faults to choose from; empty takes all that can be done here.
    copies : int
        Workers of each stage.
    rate_per_s : float
        Arrivals a second.
    patience_s : float
        Longest wait for the groups once all is published and healed.
    """

    home: Path
    seeds: Sequence[int]
    results: Path
    ecgs: int = 2000
    patients: int = 100
    faults: int = 5
    kinds: tuple[str, ...] = ()
    copies: int = COPIES
    rate_per_s: float = 60.0
    patience_s: float = 300.0

    def left(self) -> list[int]:
        """Seeds still to be played."""
        held = {result.identity for result in read_results(self.results) if result.holds}
        return [seed for seed in self.seeds if (seed, self.ecgs, self.faults) not in held]


async def run_campaign(campaign: Campaign, say: Say) -> list[SeedResult]:
    """Play what is left, write each result, and return those of now.

    A seed that fails is kept, with the logs, and the next one begins on a fresh cluster.

    Raises
    ------
    ServiceError, NotReadyError
        When a cluster cannot be started.
    """
    waiting = await asyncio.to_thread(campaign.left)
    rules = await asyncio.to_thread(read_rules, DEFAULT_POLICY)
    turns = Turns(thresholds=(rules.enter, rules.leave), step_up=rules.step_up)
    palette = await asyncio.to_thread(load_palette, campaign.home, DEFAULT_BUNDLE, turns)
    results: list[SeedResult] = []
    count = len(waiting)
    while waiting:
        begun_s = time.monotonic()
        async with running_cluster(campaign.home, copies=campaign.copies) as cluster:
            say(f"cluster ready after {time.monotonic() - begun_s:.0f} s")
            for _ in range(min(_SEEDS_PER_CLUSTER, len(waiting))):
                result = await play_seed(campaign, cluster, waiting.pop(0), palette)
                results.append(result)
                await asyncio.to_thread(append_result, campaign.results, result)
                say(f"({len(results)}/{count}) {said_of(result)}")
                if not result.holds:
                    break
    return results


async def play_seed(
    campaign: Campaign, cluster: Cluster, seed: int, palette: Sequence[Waveform]
) -> SeedResult:
    """Play one seed on a running cluster and judge it; trouble of the harness itself is a failure too."""
    begun_s, starts = time.monotonic(), _starts(cluster)
    scenario = Scenario(seed=seed, ecgs=campaign.ecgs, patients=campaign.patients, faults=campaign.faults)
    arrivals = await asyncio.to_thread(scenario.arrivals, palette)
    played, judgement = Played(), Judgement(verdict=Verdict(), redis_was_emptied=False, history_s=0.0)
    try:
        played, judgement = await _play_and_judge(campaign, cluster, scenario, arrivals)
        verdict = judgement.verdict
    except _TROUBLES as error:
        verdict = Verdict(counts=(f"the harness failed: {type(error).__name__}: {error}",))
    failed = [f"fault {each.kind} failed: {each.did}" for each in played.faults if each.failed]
    verdict = replace(verdict, counts=(*verdict.counts, *failed))
    result = SeedResult(
        seed=seed,
        ecgs=campaign.ecgs,
        faults=campaign.faults,
        holds=verdict.holds,
        seconds=round(time.monotonic() - begun_s, 1),
        published_s=played.published_s,
        injected=tuple(asdict(each) for each in played.faults),
        totals=verdict.totals,
        lost=verdict.lost,
        invented=verdict.invented,
        contradictory=verdict.contradictory,
        others=(*verdict.counts, *verdict.history, *verdict.offsets),
        redis_was_emptied=judgement.redis_was_emptied,
        history_s=judgement.history_s,
        restarts=_starts(cluster) - starts,
    )
    return result if result.holds else await asyncio.to_thread(_keep, campaign.home, cluster, result)


async def _play_and_judge(
    campaign: Campaign, cluster: Cluster, scenario: Scenario, arrivals: Sequence[Planned | Poison]
) -> tuple[Played, Judgement]:
    codec = Codec(FileRegistry())  # its ids are those of the cluster's registry
    begins = await _ends(cluster)
    await set_canary(cluster)
    await cluster.until_ready()
    kinds = campaign.kinds or available(cluster)
    played = await play(
        cluster,
        scenario,
        arrivals,
        kinds if campaign.faults else (),
        codec,
        rate_per_s=campaign.rate_per_s,
        patience_s=campaign.patience_s,
    )
    judgement = await judged(cluster, scenario, arrivals, played, begins, codec, DEFAULT_POLICY)
    if judgement.verdict.holds:
        async with watching(cluster.bootstrap, PARTITIONS) as watcher:
            await watcher.forget(played.ends, _LARGE_TOPICS)
    return played, judgement


async def _ends(cluster: Cluster) -> Offsets:
    async with watching(cluster.bootstrap, PARTITIONS) as watcher:
        return await watcher.ends()


def _starts(cluster: Cluster) -> int:
    return sum(worker.starts for worker in cluster.workers.values())


def _keep(home: Path, cluster: Cluster, result: SeedResult) -> SeedResult:
    """Keep what can explain a failure: the logs of all parts and the differences."""
    folder = home / "chaos" / "failures" / f"seed-{result.seed}-{time.strftime('%d-%H%M%S')}"
    folder.mkdir(parents=True)
    servers = {"broker": cluster.broker, "redis": cluster.redis, **cluster.workers}
    for name, server in servers.items():
        source = server.folder / "server.log"
        if source.exists():
            shutil.copyfile(source, folder / f"{name}.log")
    result = replace(result, kept_in=str(folder))
    append_result(folder / "result.jsonl", result)
    return result


def said_of(result: SeedResult) -> str:
    """Say in one line what became of a seed; of one that does not hold also the first differences."""
    kinds = ", ".join(each["kind"] for each in result.injected)
    word = "holds" if result.holds else "DOES NOT HOLD"
    counted = " ".join(f"{name}={n}" for name, n in result.totals.items() if n)
    lines = [f"seed {result.seed} {word} in {result.seconds:.0f} s [{kinds}] {counted}"]
    wrong = (*result.lost, *result.invented, *result.contradictory, *result.others)
    lines += [f"  {each}" for each in wrong[:10]]
    if not result.holds:
        lines.append(f"  {len(wrong)} differences; kept in {result.kept_in}")
    return "\n".join(lines)
