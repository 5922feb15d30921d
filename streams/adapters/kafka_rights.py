"""Asking Kafka what we may do, before it is tried: an operator learns of every missing right at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    TopicAuthorizationFailedError,
)

from schemas.errors import ConfigurationError
from streams.access import KafkaAccess
from streams.adapters.kafka_rights_wire import GroupRightsRequest, TopicRightsRequest
from streams.rights import KafkaRight, Operation

#: Kafka's numbers of operations; bit n of an answer about rights is that of number n.
NUMBERS: Final[Mapping[Operation, int]] = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}

#: What a broker answers that does not tell.
_UNTOLD: Final = -(2**31)


class RightMissingError(ConfigurationError):
    """Kafka knows us and does not let us do what we are here for."""

    code = "RIGHT_MISSING"


async def require_rights(
    admin: AIOKafkaAdminClient, access: KafkaAccess, rights: Sequence[KafkaRight]
) -> None:
    """Return when Kafka grants all rights, or does not tell; a topic that is not there is not asked about.

    Over plain text nothing is asked: Kafka does not know who we are.

    Raises
    ------
    RightMissingError
        Names every missing right and the command that grants it.
    KafkaError
        When Kafka does not answer.
    """
    if access.security == "PLAINTEXT":
        return
    missing = await missing_rights(admin, rights)
    if missing:
        raise RightMissingError(describe_missing(missing, access))


async def missing_rights(admin: AIOKafkaAdminClient, rights: Sequence[KafkaRight]) -> tuple[KafkaRight, ...]:
    """List those of the rights that Kafka does not grant, in their order.

    Raises
    ------
    KafkaError
        When Kafka does not answer.
    """
    topics = sorted({right.name for right in rights if right.kind == "topic"})
    try:
        granted = await _topic_answers(admin, topics)
        for group in {right.name for right in rights if right.kind == "group"}:
            granted["group", group] = await _group_answer(admin, group)
    except (IncompatibleBrokerVersion, NotImplementedError):
        return ()
    return tuple(
        right
        for right in rights
        if (told := granted.get((right.kind, right.name))) is not None
        and not told & 1 << NUMBERS[right.operation]
    )


def describe_missing(missing: Iterable[KafkaRight], access: KafkaAccess) -> str:
    """One line: what is missing for whom, and how it is granted."""
    principal = access.principal
    begin = f'kafka-acls --bootstrap-server {access} --add --allow-principal "{principal}"'
    return "; ".join(
        f"no right to {right} for {principal}: grant it with {begin} {right.options()}" for right in missing
    )


async def _topic_answers(admin: AIOKafkaAdminClient, topics: list[str]) -> dict[tuple[str, str], int | None]:
    if not topics:
        return {}
    answer = (await admin._send_request(TopicRightsRequest(topics))).to_object()
    told: dict[tuple[str, str], int | None] = {
        ("topic", topic["topic"]): _told(
            topic["error_code"], topic["authorized_operations"], TopicAuthorizationFailedError.errno
        )
        for topic in answer["topics"]
    }
    told["cluster", "kafka-cluster"] = _told(0, answer["authorized_operations"], 0)
    return told


async def _group_answer(admin: AIOKafkaAdminClient, group: str) -> int | None:
    try:
        node = await admin.find_coordinator(group)
        answer = await admin._send_request(GroupRightsRequest(group), node)
    except GroupAuthorizationFailedError:
        return 0
    (described,) = answer.to_object()["groups"]
    return _told(
        described["error_code"], described["authorized_operations"], GroupAuthorizationFailedError.errno
    )


def _told(error_code: int, operations: int, refused: int) -> int | None:
    """Operations as Kafka's bits; None when it does not tell, as of a topic that is not there."""
    if error_code and error_code == refused:
        return 0
    return None if error_code or operations == _UNTOLD else operations
