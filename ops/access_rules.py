"""Who may do what at Kafka and Redis: one table of every part, and the lines that grant it.

The names of users are those of the parts; a site with other names gives them where it grants the rights.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ops.topics import topic_specs
from streams.rights import (
    HISTORY_WRITES,
    PAGE_READS,
    STAGE_REDIS_RIGHTS,
    KafkaRight,
    Operation,
    RedisRights,
    route_rights,
    topic_right,
)
from streams.topology import (
    ALL_ROUTES,
    CARE_AUDIT,
    ECG_ALERT,
    ECG_QUARANTINE,
    ECG_QUARANTINE_CONTENT,
    ECG_RECORDED,
    FEED_HEALTH,
    PATIENT_LINK,
)

#: Consumer group by which several delivery services share the alerts.
DELIVER_GROUP: Final = "diastole-deliver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process with a user of its own, and the rights of that user.

    Attributes
    ----------
    does : str
        What the rights are for, in a few words.
    """

    name: str
    does: str
    kafka: tuple[KafkaRight, ...]
    redis: RedisRights | None = None


def access_rules() -> Mapping[str, Part]:
    """Table of all parts by name, in the order in which an ECG meets them; the operator comes last."""
    return {part.name: part for part in (*_feeds(), *_stages(), *_services(), _watch(), _operator())}


def _stages() -> Iterable[Part]:
    for name, route in ALL_ROUTES.items():
        yield Part(
            name=name,
            does=f"reads {route.consumes}, writes {route.produces or 'Redis'}",
            kafka=route_rights(route),
            redis=STAGE_REDIS_RIGHTS.get(name),
        )


def _feeds() -> Iterable[Part]:
    for kind in ("dicom", "folder", "http", "mllp"):
        merges = (topic_right(PATIENT_LINK, "Write"),) if kind == "mllp" else ()
        yield Part(
            name=f"feed-{kind}",
            does="publishes ECGs, quarantines, reports how its sources do" + (", merges" if merges else ""),
            kafka=(
                *_both(ECG_RECORDED),  # read to know repeats
                *_both(ECG_QUARANTINE),
                *_both(ECG_QUARANTINE_CONTENT),
                *_both(FEED_HEALTH),
                topic_right(ECG_ALERT, "Write"),  # a source that fell silent
                topic_right(PATIENT_LINK, "Read"),
                *merges,
            ),
        )


def _services() -> Iterable[Part]:
    yield Part(
        name="deliver",
        does="brings alerts to people, and notes it",
        kafka=(
            *_both(ECG_ALERT),  # written: alarms of channels that fail
            *_both(CARE_AUDIT),
            KafkaRight(kind="group", name=DELIVER_GROUP, operation="Read"),
        ),
    )
    yield Part(
        name="api",
        does="pages and read API, notes answers",
        kafka=(
            topic_right(ECG_ALERT, "Read"),
            *_both(CARE_AUDIT),
            topic_right(FEED_HEALTH, "Read"),
        ),
        redis=PAGE_READS,
    )


def _watch() -> Part:
    routes = ALL_ROUTES.values()
    return Part(
        name="watch",
        does="notices stages that stand still, raises alarms",
        kafka=(
            *(topic_right(topic, "Read") for topic in sorted({route.consumes for route in routes})),
            *(KafkaRight(kind="group", name=route.group, operation="Describe") for route in routes),
            *_both(ECG_ALERT),
        ),
    )


def _operator() -> Part:
    names = [spec.name for spec in topic_specs(1)]
    operations: tuple[Operation, ...] = ("Create", "Read", "Write", "DescribeConfigs", "AlterConfigs")
    return Part(
        name="operator",
        does="commands: topics, tail, publish, quarantine, dlq, history, doctor",
        kafka=(
            *(topic_right(name, operation) for name in names for operation in operations),
            *(
                KafkaRight(kind="group", name=group, operation="Describe")
                for group in (*(route.group for route in ALL_ROUTES.values()), DELIVER_GROUP)
            ),
        ),
        redis=RedisRights(keys=PAGE_READS.keys, commands=PAGE_READS.commands | HISTORY_WRITES.commands),
    )


def _both(topic: str) -> tuple[KafkaRight, KafkaRight]:
    return topic_right(topic, "Read"), topic_right(topic, "Write")
