"""Kafka's two questions whose answers say what the asker may do, as ``aiokafka`` does not have them.

The client is not typed, so neither are the classes made from its own.
"""

from typing import Any, ClassVar

from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String


class TopicRightsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """Metadata, version 8: the first that tells what the asker may do. ``aiokafka`` knows it up to 5."""

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


class TopicRightsRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    """Ask of topics by name, making none."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = TopicRightsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class TopicRightsRequest(Request[TopicRightsRequestStruct]):  # type: ignore[misc]  # aiokafka has no types
    """Ask what we may do with some topics, and with the cluster."""

    API_KEY = 3
    _CLASSES: ClassVar[Any] = (TopicRightsRequestStruct,)

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[TopicRightsRequestStruct]) -> TopicRightsRequestStruct:
        """Build it for the version agreed on."""
        return request_struct_class(self._topics, False, True, True)


class GroupRightsRequestStruct(DescribeGroupsRequest_v3):  # type: ignore[misc]  # aiokafka has no types
    """``aiokafka`` reads the answer to its own version 3 as of version 2, which ends before the rights."""

    RESPONSE_TYPE = DescribeGroupsResponse_v3


class GroupRightsRequest(Request[GroupRightsRequestStruct]):  # type: ignore[misc]  # aiokafka has no types
    """Ask what we may do with a group."""

    API_KEY = 15
    _CLASSES: ClassVar[Any] = (GroupRightsRequestStruct,)

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[GroupRightsRequestStruct]) -> GroupRightsRequestStruct:
        """Build it for the version agreed on."""
        return request_struct_class([self._group], True)
