"""Kafka's request to alter single settings of a topic (KIP-339), which ``aiokafka`` does not have yet.

Its ``alter_configs`` replaces all settings of a topic at once, and would reset what a site set by itself.
The client is not typed, so neither are the classes made from its own.
"""

from typing import Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

#: The operation that sets a value; others delete it, or add to and take from a list.
SET: Final = 0

_API_KEY: Final = 44


class IncrementalAlterConfigsResponse_v0(Response):  # type: ignore[misc]  # noqa: N801  # named as the client's
    """What became of each resource: error code, message, type, name."""

    API_KEY = _API_KEY
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class IncrementalAlterConfigsRequest_v0(RequestStruct):  # type: ignore[misc]  # noqa: N801
    """Resources with the settings to alter; what is not named stays."""

    API_KEY = _API_KEY
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse_v0
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("name", String("utf-8")),
                        ("operation", Int8),
                        ("config_value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class IncrementalAlterConfigsRequest(Request[IncrementalAlterConfigsRequest_v0]):  # type: ignore[misc]
    """Alter settings of topics.

    Parameters
    ----------
    resources : list of (int, str, list of (str, int, str))
        Type (2: topic), name, and of each setting its name, the operation, and the value.
    """

    API_KEY = _API_KEY

    def __init__(self, resources: list[tuple[int, str, list[tuple[str, int, str]]]]) -> None:
        self._resources = resources

    def build(
        self, request_struct_class: type[IncrementalAlterConfigsRequest_v0]
    ) -> IncrementalAlterConfigsRequest_v0:
        """Build the request for the version the broker speaks."""
        return request_struct_class(self._resources, False)
