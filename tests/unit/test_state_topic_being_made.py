"""A topic that is being made has no partitions for a moment; that is waited for, not refused for good."""

from typing import Any

import pytest

from streams.adapters.kafka_probe import KafkaProbe, PartitionsDifferError, TopicMissingError


class Described(KafkaProbe):
    """A probe whose Kafka describes topics as given: name to number of partitions."""

    def __init__(self, **numbers: int) -> None:
        super().__init__("nowhere:1", "nobody")
        self._clients = self  # type: ignore[assignment]
        self.admin, self.numbers = self, numbers

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        return [{"topic": topic, "partitions": [0] * self.numbers[topic]} for topic in topics]


async def test_partitions_not_known_yet_are_waited_for() -> None:
    with pytest.raises(TopicMissingError):
        await Described(state=0, given=4).require_equal_partitions("state", beside="given")


async def test_other_partitions_are_refused_and_equal_ones_accepted() -> None:
    with pytest.raises(PartitionsDifferError, match="state has 3 partitions but given has 4"):
        await Described(state=3, given=4).require_equal_partitions("state", beside="given")
    await Described(state=4, given=4).require_equal_partitions("state", beside="given")
