"""Looking at Kafka beside Faust: is it there, are the topics there, how far behind is the group."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.errors import ConfigurationError, RetriableError

_TIMEOUT_MS = 10_000


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


class KafkaProbe:
    """One group's view of Kafka, over connections of its own.

    Faust learns offsets from what it fetches, so a worker that stopped fetching would look idle to itself.
    """

    def __init__(self, bootstrap: str, group: str) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._clients: _Clients | None = None

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
        PartitionsDifferError
            States would be looked for in the wrong partition, or in none.
        """
        async with self._connected() as clients:
            described = await clients.admin.describe_topics([topic, beside])
        numbers = {entry["topic"]: len(entry["partitions"]) for entry in described}
        if numbers[topic] != numbers[beside]:
            raise PartitionsDifferError(
                f"{topic} has {numbers[topic]} partitions but {beside} has {numbers[beside]}; make them equal"
            )

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
        wanted = {TopicPartition(topic, number): end for number, end in known_ends.items()}
        if not wanted:
            return 0
        async with self._connected() as clients:
            ends = await clients.consumer.end_offsets(list(wanted))
            begins = await clients.consumer.beginning_offsets(list(wanted))
            committed = await clients.admin.list_consumer_group_offsets(self._group, partitions=list(wanted))
        return sum(
            max(0, max(ends[tp], end) - max(committed[tp].offset, begins[tp])) for tp, end in wanted.items()
        )

    async def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.consumer.stop()
            await clients.admin.close()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Clients]:
        try:
            if self._clients is None:
                self._clients = _new_clients(self._bootstrap)
                await self._clients.consumer.start()
                await self._clients.admin.start()
            yield self._clients
        except (KafkaError, OSError) as error:
            await self.close()
            raise BrokerUnreachableError(f"no Kafka at {self._bootstrap} ({type(error).__name__})") from None


def _new_clients(bootstrap: str) -> _Clients:
    return _Clients(
        AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, request_timeout_ms=_TIMEOUT_MS),
        AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_TIMEOUT_MS),
    )
