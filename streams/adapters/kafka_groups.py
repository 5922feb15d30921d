"""What Kafka says of several consumer groups: what each has committed, what waits, who is in it.

It joins none of them and commits nothing. Rights it needs: to describe the groups, to read their topics.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from streams.access import Broker, client_options
from streams.adapters.kafka_probe import BrokerUnreachableError
from streams.kafka_time import instant_of
from streams.topology import Route
from streams.watch.offsets import GroupLook, Offsets

#: Kafka that does not answer within this is not there, s: a watch that waits longer is late itself.
_WITHIN_S: Final = 6.0

_FETCH_MS: Final = 500

#: One batch is enough to see whether a record waits; Kafka gives the first whole, however large.
_FETCH_BYTES: Final = 1

#: What Kafka calls a group that has shared its partitions out.
_SETTLED: Final = "Stable"


class GroupsProbe:
    """Looks at the groups of several stages over one connection."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._opened: AsyncExitStack | None = None
        self._consumer: Any = None
        self._admin: Any = None
        self._ends: dict[TopicPartition, int] = {}

    async def look(self, routes: Iterable[Route], now: datetime) -> dict[str, GroupLook]:
        """Look at each stage's group once; a stage whose topic is not there is left out.

        Raises
        ------
        BrokerUnreachableError
            When Kafka does not say within 6 s.
        """
        try:
            async with asyncio.timeout(_WITHIN_S):
                if self._opened is None:
                    await self._connect()
                return await self._look(tuple(routes), now)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise BrokerUnreachableError(f"no Kafka at {self._broker} ({type(error).__name__})") from None

    async def close(self) -> None:
        """Close the connections; the next look opens new ones."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    async def _connect(self) -> None:
        request_ms = int(_WITHIN_S * 1000)
        async with AsyncExitStack() as opened:
            self._consumer = AIOKafkaConsumer(
                **client_options(self._broker),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                request_timeout_ms=request_ms,
                max_partition_fetch_bytes=_FETCH_BYTES,
            )
            opened.push_async_callback(self._consumer.stop)
            await self._consumer.start()
            self._admin = AIOKafkaAdminClient(**client_options(self._broker), request_timeout_ms=request_ms)
            opened.push_async_callback(self._admin.close)
            await self._admin.start()
            self._opened = opened.pop_all()

    async def _look(self, routes: tuple[Route, ...], now: datetime) -> dict[str, GroupLook]:
        partitions = await self._partitions(route.consumes for route in routes)
        members = await self._members(routes)
        offsets = {route: await self._offsets(route, partitions[route.consumes]) for route in routes}
        # What was unread at the look before too, and so is worth a fetch.
        old = {
            (route, at): each.committed
            for route, known in offsets.items()
            for at, each in known.items()
            if each.committed < min(each.end, self._ends.get(at, 0))
        }
        self._ends = {at: each.end for known in offsets.values() for at, each in known.items()}
        looks = {}
        for route, known in offsets.items():
            if not known:
                continue
            wanted = {at: position for (of, at), position in old.items() if of is route}
            waits_s = await self._waits_s(wanted, known, now) if wanted else []
            n_members, is_settled = members.get(route.group, (None, True))
            looks[route.stage] = GroupLook(
                offsets={at.partition: each for at, each in known.items()},
                n_members=n_members,
                is_settled=is_settled,
                wait_s=max(waits_s, default=0.0),
            )
        return looks

    async def _partitions(self, topics: Iterable[str]) -> Mapping[str, list[TopicPartition]]:
        described = await self._admin.describe_topics(sorted(set(topics)))
        return {
            entry["topic"]: [
                TopicPartition(entry["topic"], each["partition"]) for each in entry["partitions"]
            ]
            for entry in described
        }

    async def _members(self, routes: Iterable[Route]) -> dict[str, tuple[int | None, bool]]:
        try:
            # One by one: of several the client misreads all but the first (it takes an answer of version 3
            # for one of version 2, which is 4 bytes a group shorter).
            answers = [
                answer
                for route in routes
                for answer in await self._admin.describe_consumer_groups([route.group])
            ]
        except (KafkaError, NotImplementedError):
            # The embedded broker does not tell; what moves is seen all the same.
            return {}
        # A group is (error code, name, state, protocol type, protocol, members, …).
        return {
            name: (len(members), state == _SETTLED)
            for answer in answers
            for code, name, state, _, _, members, *_ in answer.groups
            if not code
        }

    async def _offsets(self, route: Route, partitions: list[TopicPartition]) -> dict[TopicPartition, Offsets]:
        if not partitions:
            return {}
        ends = await self._consumer.end_offsets(partitions)
        begins = await self._consumer.beginning_offsets(partitions)
        committed = await self._admin.list_consumer_group_offsets(route.group, partitions=partitions)
        if not committed.keys() >= set(partitions):
            # The client hands back nothing where the coordinator says that it is still reading the offsets.
            raise GroupCoordinatorNotAvailableError
        found = {}
        for at in partitions:
            begin = max(committed[at].offset, begins[at])
            found[at] = Offsets(committed=begin, end=max(ends[at], begin))
        return found

    async def _waits_s(
        self, wanted: Mapping[TopicPartition, int], known: dict[TopicPartition, Offsets], now: datetime
    ) -> list[float]:
        """Fetch the oldest unread record of each partition; one that holds only markers is read to its end.

        Transactions leave markers behind, which take an offset that no group commits.
        """
        self._consumer.assign(list(wanted))
        waits_s = []
        try:
            for at, position in wanted.items():
                self._consumer.seek(at, position)
            for at in wanted:
                records = (await self._consumer.getmany(at, timeout_ms=_FETCH_MS, max_records=1)).get(at, [])
                if records:
                    waits_s.append(max(0.0, (now - instant_of(records[0].timestamp)).total_seconds()))
                elif await self._consumer.position(at) >= known[at].end:
                    known[at] = Offsets(committed=known[at].end, end=known[at].end)
        finally:
            self._consumer.unsubscribe()
        return waits_s
