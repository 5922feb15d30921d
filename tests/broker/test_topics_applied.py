"""Topics are made once, on either broker, with what the flow needs."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ops.services import RunningBroker
from ops.topic_diff import compare_topics, found_topics
from ops.topics import (
    BrokerUnreachableError,
    TopicError,
    TopicSpec,
    apply_topics,
    create_topics,
    topic_specs,
)
from streams.topology import (
    ALERT_STATE,
    ALL_ROUTES,
    ECG_ALERT,
    ECG_FEATURIZED,
    ECG_RECORDED,
    ECG_RISK,
    TOPICS,
    Route,
    dead_letter_topic,
)

#: Values as large as a topic takes, less the 100 bytes of a record batch around them.
MOST_BYTES = {
    spec.name: int(spec.configuration["max.message.bytes"]) - 100
    for spec in topic_specs(1)
    if spec.name in TOPICS
}


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, max_request_size=9 * 2**20, enable_idempotence=False
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def test_each_topic_of_the_flow_has_a_dead_letter_topic_with_as_many_partitions() -> None:
    specs = {spec.name: spec for spec in topic_specs(6, replication=3)}
    assert set(TOPICS) <= set(specs)
    for topic in (ECG_RECORDED, ECG_RISK, ECG_ALERT):
        assert dead_letter_topic(topic) in specs
    assert {spec.partitions for spec in specs.values()} == {6}
    assert {spec.configuration["min.insync.replicas"] for spec in specs.values()} == {"2"}


def test_one_replica_can_acknowledge_alone() -> None:
    assert {spec.configuration["min.insync.replicas"] for spec in topic_specs(1)} == {"1"}


def test_risk_and_audit_are_never_deleted() -> None:
    kept = {s.name for s in topic_specs(1) if s.configuration.get("retention.ms") == "-1"}
    assert kept == {"ecg.risk.v1", "ecg.alert.v1", "care.audit.v1", "ecg.quarantine.v1"}


def test_the_state_of_alerts_is_compacted_and_never_deleted_by_age() -> None:
    (state,) = (s for s in topic_specs(4, replication=3) if s.name == ALERT_STATE)
    assert dict(state.configuration) == {"cleanup.policy": "compact", "min.insync.replicas": "2"}
    assert state.partitions == 4


@pytest.mark.parametrize("route", ALL_ROUTES.values(), ids=lambda route: route.stage)
def test_every_topic_a_worker_asks_for_is_among_them(route: Route) -> None:
    asked = {route.consumes, route.dead_letters, route.produces, route.remembers}
    assert asked - {None} <= {spec.name for spec in topic_specs(1)}


async def test_applying_twice_changes_nothing(broker: RunningBroker) -> None:
    expected = tuple(spec.name for spec in topic_specs(4))
    first = await apply_topics(broker.bootstrap, partitions=4)
    second = await apply_topics(broker.bootstrap, partitions=4)
    assert set(first.created) | set(first.existing) == set(expected)
    assert not set(first.created) & set(first.existing)
    assert second.created == ()
    assert second.existing == expected


async def test_two_processes_applying_at_once_make_each_topic_once(own_apache_broker: RunningBroker) -> None:
    applying = (apply_topics(own_apache_broker.bootstrap, partitions=4) for _ in range(2))
    one, other = await asyncio.gather(*applying)
    assert sorted(one.created + other.created) == sorted(spec.name for spec in topic_specs(4))


async def test_topics_with_another_number_of_partitions_are_refused(
    broker: RunningBroker,
) -> None:
    await apply_topics(broker.bootstrap, partitions=4)
    with pytest.raises(TopicError, match=r"needs 5 partitions.*has 4.*DIASTOLE_PARTITIONS"):
        await apply_topics(broker.bootstrap, partitions=5)


async def test_a_recording_of_eight_megabytes_fits(broker: RunningBroker) -> None:
    await apply_topics(broker.bootstrap, partitions=4)
    async with producing(broker.bootstrap) as producer:
        sent = await producer.send_and_wait(ECG_RECORDED, bytes(MOST_BYTES[ECG_RECORDED]), partition=3)
    assert sent.offset >= 0


@pytest.mark.parametrize("topic", [ECG_RECORDED, ECG_FEATURIZED, ECG_RISK, ECG_ALERT])
async def test_whatever_fits_a_topic_fits_its_dead_letters_with_headers_more(
    broker: RunningBroker, topic: str
) -> None:
    await apply_topics(broker.bootstrap, partitions=4)
    headers = [("dlq_error_message", b"x" * 60_000)]
    async with producing(broker.bootstrap) as producer:
        sent = await producer.send_and_wait(
            dead_letter_topic(topic), bytes(MOST_BYTES[topic]), partition=3, headers=headers
        )
    assert sent.offset >= 0


async def test_apache_kafka_holds_the_topic_settings(apache_broker: RunningBroker) -> None:
    await apply_topics(apache_broker.bootstrap, partitions=4)
    admin = AIOKafkaAdminClient(bootstrap_servers=apache_broker.bootstrap)
    await admin.start()
    try:
        for spec in topic_specs(4):
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name)])
            entries = {entry[0]: entry[1] for resource in answer.resources for entry in resource[4]}
            assert {name: entries[name] for name in spec.configuration} == dict(spec.configuration)
    finally:
        await admin.close()


async def test_an_unreachable_broker_is_a_retriable_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        with pytest.raises(BrokerUnreachableError, match="no broker answers"):
            await apply_topics(f"127.0.0.1:{taken.getsockname()[1]}", partitions=1)


async def test_a_refused_topic_is_named_with_the_reason(apache_broker: RunningBroker) -> None:
    too_many = TopicSpec(name=f"refused-{uuid.uuid4()}", partitions=1, replication=3)
    admin = AIOKafkaAdminClient(bootstrap_servers=apache_broker.bootstrap)
    await admin.start()
    try:
        with pytest.raises(TopicError, match=rf"refused topic {too_many.name}: .*[Rr]eplication"):
            await create_topics(admin, [too_many])
    finally:
        await admin.close()


async def test_settings_that_differ_are_set_right_and_what_a_site_set_stays(
    own_apache_broker: RunningBroker,
) -> None:
    (spec,) = (each for each in topic_specs(2) if each.name == ECG_RISK)
    theirs = {**spec.configuration, "retention.ms": "5000", "segment.bytes": "2000000"}
    admin = AIOKafkaAdminClient(bootstrap_servers=own_apache_broker.bootstrap)
    await admin.start()
    try:
        await create_topics(admin, [replace(spec, configuration=theirs)])
        (before,) = await compare_topics(own_apache_broker.bootstrap, [spec], alter=True)
        assert before.says == "ecg.risk.v1: retention.ms is 5000, should be -1"
        async with asyncio.timeout(30):
            while await compare_topics(own_apache_broker.bootstrap, [spec], alter=False):
                pass  # a broker hears of it a moment after the controller
        after = (await found_topics(admin, [ECG_RISK]))[ECG_RISK].configuration
        assert (after["retention.ms"], after["segment.bytes"]) == ("-1", "2000000")
    finally:
        await admin.close()


async def test_topics_just_applied_are_as_they_should_be(broker: RunningBroker) -> None:
    await apply_topics(broker.bootstrap, partitions=4)
    assert await compare_topics(broker.bootstrap, topic_specs(4), alter=False) == ()
