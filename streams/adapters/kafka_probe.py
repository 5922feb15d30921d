"""Looking at Kafka beside Faust: is it there, are the topics there, how far behind is the group."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from schemas.errors import ConfigurationError, RetriableError
from streams.access import Broker, client_options, kafka_access
from streams.adapters.kafka_rights import require_rights
from streams.adapters.kafka_trouble import told
from streams.rights import KafkaRight

_TIMEOUT_MS = 10_000
_FETCH_MS = 200


class BrokerUnreachableError(RetriableError):
    """No Kafka answers at the configured address."""

    code = "BROKER_UNREACHABLE"


class TopicMissingError(RetriableError):
    """A topic this stage needs is not there yet."""

    code = "TOPIC_MISSING"


class PartitionsDifferError(ConfigurationError):
    """A state topic does not match the topic whose records move the state."""

    code = "PARTITIONS_DIFFER"


@dataclass(frozen=True, slots=True)
class _Clients:
    consumer: AIOKafkaConsumer
    admin: AIOKafkaAdminClient
    opened: AsyncExitStack


class StateForgottenError(ConfigurationError):
    """Kafka would delete patients' states from a state topic."""

    code = "STATE_FORGOTTEN"


class KafkaProbe:
    """One group's view of Kafka, over connections of its own.

    Faust learns offsets from what it fetches, so a worker that stopped fetching would look idle to itself.
    """

    def __init__(self, broker: Broker, group: str) -> None:
        self._broker = broker
        self._group = group
        self._clients: _Clients | None = None

    async def require_rights(self, rights: Sequence[KafkaRight]) -> None:
        """Return when Kafka grants what this stage needs, or does not tell.

        Raises
        ------
        BrokerUnreachableError
        KafkaRefusesError
            When Kafka does not let us in.
        RightMissingError
            Names each missing right and how it is granted.
        """
        try:
            async with self._connected() as clients:
                await require_rights(clients.admin, kafka_access(self._broker), rights)
        except BrokerUnreachableError as error:
            raise await told(self._broker, error) from None

    async def require_topics(self, topics: Iterable[str]) -> None:
        """Return when Kafka answers and knows all topics.

        Raises
        ------
        BrokerUnreachableError, TopicMissingError
        """
        async with self._connected() as clients:
            missing = sorted(set(topics) - await clients.consumer.topics())
        if missing:
            raise TopicMissingError(f"{', '.join(missing)} not found; run `diastole topics apply`")

    async def require_equal_partitions(self, topic: str, beside: str) -> None:
        """Return when a state topic has as many partitions as the topic ``beside`` that moves the state.

        Raises
        ------
        BrokerUnreachableError
        TopicMissingError
            Also of a topic just made, whose partitions Kafka does not tell yet.
        PartitionsDifferError
            States would be looked for in the wrong partition, or in none.
        """
        async with self._connected() as clients:
            described = await clients.admin.describe_topics([topic, beside])
        numbers = {entry["topic"]: len(entry["partitions"]) for entry in described}
        untold = [name for name, n_partitions in numbers.items() if not n_partitions]
        if untold:
            raise TopicMissingError(f"{', '.join(untold)} has no partitions yet; run `diastole topics apply`")
        if numbers[topic] != numbers[beside]:
            raise PartitionsDifferError(
                f"{topic} has {numbers[topic]} partitions but {beside} has {numbers[beside]}; make them equal"
            )

    async def require_compacted(self, topic: str) -> None:
        """Return when Kafka keeps the newest state of each patient, or does not tell (it needs a right).

        Raises
        ------
        BrokerUnreachableError
        StateForgottenError
            States of patients who are quiet for longer than the topic's retention would be deleted.
        """
        async with self._connected() as clients:
            answers = await clients.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        policy = _cleanup_policy(answers)
        if policy not in (None, "compact"):
            raise StateForgottenError(f"{topic} has cleanup.policy {policy}; set it to compact")

    async def lag(self, topic: str, known_ends: Mapping[int, int]) -> int:
        """Messages of ``topic`` not yet committed by the group.

        Parameters
        ----------
        known_ends : mapping
            The partitions to look at, each with an end offset known from elsewhere or 0. The embedded broker
            answers with the first offset of the last batch written, not the last, so the greater one counts.

        Raises
        ------
        BrokerUnreachableError
        """
        async with self._connected() as clients:
            unread = await self._unread(clients, topic, known_ends)
        return sum(end - begin for begin, end in unread.values())

    async def has_records(self, topic: str, known_ends: Mapping[int, int]) -> bool:
        """Whether what :meth:`lag` counts holds a record: offsets are also taken by transactions' markers.

        The group never commits such a marker when it stands last, and so lags behind it for ever.

        Raises
        ------
        BrokerUnreachableError
            Also when Kafka does not say within 10 s.
        """
        async with self._connected() as clients:
            unread = await self._unread(clients, topic, known_ends)
            behind = {tp: offsets for tp, offsets in unread.items() if offsets[0] < offsets[1]}
            if not behind:
                return False
            clients.consumer.assign(list(behind))
            try:
                for tp, (begin, _) in behind.items():
                    clients.consumer.seek(tp, begin)
                ends = {tp: end for tp, (_, end) in behind.items()}
                return await asyncio.wait_for(_fetches_any(clients.consumer, ends), _TIMEOUT_MS / 1000)
            finally:
                clients.consumer.unsubscribe()

    async def _unread(
        self, clients: _Clients, topic: str, known_ends: Mapping[int, int]
    ) -> dict[TopicPartition, tuple[int, int]]:
        """First and last offset plus one of what the group has not committed, per partition."""
        wanted = {TopicPartition(topic, number): end for number, end in known_ends.items()}
        if not wanted:
            return {}
        ends = await clients.consumer.end_offsets(list(wanted))
        begins = await clients.consumer.beginning_offsets(list(wanted))
        committed = await clients.admin.list_consumer_group_offsets(self._group, partitions=list(wanted))
        if not committed.keys() >= wanted.keys():
            # The client hands back nothing where the coordinator says that it is still reading the offsets.
            raise GroupCoordinatorNotAvailableError
        unread = {}
        for tp, end in wanted.items():
            begin = max(committed[tp].offset, begins[tp])
            unread[tp] = begin, max(ends[tp], end, begin)
        return unread

    async def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.opened.aclose()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Clients]:
        try:
            if self._clients is None:
                self._clients = await _connect(self._broker)
            yield self._clients
        except (KafkaError, OSError) as error:
            await self.close()
            raise BrokerUnreachableError(f"no Kafka at {self._broker} ({type(error).__name__})") from None


def _cleanup_policy(answers: Iterable[Any]) -> str | None:
    # A resource is (error code, message, type, name, entries), an entry (name, value, …).
    for answer in answers:
        for *_, entries in answer.resources:
            for name, policy, *_ in entries:
                if name == "cleanup.policy":
                    return str(policy)
    return None


async def _connect(broker: Broker) -> _Clients:
    async with AsyncExitStack() as opened:
        # A client that did not get through to Kafka holds connections too, so each is closed in any case.
        consumer = AIOKafkaConsumer(
            **client_options(broker),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=_TIMEOUT_MS,
        )
        opened.push_async_callback(consumer.stop)
        await consumer.start()
        admin = AIOKafkaAdminClient(**client_options(broker), request_timeout_ms=_TIMEOUT_MS)
        opened.push_async_callback(admin.close)
        await admin.start()
        return _Clients(consumer=consumer, admin=admin, opened=opened.pop_all())


async def _fetches_any(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    while True:
        if any((await consumer.getmany(timeout_ms=_FETCH_MS, max_records=1)).values()):
            return True
        # Past a marker the position moves on without a record.
        positions = [(await consumer.position(tp), end) for tp, end in ends.items()]
        if all(position >= end for position, end in positions):
            return False
