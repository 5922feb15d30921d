"""Asking Kafka what we may do, before it is tried: an operator learns of every missing right at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from schemas.errors import ConfigurationError
from streams.access import KafkaAccess
from streams.rights import KafkaRight, Operation

#: Kafka's numbers of operations; bit n of an answer is that of number n.
_NUMBER: Final[Mapping[Operation, int]] = {
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


class _TopicRightsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    # Metadata, version 8: the first that tells what the asker may do; aiokafka knows it up to 5.
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _TopicRightsRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _TopicRightsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _TopicRightsRequest(Request[_TopicRightsRequestStruct]):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    _CLASSES: ClassVar[Any] = (_TopicRightsRequestStruct,)

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_TopicRightsRequestStruct]) -> _TopicRightsRequestStruct:
        return request_struct_class(self._topics, False, True, True)


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
        and not told & 1 << _NUMBER[right.operation]
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
    answer = (await admin._send_request(_TopicRightsRequest(topics))).to_object()
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
        (answer,) = await admin.describe_consumer_groups([group], include_authorized_operations=True)
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
