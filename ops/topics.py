"""The topics Diastole needs, derived from ``streams.topology``, and making those that are missing."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from schemas.errors import ConfigurationError, RetriableError
from streams.access import Broker, client_options
from streams.adapters.kafka_trouble import told
from streams.topology import (
    CARE_AUDIT,
    COMPACTED_FEED_TOPICS,
    DEAD_LETTER_REPLAYED,
    ECG_FEATURIZED,
    ECG_QUARANTINE_CONTENT,
    ECG_RECORDED,
    ECG_RISK_SILENT,
    FEED_TOPICS,
    LINK_ROUTE,
    OPERATION_TOPICS,
    TOPICS,
    WAVEFORM_ROUTE,
    dead_letter_topic,
    state_topics,
)

_DAY_MS: Final = 24 * 3600 * 1000
_FOREVER: Final = -1
_NAMED_WITHIN_S: Final = 30.0

#: Recordings may be large (several minutes at 2 kHz): 8 MiB. The broker's own limit and that of whoever
#: publishes must be above it.
LARGE_RECORD_BYTES: Final = 8 * 2**20

#: All other records have at most 120 kB; written in every topic, so that the limit of one and of its dead
#: letters do not depend on the broker's default. It must not be under the 1 MiB of a producer's full batch.
RECORD_BYTES: Final = 2 * 2**20

#: A dead letter is its message with some headers more; one that is larger still is cut by its writer.
DEAD_LETTER_MORE_BYTES: Final = 2**16

#: Audit and risk are what history and alerts can be rebuilt from: kept for good. Waveforms are large
#: (about 100 kB each; 10 000 a day are 1 GB): kept as long as an outage of a stage may last. What a bundle on
#: trial says is kept as long as a trial is looked at.
_RETENTION_MS: Final[Mapping[str, int]] = {
    ECG_RECORDED: 14 * _DAY_MS,
    ECG_FEATURIZED: 7 * _DAY_MS,
    ECG_RISK_SILENT: 180 * _DAY_MS,
    # Twice as long as the dead letters that it tells of.
    DEAD_LETTER_REPLAYED: 60 * _DAY_MS,
}


#: What a person discarded is to be off the disks within about a day: without this Kafka would compact no
#: segment before it is full or a week old. Pieces have half a MiB; the limit is written as everywhere.
_CONTENT: Final[Mapping[str, str]] = {
    "max.compaction.lag.ms": str(_DAY_MS),
    "delete.retention.ms": str(_DAY_MS),
    "max.message.bytes": str(RECORD_BYTES),
}


class TopicError(ConfigurationError):
    """A topic could not be made, or exists with another number of partitions than its neighbours."""

    code = "TOPIC"


class BrokerUnreachableError(RetriableError):
    """No broker answered."""

    code = "BROKER_UNREACHABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """One topic as it should be.

    Attributes
    ----------
    partitions : int
        The same for all topics of the flow: a patient then has one partition number throughout.
    configuration : mapping
        Kafka's topic-level settings, by their names.
    """

    name: str
    partitions: int
    replication: int
    configuration: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedTopics:
    """What ``apply_topics`` did: names in the order of the flow."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


def topic_specs(partitions: int, replication: int = 1) -> tuple[TopicSpec, ...]:
    """Specify every topic of the topology, with a dead-letter topic for each that is read as records."""
    names = (
        *TOPICS,
        *(dead_letter_topic(topic) for topic in TOPICS if topic != CARE_AUDIT),
        *FEED_TOPICS,
        *OPERATION_TOPICS,
        LINK_ROUTE.dead_letters,
        WAVEFORM_ROUTE.dead_letters,
        *state_topics(),
    )
    return tuple(
        TopicSpec(
            name=name,
            partitions=partitions,
            replication=replication,
            configuration=_configuration(name, replication),
        )
        for name in names
    )


