"""Which right at Kafka each part needs, derived from the topology: no more than these, and why each."""

from dataclasses import dataclass
from typing import Literal

from streams.topology import Route

#: As ``kafka-acls`` names them.
Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs"]
Kind = Literal["topic", "group", "cluster"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class KafkaRight:
    """One operation on one resource, by its full name: no wildcard, no prefix."""

    kind: Kind
    name: str
    operation: Operation

    def __str__(self) -> str:
        """As messages name it: ``Write on topic ecg.risk.v1``."""
        return f"{self.operation} on {self.kind} {self.name}"

    def options(self) -> str:
        """Write it as ``kafka-acls`` has it."""
        resource = "--cluster" if self.kind == "cluster" else f"--{self.kind} {self.name}"
        return f"--operation {self.operation} {resource}"


def route_rights(route: Route) -> tuple[KafkaRight, ...]:
    """List what a stage of this route needs.

    A right to read or write holds that to describe. An idempotent producer needs no right of its own: to
    write any topic is enough since Kafka 2.8.
    """
    rights = [
        topic_right(route.consumes, "Read"),
        KafkaRight(kind="group", name=route.group, operation="Read"),  # join it, commit its offsets
        topic_right(route.dead_letters, "Write"),
    ]
    if route.produces is not None:
        rights.append(topic_right(route.produces, "Write"))
    if route.remembers is not None:
        rights += [
            topic_right(route.remembers, "Read"),
            topic_right(route.remembers, "Write"),
            # To see that it is compacted: states of quiet patients would be deleted by age.
            topic_right(route.remembers, "DescribeConfigs"),
        ]
    return tuple(rights)


def topic_right(topic: str, operation: Operation) -> KafkaRight:
    """Right on one topic."""
    return KafkaRight(kind="topic", name=topic, operation=operation)
