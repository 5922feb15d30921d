"""Send hostile messages to a whole site, wait until all of them ended, and judge.

::

    states of patients ─▶ parts start ─▶ first half ─▶ all committed, look ─▶ second half ─▶ again ─▶ judge
"""

import asyncio
import random
import time
import urllib.request
import zlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ops.chaos.hostile import Hostile, first_messages
from ops.chaos.hostile_readers import blame_readers
from ops.chaos.hostile_reading import digest, found, letter, whole_topics
from ops.chaos.hostile_records import sound_ecg
from ops.chaos.hostile_site import PARTS, Site, running_site
from ops.chaos.hostile_verdict import (
    JUDGED_TOPICS,
    At,
    Found,
    Sent,
    Verdict,
    blame_growth,
    blame_sound,
    judge,
)
from ops.chaos.offsets import watching
from ops.chaos.raw_record import send_raw
from ops.chaos.sampling import Process
from ops.chaos.starting import PARTITIONS
from ops.services.ports import LOOPBACK
from schemas.codec import Codec
from schemas.registry import FileRegistry
from streams.access import client_options
from streams.stage import utc_now
from streams.topology import (
    ALERT_STATE,
    ALL_ROUTES,
    CARE_AUDIT,
    ECG_ALERT,
    ECG_RECORDED,
    ECG_RISK,
    PATIENT_LINK,
    ROUTES,
)

#: One sound ECG for so many hostile messages.
SOUND_EVERY: Final = 50

#: Messages under way at once: 32 × 120 kB.
_UNDER_WAY: Final = 32
_LOOK_EVERY_S: Final = 0.5
_REQUEST_BYTES: Final = 16 * 2**20
_BATCH_BYTES: Final = 2**20
_PATIENCE_MS: Final = 180_000

#: What the book of delivery is made of.
_BOOK_TOPICS: Final = (ECG_ALERT, CARE_AUDIT)
_UNREADABLE: Final = 'diastole_deliver_unreadable_total{topic="'

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileRun:
    """What is to be sent, and to whom.

    Attributes
    ----------
    home : Path
        ``DIASTOLE_HOME``; servers and logs lie below it.
    patience_s : float
        Longest wait until a half is committed, s.
    """

    home: Path
    messages: int
    seed: int
    parts: Sequence[str] = PARTS
    patience_s: float = 1800.0

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages among the parts."""
        return tuple(part for part in self.parts if part in ALL_ROUTES)


@dataclass(slots=True, kw_only=True, eq=False)
class Account:
    """What was sent, and what came of it.

    Attributes
    ----------
    looks : list of dict
        What each process used after the first half and after the second.
    refused : Counter
        Messages that Kafka itself did not take, by topic and error.
    """

    sent: dict[At, Sent] = field(default_factory=dict)
    sound: list[str] = field(default_factory=list)
    by_topic: Counter[str] = field(default_factory=Counter)
    by_how: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    looks: list[dict[str, Process]] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    took_s: float = 0.0


async def run_hostile(run: HostileRun, say: Say) -> Account:
    """Start a site, send everything, wait, judge, stop.

    Raises
    ------
    ServiceError
        When the site does not come up.
    """
    codec, account, begun_s = Codec(FileRegistry()), Account(), time.monotonic()
    messages = list(first_messages(run.messages, run.seed, codec))
    states = [message for message in messages if message.topic == ALERT_STATE]
    others = [message for message in messages if message.topic != ALERT_STATE]
    # Sent before the alert stage starts: it reads states once, when it gets its partitions.
    before = partial(_send, messages=states, account=account, codec=None, seed=run.seed)
    async with running_site(run.home, run.parts, before) as site:
        say(f"{len(site.parts)} processes run; {len(states)} states lie there already")
        middle = len(others) // 2
        for half in (others[:middle], others[middle:]):
            await _send(site.bootstrap, half, account, codec, run.seed)
            say(f"{len(account.sent)} messages on Kafka, {account.refused.total()} refused by it")
            settled = await _settled(site, run, say)
            account.looks.append(site.processes())
            if not settled:
                break
        account.verdict = await _judged(site, run, account, codec, settled)
    account.took_s = time.monotonic() - begun_s
    return account


async def _send(
    bootstrap: str, messages: Iterable[Hostile], account: Account, codec: Codec | None, seed: int
) -> None:
    """Send messages, and a sound ECG after every few of them where there is a codec to write it."""
    chance = random.Random(f"sound {seed} {len(account.sound)}")
    room = asyncio.Semaphore(_UNDER_WAY)
    async with _producers(bootstrap) as producers, asyncio.TaskGroup() as tasks:
        for number, message in enumerate(messages):
            await room.acquire()
            tasks.create_task(_send_one(producers, message, account, room))
            if codec is not None and number % SOUND_EVERY == 0:
                await room.acquire()
                tasks.create_task(_send_one(producers, _sound(chance, account, codec), account, room))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Producers:
    """Two, as a batch that is written already waits until nothing else is in its producer's way."""

    usual: AIOKafkaProducer
    raw: AIOKafkaProducer


