"""Looking at Kafka beside Faust: is it there, are the topics there, how far behind is the group."""

from collections.abc import Iterable, Mapping

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


class KafkaProbe:
    """One group's view of Kafka, over connections of its own.

    Faust learns offsets from what it fetches, so a worker that stopped fetching would look idle to itself.
    """

    def __init__(self, bootstrap: str, group: str) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def require_topics(self, topics: Iterable[str]) -> None:
        """Return when Kafka answers and knows all topics.

        Raises
        ------
        BrokerUnreachableError, TopicMissingError
        """
        await self._connect()
        assert self._consumer is not None
        try:
            missing = sorted(set(topics) - await self._consumer.topics())
        except (KafkaError, OSError) as error:
            await self.close()
            raise self._unreachable(error) from None
        if missing:
            raise TopicMissingError(
                f"topics are missing: {', '.join(missing)}; create them with `diastole topics`"
            )

    async def ensure_compacted(self, topic: str, beside: str) -> None:
        """Create a state topic, compacted, with as many partitions as the topic ``beside``.

        Raises
        ------
        PartitionsDifferError
            When it exists with another number of partitions: states would be looked for in the wrong one.
        """
        await self._connect()
        assert self._admin is not None
        partitions = await self._n_partitions(beside)
        wanted = NewTopic(topic, partitions, -1, topic_configs={"cleanup.policy": "compact"})
        response = await self._admin.create_topics([wanted])
        code = response.topic_errors[0][1]
        if code not in (0, TopicAlreadyExistsError.errno):
            raise TopicMissingError(f"cannot create {topic}: {for_code(code).__name__}")
        found = await self._n_partitions(topic)
        if found != partitions:
            raise PartitionsDifferError(
                f"{topic} has {found} partitions but {beside} has {partitions}; make them equal"
            )

    async def lag(self, partitions: Mapping[str, Iterable[int]]) -> int:
        """Messages not yet committed by the group on these partitions.

        Raises
        ------
        BrokerUnreachableError
        """
        wanted = [TopicPartition(topic, p) for topic, numbers in partitions.items() for p in numbers]
        if not wanted:
            return 0
        await self._connect()
        assert self._consumer is not None
        assert self._admin is not None
        try:
            ends = await self._consumer.end_offsets(wanted)
            begins = await self._consumer.beginning_offsets(wanted)
            committed = await self._admin.list_consumer_group_offsets(self._group, partitions=wanted)
        except (KafkaError, OSError) as error:
            await self.close()
            raise self._unreachable(error) from None
        return sum(max(0, ends[tp] - max(committed[tp].offset, begins[tp])) for tp in wanted)

    async def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        if consumer is not None:
            await consumer.stop()
        if admin is not None:
            await admin.close()

    async def _n_partitions(self, topic: str) -> int:
        assert self._admin is not None
        (described,) = await self._admin.describe_topics([topic])
        return len(described["partitions"])

    async def _connect(self) -> None:
        if self._consumer is not None:
            return
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, group_id=None, request_timeout_ms=_TIMEOUT_MS
        )
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=_TIMEOUT_MS)
        try:
            await self._consumer.start()
            await self._admin.start()
        except (KafkaError, OSError) as error:
            await self.close()
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> BrokerUnreachableError:
        return BrokerUnreachableError(f"no Kafka at {self._bootstrap} ({type(error).__name__})")
