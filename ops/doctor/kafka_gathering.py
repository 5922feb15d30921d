"""Facts of Kafka. It joins no group, writes nothing and creates nothing."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ops.doctor.facts import GroupFacts, KafkaFacts, Missed
from ops.topic_diff import differences, found_topics
from ops.topics import topic_specs
from schemas.errors import ConfigurationError
from streams.access import Broker, client_options
from streams.adapters.kafka_groups import GroupsProbe
from streams.adapters.kafka_probe import BrokerUnreachableError
from streams.adapters.kafka_trouble import kafka_refusal
from streams.kafka_time import instant_of
from streams.topology import ALL_ROUTES, ECG_ALERT, ECG_RECORDED, ECG_RISK, SILENT_ROUTE

_WITHIN_S: Final = 8.0
_ASK_MS: Final = 5_000
#: Longer than the 5 s that one server is given to say why it refuses.
_REFUSED_S: Final = 6.0
#: Longest wait for the newest records, s; behind a transaction's marker none comes.
_NEWEST_S: Final = 2.0
#: A cluster that never had a group makes the place for them at the first question.
_ASKED: Final = 3
_ASK_AGAIN_S: Final = 0.5

_AGED: Final = (ECG_RECORDED, ECG_RISK, ECG_ALERT)


async def kafka_facts(
    broker: Broker, partitions: int, now: datetime, *, with_silent: bool
) -> KafkaFacts | Missed:
    """Ask the cluster, for at most some eight seconds.

    Parameters
    ----------
    with_silent : bool
        A bundle is on trial, so its stage is to run too.
    """
    try:
        async with asyncio.timeout(_WITHIN_S):
            return await _ask(broker, partitions, now, with_silent=with_silent)
    except ConfigurationError as error:
        return Missed(reason=str(error), is_configuration=True)
    except (KafkaError, OSError, TimeoutError, BrokerUnreachableError) as error:
        reason = f"no answer from {broker} ({type(error).__name__})"
    try:
        async with asyncio.timeout(_REFUSED_S):
            refusal = await kafka_refusal(broker)
    except (ConfigurationError, TimeoutError) as error:
        refusal = str(error) or None
    return Missed(reason=refusal or reason, is_configuration=refusal is not None)


async def _ask(broker: Broker, partitions: int, now: datetime, *, with_silent: bool) -> KafkaFacts:
    admin = AIOKafkaAdminClient(**client_options(broker), request_timeout_ms=_ASK_MS)
    consumer = AIOKafkaConsumer(
        **client_options(broker), group_id=None, enable_auto_commit=False, request_timeout_ms=_ASK_MS
    )
    try:
        await admin.start()
        begun_s = time.monotonic()
        cluster = await admin.describe_cluster()
        latency_ms = 1000 * (time.monotonic() - begun_s)
        specs = topic_specs(partitions)
        found = await found_topics(admin, [spec.name for spec in specs])
        bare = KafkaFacts(
            n_brokers=len(cluster["brokers"]),
            latency_ms=latency_ms,
            n_topics=len(found),
            differences=differences(specs, found),
        )
        if not found:
            # A client that is stopped at once after its start is cancelled by itself.
            return bare
        await consumer.start()
        places = {
            name: [TopicPartition(name, number) for number in range(topic.partitions)]
            for name, topic in found.items()
        }
        return replace(
            bare,
            groups=await _groups(broker, now, with_silent=with_silent),
            newest={name: await _newest(consumer, places[name]) for name in _AGED if name in places},
            dead_letters=await _kept(
                consumer, {name: at for name, at in places.items() if name.endswith(".dlq")}
            ),
        )
    finally:
        await consumer.stop()
        await admin.close()


async def _groups(broker: Broker, now: datetime, *, with_silent: bool) -> dict[str, GroupFacts]:
    routes = [route for route in ALL_ROUTES.values() if with_silent or route is not SILENT_ROUTE]
    probe = GroupsProbe(broker)
    try:
        for _ in range(_ASKED):
            try:
                # Of the second look it tells what waited at the first.
                await probe.look(routes, now)
                looks = await probe.look(routes, now)
            except BrokerUnreachableError:
                await asyncio.sleep(_ASK_AGAIN_S)
                continue
            return {
                stage: GroupFacts(members=look.n_members, lag=look.unread, wait_s=look.wait_s)
                for stage, look in looks.items()
            }
    finally:
        await probe.close()
    return {}


async def _newest(consumer: Any, places: list[TopicPartition]) -> datetime | None:
    """Time of the newest record, as its publisher stamped it."""
    begins = await consumer.beginning_offsets(places)
    ends = await consumer.end_offsets(places)
    waiting = {at for at in places if ends[at] > begins[at]}
    if not waiting:
        return None
    consumer.assign(list(waiting))
    for at in waiting:
        consumer.seek(at, ends[at] - 1)
    newest: list[float] = []
    deadline_s = time.monotonic() + _NEWEST_S
    while waiting and time.monotonic() < deadline_s:
        for at, records in (await consumer.getmany(*waiting, timeout_ms=200)).items():
            newest += [record.timestamp for record in records]
            waiting.discard(at)
    consumer.unsubscribe()
    return instant_of(max(newest)) if newest else None


async def _kept(consumer: Any, places: Mapping[str, list[TopicPartition]]) -> dict[str, int]:
    every = [at for ats in places.values() for at in ats]
    if not every:
        return {}
    begins = await consumer.beginning_offsets(every)
    ends = await consumer.end_offsets(every)
    counted = {name: _sum(ends[at] - begins[at] for at in ats) for name, ats in places.items()}
    return {name: count for name, count in counted.items() if count}


def _sum(counts: Iterable[int]) -> int:
    return sum(max(0, count) for count in counts)