def _configuration(name: str, replication: int) -> dict[str, str]:
    # Acknowledged means on two replicas wherever there are three: losing one node loses nothing.
    durable = {"min.insync.replicas": str(max(1, replication - 1))}
    if name in state_topics() or name in COMPACTED_FEED_TOPICS:
        # The newest of each key, for ever; deleting by age would forget the quiet ones.
        compacted = durable | {"cleanup.policy": "compact"}
        return {**compacted, **_CONTENT} if name == ECG_QUARANTINE_CONTENT else compacted
    source = name.removesuffix(".dlq")
    # A dead letter waits for a person: it stays as long as an outage's worth, but never less than 30 days.
    retention_ms = 30 * _DAY_MS if name != source else _RETENTION_MS.get(name, _FOREVER)
    configuration = durable | {"cleanup.policy": "delete", "retention.ms": str(retention_ms)}
    most_bytes = LARGE_RECORD_BYTES if source == ECG_RECORDED else RECORD_BYTES
    if name != source:
        most_bytes += DEAD_LETTER_MORE_BYTES
    return configuration | {"max.message.bytes": str(most_bytes)}


async def apply_topics(broker: Broker, partitions: int, replication: int = 1) -> AppliedTopics:
    """Make the topics that are missing; leave those that exist as they are.

    Applying twice, or from several processes at once, is the same as once.

    Parameters
    ----------
    broker : str or KafkaAccess
        ``host:port[,host:port...]`` of the cluster.
    partitions, replication : int
        Of every topic that is made.

    Raises
    ------
    BrokerUnreachableError
        When no broker answers.
    TopicError
        When the broker refuses a topic, or one exists with other than ``partitions`` partitions.
    """
    specs = topic_specs(partitions, replication)
    admin = AIOKafkaAdminClient(**client_options(broker), client_id="diastole-topics")
    try:
        await admin.start()
        found = await _partitions_of(admin, [spec.name for spec in specs])
        _refuse_other_partitions(found, partitions)
        created = await create_topics(admin, [spec for spec in specs if spec.name not in found])
        await _until_named(admin, {spec.name for spec in specs})
    except KafkaConnectionError as error:
        raise await told(broker, BrokerUnreachableError(f"no broker answers at {broker}")) from error
    finally:
        await admin.close()
    return AppliedTopics(
        created=created, existing=tuple(spec.name for spec in specs if spec.name not in created)
    )


async def _partitions_of(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """Count partitions of those topics that exist."""
    present = set(await admin.list_topics()) & set(names)
    if not present:
        return {}
    described: list[dict[str, Any]] = await admin.describe_topics(sorted(present))
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


def _refuse_other_partitions(found: Mapping[str, int], partitions: int) -> None:
    wrong = {name: n for name, n in found.items() if n != partitions}
    if wrong:
        listed = ", ".join(f"{name} has {n}" for name, n in sorted(wrong.items()))
        raise TopicError(
            f"every topic needs {partitions} partitions, but {listed}; set DIASTOLE_PARTITIONS to that "
            "number or remove the topics"
        )


async def create_topics(admin: AIOKafkaAdminClient, specs: Iterable[TopicSpec]) -> tuple[str, ...]:
    """Create topics one by one and name those made; one that another process made meanwhile is as good.

    Raises
    ------
    TopicError
        With the name of the first topic that the broker refused, and why.
    """
    return tuple([spec.name for spec in specs if await _create(admin, spec)])


async def _create(admin: AIOKafkaAdminClient, spec: TopicSpec) -> bool:
    topic = NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=dict(spec.configuration))
    try:
        response = await admin.create_topics([topic])
    except KafkaError as error:
        raise TopicError(f"the broker refused topic {spec.name}: {error}") from error
    # The client hands back the result of each topic instead of raising.
    ((_, code, *message),) = response.topic_errors
    if code not in (0, TopicAlreadyExistsError.errno):
        reason = next((text for text in message if text), for_code(code).__name__)
        raise TopicError(f"the broker refused topic {spec.name}: {reason}")
    return bool(code == 0)


async def _until_named(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until brokers name the topics: the controller acknowledges some milliseconds before they do."""
    try:
        async with asyncio.timeout(_NAMED_WITHIN_S):
            while not names <= set(await admin.list_topics()):  # noqa: ASYNC110  # a broker wakes nobody
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise BrokerUnreachableError(
            f"brokers do not name the new topics after {_NAMED_WITHIN_S:g} s; see the controller's log"
        ) from error
