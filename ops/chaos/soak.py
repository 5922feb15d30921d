"""A long run under steady load with faults: what is lost, and whether anything grows."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from models.bundle import DEFAULT_BUNDLE
from ops.chaos.campaign import Campaign, Say, play_seed, said_of
from ops.chaos.faults import available
from ops.chaos.growth import Growth, Reading, growth
from ops.chaos.oracle import read_rules
from ops.chaos.palette import Turns, load_palette
from ops.chaos.results import SeedResult, append_result
from ops.chaos.sampling import Sample, read_samples, sample
from ops.chaos.starting import running_cluster
from streams.policy import DEFAULT_POLICY

#: A soak is cut into plays of this length, each judged like a seed of a campaign: what a play wrote is then
#: deleted, so that an hour at tens of ECGs a second does not fill the disk.
_PLAY_S: Final = 300.0

#: Faults that end workers are for campaigns: what is begun anew every few minutes is not seen to grow.
ENDING_KINDS: Final = frozenset(
    {"sigkill", "sigkill-stage", "clock-jump", "redeploy", "new-bundle", "registry-down"}
)

#: Memory that is not judged: Redis is to hold more with every patient, and Java fills the heap it was given.
_MEANT_TO_GROW: Final = frozenset({"redis", "broker"})

#: What is looked at of every process.
WATCHED: Final = ("rss_mb", "handles", "threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """How long and how hard.

    Attributes
    ----------
    rate_per_s : float
        ECGs a second: half of what ``diastole bench`` says the machine sustains.
    folder : Path
        Gets ``samples.jsonl`` and ``results.jsonl``.
    """

    home: Path
    folder: Path
    minutes: float
    rate_per_s: float
    fault_every_s: float
    first_seed: int = 500_000

    @property
    def samples(self) -> Path:
        """One look a line."""
        return self.folder / "samples.jsonl"

    def play(self, seed: int, lasts_s: float, kinds: tuple[str, ...]) -> Campaign:
        """Describe one play of so many seconds, with faults of these kinds."""
        ecgs = max(1, round(self.rate_per_s * lasts_s))
        return Campaign(
            home=self.home,
            seeds=[seed],
            results=self.folder / "results.jsonl",
            ecgs=ecgs,
            patients=max(10, ecgs // 20),
            faults=round(lasts_s / self.fault_every_s),
            kinds=kinds,
            rate_per_s=self.rate_per_s,
        )


async def run_soak(soak: Soak, say: Say) -> list[SeedResult]:
    """Play one play after the other on one cluster until the time is up, looking at everything meanwhile.

    Raises
    ------
    ServiceError, NotReadyError
        When the cluster cannot be started.
    """
    await asyncio.to_thread(soak.folder.mkdir, parents=True, exist_ok=True)
    rules = await asyncio.to_thread(read_rules, DEFAULT_POLICY)
    turns = Turns(thresholds=(rules.enter, rules.leave), step_up=rules.step_up)
    palette = await asyncio.to_thread(load_palette, soak.home, DEFAULT_BUNDLE, turns)
    results: list[SeedResult] = []
    async with running_cluster(soak.home) as cluster:
        kinds = tuple(kind for kind in available(cluster) if kind not in ENDING_KINDS)
        begun_s = time.monotonic()
        ends_s = begun_s + 60.0 * soak.minutes
        looking = asyncio.create_task(sample(cluster, soak.samples, begun_s))
        try:
            while (left_s := ends_s - time.monotonic()) > 0.0:
                seed = soak.first_seed + len(results)
                campaign = soak.play(seed, min(_PLAY_S, left_s), kinds)
                result = await play_seed(campaign, cluster, seed, palette)
                results.append(result)
                await asyncio.to_thread(append_result, campaign.results, result)
                say(f"{(time.monotonic() - begun_s) / 60.0:.0f} min: {said_of(result)}")
        finally:
            looking.cancel()
            await asyncio.wait({looking})
    return results


def growths(samples: Sequence[Sample]) -> dict[str, list[Growth]]:
    """Judge every stage's workers, by what is watched."""
    readings: defaultdict[tuple[str, str], list[Reading]] = defaultdict(list)
    for row in samples:
        for process in row.processes:
            for what in WATCHED:
                readings[process.name.split("-")[0], what].append(
                    Reading(
                        life=process.life,
                        at_s=row.at_s,
                        age_s=process.age_s,
                        amount=float(getattr(process, what)),
                    )
                )
    found: defaultdict[str, list[Growth]] = defaultdict(list)
    for (part, what), theirs in readings.items():
        found[part].append(growth(what, theirs))
    return dict(found)


def growths_of(path: Path) -> dict[str, list[Growth]]:
    """Judge a file of samples; memory that is meant to grow is told, and not judged."""
    return {
        part: [
            replace(each, per_hour=None) if part in _MEANT_TO_GROW and each.what == "rss_mb" else each
            for each in found
        ]
        for part, found in growths(read_samples(path)).items()
    }
