"""As what every record on a stage's input ended, and what is wrong where it did not end exactly once.

Pure: what was read from Kafka goes in, a verdict comes out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ops.chaos.sampling import Process
from streams.topology import ALL_ROUTES, ECG_FEATURIZED, ECG_RECORDED, ECG_RISK, Route

#: Topic, partition and offset.
At = tuple[str, int, int]

#: Memory may be so much higher after the second half than after the first: a share, and MB beside it.
GROWTH_SHARE: Final = 0.05
GROWTH_MB: Final = 10.0
#: Handles and threads: connections come and go.
GROWTH_HANDLES: Final = 5

#: Whatever goes wrong once goes wrong often: so many are named.
_MOST_NAMED: Final = 10

#: Stages by whose results an ECG is seen again.
_RESULTS: Final = {"featurize": ECG_FEATURIZED, "infer": ECG_RISK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What we sent to one place.

    Attributes
    ----------
    code : str or None
        What its dead letter must bear; None where that depends.
    digest : bytes
        Of the value.
    """

    how: str
    code: str | None
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One record as it lies on a topic.

    Attributes
    ----------
    code : str or None
        Why it cannot be decoded; None when it can.
    ecg_id : str
        Of a record that can be decoded and is of an ECG; else empty.
    reasons : tuple of str or None
        Of an assessment: why there is no score, none where there is one; None for other records.
    """

    at: At
    code: str | None = None
    ecg_id: str = ""
    reasons: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One dead letter."""

    stage: str
    origin: At
    code: str
    digest: bytes | None


@dataclass(slots=True, kw_only=True)
class Outcomes:
    """What became of the records that one stage read.

    Attributes
    ----------
    taken : int
        Records that ended as results.
    not_scored : Counter
        Of infer: reasons of those without a score.
    """

    n: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    not_scored: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, kw_only=True)
class Verdict:
    """The whole judgement; ``faults`` is empty when it holds."""

    stages: dict[str, Outcomes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.faults

    def blame(self, fault: str, wheres: Iterable[object]) -> None:
        """Note a fault and where it shows; nothing when it shows nowhere."""
        named = [str(where) for where in wheres]
        if named:
            more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
            self.faults.append(f"{fault}: {len(named)}: {', '.join(named[:_MOST_NAMED])}{more}")


def judge(
    found: Mapping[str, list[Found]],
    letters: Iterable[Letter],
    sent: Mapping[At, Sent],
    stages: Iterable[str],
) -> Verdict:
    """Judge every record of every stage's input, ours or a stage's.

    Parameters
    ----------
    found : mapping
        By topic, all records of the inputs and of the results.
    sent : mapping
        What hostile and sound messages were sent, by place.
    stages : iterable of str
        Those that ran.
    """
    verdict = Verdict()
    by_stage: defaultdict[str, defaultdict[At, list[Letter]]] = defaultdict(lambda: defaultdict(list))
    for letter in letters:
        by_stage[letter.stage][letter.origin].append(letter)
    for stage in stages:
        _judge_stage(verdict, ALL_ROUTES[stage], found, by_stage[stage], sent)
    return verdict


def _judge_stage(
    verdict: Verdict,
    route: Route,
    found: Mapping[str, list[Found]],
    letters: Mapping[At, list[Letter]],
    sent: Mapping[At, Sent],
) -> None:
    outcomes = verdict.stages[route.stage] = Outcomes()
    taken: Counter[str] = Counter()
    lost, twice, wrong, changed = [], [], [], []
    for record in found[route.consumes]:
        outcomes.n += 1
        own = letters.get(record.at, [])
        known = sent.get(record.at)
        if len(own) > 1:
            twice.append(record.at)
        if not own and record.code is not None:
            lost.append(record.at)
        elif not own:
            outcomes.taken += 1
            taken[record.ecg_id] += 1
            if known is not None and known.code is not None:
                wrong.append((known.how, "taken", known.code))
        for letter in own:
            outcomes.dead[letter.code] += 1
            if known is not None and known.code not in (None, letter.code):
                wrong.append((known.how, letter.code, known.code))
            if known is not None and letter.digest not in (None, known.digest):
                changed.append(record.at)
    here = {record.at for record in found[route.consumes]}
    verdict.blame(f"{route.stage}: neither dead letter nor result", lost)
    verdict.blame(f"{route.stage}: several dead letters of one record", twice)
    verdict.blame(f"{route.stage}: another end than its kind has", wrong)
    verdict.blame(f"{route.stage}: dead letter with another value than was sent", changed)
    verdict.blame(f"{route.stage}: dead letter of nothing", letters.keys() - here)
    if route.stage in _RESULTS:
        _judge_results(verdict, route.stage, found[_RESULTS[route.stage]], taken, sent)


def _judge_results(
    verdict: Verdict, stage: str, results: list[Found], taken: Counter[str], sent: Mapping[At, Sent]
) -> None:
    own = [result for result in results if result.at not in sent]
    came = Counter(result.ecg_id for result in own)
    verdict.blame(f"{stage}: ECGs without a result", (taken - came).elements())
    verdict.blame(f"{stage}: results of no ECG, or twice", (came - taken).elements())
    verdict.blame(f"{stage}: unreadable result", [result.at for result in own if result.code is not None])
    not_scored = verdict.stages[stage].not_scored
    for result in own:
        not_scored.update(result.reasons[:1] if result.reasons else ())


def blame_growth(verdict: Verdict, before: Mapping[str, Process], after: Mapping[str, Process]) -> None:
    """Note what a process uses more after the second half than after the first."""
    for name, late in after.items():
        early = before.get(name)
        if early is None:
            continue
        if late.rss_mb > early.rss_mb * (1 + GROWTH_SHARE) + GROWTH_MB:
            verdict.blame("memory grows, MB", [f"{name} {early.rss_mb} → {late.rss_mb}"])
        if late.handles > early.handles + GROWTH_HANDLES:
            verdict.blame("handles grow", [f"{name} {early.handles} → {late.handles}"])
        if late.threads > early.threads + GROWTH_HANDLES:
            verdict.blame("threads grow", [f"{name} {early.threads} → {late.threads}"])


def blame_sound(verdict: Verdict, sound: Iterable[str], assessed: Iterable[Found]) -> None:
    """Note sound ECGs that did not end in exactly one score."""
    scores = Counter(found.ecg_id for found in assessed if found.reasons == ())
    verdict.blame("sound ECGs without exactly one score", [each for each in sound if scores[each] != 1])


#: Topics of which every record is read for the judgement, beside those of dead letters.
JUDGED_TOPICS: Final = (ECG_RECORDED, ECG_FEATURIZED, ECG_RISK)
