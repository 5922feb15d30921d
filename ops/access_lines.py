"""The table of rights as lines for Kafka's own tool, for Redis's ACL file, and for people."""

from collections.abc import Iterable, Mapping
from typing import Final

from ops.access_rules import Part
from streams.rights import KafkaRight, Operation

#: Replaced by the site; as it stands Redis takes it for a mistake, not for a password.
_HASH: Final = "#SHA256_OF_ITS_PASSWORD"


def kafka_acls(parts: Iterable[Part], server: str, config: str = "admin.properties") -> list[str]:
    """Write one ``kafka-acls`` command for each resource of each part; adding a rule again changes nothing.

    Parameters
    ----------
    config : str
        File with the credentials of whoever may grant rights; they are no words of a command.
    """
    begin = f"kafka-acls --bootstrap-server {server} --command-config {config} --add"
    return [
        f"{begin} --allow-principal User:{part.name} {' '.join(f'--operation {each}' for each in operations)}"
        f" {'--cluster' if kind == 'cluster' else f'--{kind} {name}'}"
        for part in parts
        for (kind, name), operations in _by_resource(part.kafka).items()
    ]


def redis_acl(parts: Iterable[Part]) -> list[str]:
    """Write a line of Redis's ACL file for each part that uses Redis.

    The hash of its password is left to the site: ``printf %s "$(cat FILE)" | sha256sum``.
    """
    return [
        f"user {part.name} on {_HASH} {' '.join(part.redis.rules)}"
        for part in parts
        if part.redis is not None
    ]


def rights_rows(parts: Iterable[Part]) -> list[tuple[str, str, str]]:
    """List part, operations and resource, one row for each resource."""
    rows = []
    for part in parts:
        for (kind, name), operations in _by_resource(part.kafka).items():
            rows.append((part.name, ", ".join(operations), f"{kind} {name}"))
        if part.redis is not None:
            commands = ", ".join(sorted(part.redis.commands))
            rows.append((part.name, commands, f"Redis {' '.join(part.redis.keys)}"))
    return rows


def _by_resource(rights: Iterable[KafkaRight]) -> Mapping[tuple[str, str], list[Operation]]:
    found: dict[tuple[str, str], list[Operation]] = {}
    for right in rights:
        operations = found.setdefault((right.kind, right.name), [])
        if right.operation not in operations:
            operations.append(right.operation)
    return found
