"""Looking at Kafka beside Faust: is it there, are the topics there, how far behind is the group."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

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
            raise TopicMissingError(f"{', '.join(missing)} not found; create the topics of Diastole first")

    async def ensure_compacted(self, topic: str, beside: str) -> None:
        """Create a state topic, compacted, with the partitions and replicas of the topic ``beside``.

        Raises
        ------
        BrokerUnreachableError, TopicMissingError
        PartitionsDifferError
            When it exists with another number of partitions: states would be looked for in the wrong one.
        """
        async with self._connected() as clients:
            partitions, replicas = await _shape(clients.admin, beside)
            wanted = NewTopic(topic, partitions, replicas, topic_configs={"cleanup.policy": "compact"})
            response = await clients.admin.create_topics([wanted])
            code = response.topic_errors[0][1]
            if code not in (0, TopicAlreadyExistsError.errno):
                raise TopicMissingError(f"cannot create {topic}: {for_code(code).__name__}")
            found, _ = await _shape(clients.admin, topic)
        if found != partitions:
            raise PartitionsDifferError(
                f"{topic} has {found} partitions but {beside} has {partitions}; make them equal"
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


async def _shape(admin: AIOKafkaAdminClient, topic: str) -> tuple[int, int]:
    """Partitions and replicas of a topic."""
    (described,) = await admin.describe_topics([topic])
    if not described["partitions"]:
        raise TopicMissingError(f"{topic} not found; create the topics of Diastole first")
    return len(described["partitions"]), max(1, len(described["partitions"][0]["replicas"]))