@asynccontextmanager
async def _producers(bootstrap: str) -> AsyncIterator[_Producers]:
    options = {
        **client_options(bootstrap),
        "max_request_size": _REQUEST_BYTES,
        # By default 16 kB: every ECG would wait for a batch of its own, and on a busy machine in vain.
        "max_batch_size": _BATCH_BYTES,
        "request_timeout_ms": _PATIENCE_MS,
    }
    usual = AIOKafkaProducer(**options, compression_type="gzip", linger_ms=5)
    raw = AIOKafkaProducer(**options)
    async with usual, raw:
        yield _Producers(usual=usual, raw=raw)


def _sound(chance: random.Random, account: Account, codec: Codec) -> Hostile:
    ecg = sound_ecg(chance, f"sound-{len(account.sound)}")
    account.sound.append(ecg.ecg_id)
    key = ecg.patient_id.encode()
    return Hostile(topic=ECG_RECORDED, how="sound", key=key, value=codec.encode(ecg))


async def _send_one(
    producers: _Producers, message: Hostile, account: Account, room: asyncio.Semaphore
) -> None:
    try:
        written = await (await _handed_over(producers, message))
    except KafkaError as error:
        account.refused[f"{message.topic}: {type(error).__name__}"] += 1
    else:
        account.by_topic[message.topic] += 1
        account.by_how[message.how.partition(" + ")[0]] += 1
        at = message.topic, written.partition, written.offset
        account.sent[at] = Sent(how=message.how, code=message.code, digest=digest(message.value))
    finally:
        room.release()


async def _handed_over(producers: _Producers, message: Hostile) -> Any:
    try:
        headers = [(name.decode(), header) for name, header in message.headers]
    except UnicodeDecodeError:
        partition = zlib.crc32(message.key or b"") % PARTITIONS
        now_ms = int(utc_now().timestamp() * 1000)
        sent_ms = now_ms if message.timestamp_ms is None else message.timestamp_ms
        return await send_raw(producers.raw, message, partition, sent_ms)
    return await producers.usual.send(
        message.topic, message.value, key=message.key, headers=headers, timestamp_ms=message.timestamp_ms
    )


async def _settled(site: Site, run: HostileRun, say: Say) -> bool:
    """Wait until every stage committed all there is; False when one does not, or a process ended."""
    routes = [ALL_ROUTES[stage] for stage in (*ROUTES, *ALL_ROUTES) if stage in run.stages]
    deadline_s, said_s = time.monotonic() + run.patience_s, time.monotonic()
    async with watching(site.bootstrap, PARTITIONS) as watcher:
        while behind := await watcher.behind(dict.fromkeys(routes)):
            if time.monotonic() > deadline_s or site.ended():
                return False
            if time.monotonic() - said_s > 30.0:
                said_s = time.monotonic()
                say(f"waiting: {', '.join(f'{stage} {n}' for stage, n in behind.items())}")
            await asyncio.sleep(_LOOK_EVERY_S)
    return True


async def _judged(site: Site, run: HostileRun, account: Account, codec: Codec, settled: bool) -> Verdict:
    records: defaultdict[str, list[Found]] = defaultdict(list)
    async for record in whole_topics(site.bootstrap, (*JUDGED_TOPICS, PATIENT_LINK, *_BOOK_TOPICS)):
        records[record.topic].append(found(record, codec))
    routes = [ALL_ROUTES[stage] for stage in run.stages]
    dead = {route.dead_letters for route in routes}
    letters = [letter(record) async for record in whole_topics(site.bootstrap, dead)]
    verdict = judge(records, letters, account.sent, run.stages)
    if "infer" in run.stages:
        blame_sound(verdict, account.sound, (f for f in records[ECG_RISK] if f.at not in account.sent))
    if "deliver" in site.parts:
        await _blame_unread(verdict, site, records)
    await blame_readers(verdict, site, dead, len(letters), codec)
    verdict.blame("processes ended or began anew", site.ended())
    verdict.blame("refused by Kafka", account.refused)
    verdict.blame("not committed in time", [] if settled else ["see the logs"])
    if len(account.looks) > 1:
        blame_growth(verdict, *account.looks)
    return verdict


async def _blame_unread(verdict: Verdict, site: Site, records: dict[str, list[Found]]) -> None:
    """Let delivery have counted every record of its book that cannot be read, and no other."""
    want = {topic: sum(each.code is not None for each in records[topic]) for topic in _BOOK_TOPICS}
    deadline_s = time.monotonic() + 30.0
    while (counted := await asyncio.to_thread(_unreadable, site.parts["deliver"].port)) != want:
        if time.monotonic() > deadline_s:
            verdict.blame("delivery counts unreadable records otherwise", [f"{counted}, not {want}"])
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def _unreadable(port: int) -> dict[str, int]:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    counts = (line.removeprefix(_UNREADABLE) for line in lines if line.startswith(_UNREADABLE))
    return {text.partition('"')[0]: int(float(text.rpartition(" ")[2])) for text in counts}
