"""Topics as they are beside topics as they should be, and setting right what can be set right."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, for_code

from ops.incremental_configs import SET, IncrementalAlterConfigsRequest
from ops.topics import BrokerUnreachableError, TopicError, TopicSpec
from streams.access import Broker, client_options

_TOPIC: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTopic:
    """One topic as the cluster has it.

    Attributes
    ----------
    replication : int
        Fewest copies of any partition.
    configuration : mapping
        Topic-level settings in force, by Kafka's names; empty where we may not look at them.
    """

    name: str
    partitions: int
    replication: int
    configuration: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing about one topic that is not as it should be.

    Attributes
    ----------
    setting : str
        Kafka's name of it; ``""`` when the topic is missing.
    found, wanted : str
        As Kafka writes them.
    can_be_altered : bool
        ``topics apply --alter`` sets it right.
    """

    topic: str
    setting: str
    found: str
    wanted: str
    can_be_altered: bool = False

    @property
    def says(self) -> str:
        """What is different, and what to do where ``--alter`` does not do it."""
        if not self.setting:
            return f"{self.topic} is missing"
        said = f"{self.topic}: {self.setting} is {self.found or 'not told'}, should be {self.wanted}"
        return said if self.can_be_altered else f"{said}; {_BY_HAND[self.setting]}"


PARTITIONS: Final = "partitions"
REPLICATION: Final = "replication"
_BY_HAND: Final = {
    PARTITIONS: (
        "it stays: with another number of partitions keys move, and a patient's earlier records and alert "
        "state would lie on another partition than the later ones. Set DIASTOLE_PARTITIONS to what the "
        "topics have, or move to new topics while nothing runs"
    ),
    REPLICATION: "it stays; change it with kafka-reassign-partitions",
}


def differences(
    specs: Iterable[TopicSpec], found: Mapping[str, FoundTopic], *, with_replication: bool = False
) -> tuple[Difference, ...]:
    """Compare, in the order of ``specs``.

    Parameters
    ----------
    with_replication : bool
        Also fewer copies than wanted, and what must follow from their number (``min.insync.replicas``).
        Without it, whoever looks does not know how many were meant.
    """
    return tuple(
        each
        for spec in specs
        for each in _of_one(spec, found.get(spec.name), with_replication=with_replication)
    )


def _of_one(spec: TopicSpec, topic: FoundTopic | None, *, with_replication: bool) -> Iterator[Difference]:
    if topic is None:
        yield Difference(topic=spec.name, setting="", found="", wanted="there")
        return
    counts = [(PARTITIONS, topic.partitions, spec.partitions, topic.partitions != spec.partitions)]
    if with_replication:
        too_few = topic.replication < spec.replication
        counts.append((REPLICATION, topic.replication, spec.replication, too_few))
    for setting, is_now, wanted, differs in counts:
        if differs:
            yield Difference(topic=spec.name, setting=setting, found=str(is_now), wanted=str(wanted))
    for setting, wanted_text in spec.configuration.items():
        is_told = topic.configuration.get(setting)
        is_judged = setting != "min.insync.replicas" or with_replication
        if is_judged and is_told is not None and is_told != wanted_text:
            yield Difference(
                topic=spec.name, setting=setting, found=is_told, wanted=wanted_text, can_be_altered=True
            )


async def found_topics(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, FoundTopic]:
    """Look up those of the named topics that exist.

    Raises
    ------
    KafkaError
        When the broker does not answer.
    """
    present = sorted(set(await admin.list_topics()) & set(names))
    if not present:
        return {}
    described: list[dict[str, Any]] = await admin.describe_topics(present)
    configurations = await _configurations(admin, present)
    return {
        topic["topic"]: FoundTopic(
            name=topic["topic"],
            partitions=len(topic["partitions"]),
            replication=min((len(each["replicas"]) for each in topic["partitions"]), default=0),
            configuration=configurations.get(topic["topic"], {}),
        )
        for topic in described
    }


async def _configurations(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    # A resource is (error code, message, type, name, entries), an entry (name, value, …).
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for code, _, _, name, entries in answer.resources
        if code == 0
    }


async def compare_topics(
    broker: Broker, specs: Sequence[TopicSpec], *, alter: bool
) -> tuple[Difference, ...]:
    """Compare the cluster's topics with what they should be; with ``alter`` set right what can be.

    Only settings that differ are written, each by itself: whatever else a site set stays. Altering again
    changes nothing. Partitions and copies are never changed.

    Returns
    -------
    tuple of Difference
        As found, before anything was altered.

    Raises
    ------
    BrokerUnreachableError
        When no broker answers.
    TopicError
        When the broker refuses an alteration, or has no way to take it.
    """
    admin = AIOKafkaAdminClient(**client_options(broker), client_id="diastole-topics")
    try:
        await admin.start()
        found = await found_topics(admin, [spec.name for spec in specs])
        compared = differences(specs, found, with_replication=True)
        if alter:
            await _alter(admin, [each for each in compared if each.can_be_altered])
    except TopicError:
        raise
    except KafkaError as error:
        raise BrokerUnreachableError(
            f"no broker answers at {broker} ({type(error).__name__}); check DIASTOLE_BROKER"
        ) from None
    finally:
        await admin.close()
    return compared


async def _alter(admin: AIOKafkaAdminClient, wanted: Sequence[Difference]) -> None:
    by_topic: dict[str, list[tuple[str, int, str]]] = {}
    for each in wanted:
        by_topic.setdefault(each.topic, []).append((each.setting, SET, each.wanted))
    if not by_topic:
        return
    request = IncrementalAlterConfigsRequest([(_TOPIC, name, entries) for name, entries in by_topic.items()])
    try:
        answer: Any = await admin._send_request(request)
    except (IncompatibleBrokerVersion, NotImplementedError):
        raise TopicError(
            "this broker cannot alter one setting of a topic; use its own tool with what topics diff says"
        ) from None
    for code, message, _, name in answer.resources:
        if code:
            raise TopicError(f"the broker refused to alter {name}: {message or for_code(code).__name__}")
