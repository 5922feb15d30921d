"""Following the quarantine's records: none is passed over because a registry was away."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from quarantine_in_memory import NOW, MemoryQuarantine, delivery_of, dicom_of

from schemas.codec import Codec
from schemas.errors import RetriableError
from schemas.quarantine import EcgQuarantined
from schemas.registry import FileRegistry
from streams.feeds.quarantine.log import QuarantineLog
from streams.topology import ECG_QUARANTINE

AT = TopicPartition(ECG_QUARANTINE, 0)


class MemoryConsumer:
    """One partition in memory, as a consumer hands it out."""

    def __init__(self, values: list[bytes]) -> None:
        self._messages = [
            SimpleNamespace(value=value, headers=(), partition=0, offset=offset)
            for offset, value in enumerate(values)
        ]
        self._position = 0

    def assignment(self) -> set[TopicPartition]:
        return {AT}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self._messages))

    async def position(self, at: TopicPartition) -> int:
        return self._position

    async def getmany(self, *at: TopicPartition, **how: int) -> Mapping[TopicPartition, list[Any]]:
        fetched = self._messages[self._position :]
        self._position = len(self._messages)
        return {AT: fetched} if fetched else {}

    def highwater(self, at: TopicPartition) -> int:
        return len(self._messages)

    def seek(self, at: TopicPartition, offset: int) -> None:
        self._position = offset


class AwayAt(Codec):
    """Its registry is away when the nth record is decoded, once."""

    def __init__(self, nth: int) -> None:
        super().__init__(FileRegistry())
        self._left = nth

    def decode(self, *what: Any, **how: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise RetriableError("the registry does not answer; try again")
        return super().decode(*what, **how)


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_records_that_could_not_be_read_yet_are_read_later(nth: int) -> None:
    kept = MemoryQuarantine()
    names = {kept.keep(delivery_of(dicom_of(""), source=f"s{n}")) for n in range(3)}
    codec = AwayAt(nth)
    values = [codec.encode(cast(EcgQuarantined, record)) for record in kept.records]
    log = QuarantineLog(cast(Any, MemoryConsumer(values)), cast(Any, None), codec, lambda: NOW, 10.0)
    with pytest.raises(RetriableError, match="registry"):
        await log.catch_up()
    assert len(log.entries) == nth - 1
    await log.catch_up()
    assert set(log.entries) == names
