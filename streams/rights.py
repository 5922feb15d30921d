"""Which rights at Kafka and Redis each stage needs, derived from the topology: no more than these."""

from dataclasses import dataclass
from typing import Final, Literal

from streams.topology import LINK_ROUTE, PATIENT_LINK, WAVEFORM_ROUTE, Route

#: As ``kafka-acls`` names them.
Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs", "AlterConfigs"]
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
    if route.stage == "history":
        rights.append(topic_right(PATIENT_LINK, "Read"))  # when it fills a Redis that lost everything
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisRights:
    """Keys, as Redis's patterns have them, and the commands to run on them, those of our scripts included.

    Redis asks for the right to each command of a script, not only for that to run scripts.
    """

    keys: tuple[str, ...]
    commands: frozenset[str]

    @property
    def rules(self) -> tuple[str, ...]:
        """As an ACL has them, from nothing up."""
        granted = sorted(command.lower() for command in (*_ANY_SCRIPT, *self.commands))
        return (
            "resetkeys",
            *(f"~{key}" for key in self.keys),
            "resetchannels",
            "-@all",
            *(f"+{command}" for command in granted),
        )


#: What it takes to connect, to find out whether it is a cluster and how it is laid out, and to run scripts.
_ANY_SCRIPT: Final = ("HELLO", "PING", "EVALSHA", "SCRIPT|LOAD", "CLUSTER|SLOTS", "COMMAND")

_HISTORY_KEYS: Final = ("diastole:history:*", "diastole:ward:*", "diastole:wards")
_STRIP_KEYS: Final = ("diastole:strips:*", "diastole:strip:*")

#: Points, links and ward lists, read; and the lists put right where a reader finds them wrong.
_HISTORY_READS: Final = frozenset(
    {"EXPIRE", "HDEL", "HGET", "HSET", "SADD", "SMEMBERS", "SREM", "TIME", "ZADD", "ZCARD", "ZRANGE"}
    | {"ZRANGEBYLEX", "ZRANGEBYSCORE", "ZREM", "ZREMRANGEBYSCORE", "ZREVRANGE", "ZSCORE"}
)

#: The marks that tell whether Redis lost something are written too, and name the server's start.
HISTORY_WRITES: Final = RedisRights(
    keys=_HISTORY_KEYS, commands=_HISTORY_READS - {"ZSCORE"} | {"DEL", "GET", "INFO", "PEXPIRE", "SET"}
)

WAVEFORM_WRITES: Final = RedisRights(
    keys=_STRIP_KEYS,
    commands=frozenset({"EXPIRE", "HDEL", "HSET", "SET", "ZADD", "ZCARD", "ZRANGE", "ZRANGEBYSCORE", "ZREM"}),
)

#: Who shows histories, wards and strips, and writes neither points nor strips.
PAGE_READS: Final = RedisRights(keys=(*_HISTORY_KEYS, *_STRIP_KEYS), commands=_HISTORY_READS | {"GET"})

#: Of the stages that keep their results in Redis.
STAGE_REDIS_RIGHTS: Final = {
    "history": HISTORY_WRITES,
    LINK_ROUTE.stage: HISTORY_WRITES,
    WAVEFORM_ROUTE.stage: WAVEFORM_WRITES,
}
