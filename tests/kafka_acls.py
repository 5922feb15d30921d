"""Granting and taking rights at Kafka by its own protocol: milliseconds, where its tool takes two seconds."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from streams.adapters.kafka_rights import NUMBERS, missing_rights
from streams.rights import KafkaRight

#: Kafka's numbers: kinds of resources, a full name, an allowance.
_KINDS = {"topic": 2, "group": 3, "cluster": 4}
_LITERAL = 3
_ALLOW = 3


async def grant(admin: AIOKafkaAdminClient, principal: str, rights: Iterable[KafkaRight]) -> None:
    """Grant rights; granting again changes nothing."""
    asked = [CreateAclsRequest(*_rule(principal, right)) for right in rights]
    for answer in await asyncio.gather(*map(admin._send_to_controller, asked)):
        [(code, message)] = answer.creation_responses
        assert code == 0, message


async def take(admin: AIOKafkaAdminClient, principal: str, rights: Iterable[KafkaRight]) -> None:
    """Take rights away; each must have been there."""
    asked = [DeleteAclsRequest(*_rule(principal, right)) for right in rights]
    for answer in await asyncio.gather(*map(admin._send_to_controller, asked)):
        [(code, message, matching)] = answer.filter_responses
        assert (code, len(matching)) == (0, 1), message


@asynccontextmanager
async def taken(admin: AIOKafkaAdminClient, principal: str, *rights: KafkaRight) -> AsyncIterator[None]:
    """Take rights away while the context lasts."""
    await take(admin, principal, rights)
    try:
        yield
    finally:
        await grant(admin, principal, rights)


async def until_missing(
    asking: AIOKafkaAdminClient, rights: tuple[KafkaRight, ...], *expected: KafkaRight
) -> None:
    """Wait until Kafka, asked by whom it is about, denies just these: a rule reaches brokers within ms."""
    async with asyncio.timeout(10):
        while True:
            if await missing_rights(asking, rights) == expected:
                return


def _rule(principal: str, right: KafkaRight) -> tuple[Any, ...]:
    return (
        _KINDS[right.kind],
        right.name,
        _LITERAL,
        principal,
        "*",
        NUMBERS[right.operation],
        _ALLOW,
    )
