"""Which topics are not as they should be, and what of it can be set right."""

from ops.topic_diff import FoundTopic, differences
from ops.topics import TopicSpec

SPEC = TopicSpec(
    name="ecg.risk.v1",
    partitions=4,
    replication=3,
    configuration={"retention.ms": "-1", "min.insync.replicas": "2"},
)


def found(partitions: int = 4, replication: int = 3, **settings: str) -> dict[str, FoundTopic]:
    told = {"retention.ms": "-1", "min.insync.replicas": "2", "segment.bytes": "7"}
    told |= {name.replace("_", "."): text for name, text in settings.items()}
    topic = FoundTopic(name=SPEC.name, partitions=partitions, replication=replication, configuration=told)
    return {SPEC.name: topic}


def said(topics: dict[str, FoundTopic], *, with_replication: bool = True) -> list[tuple[str, bool]]:
    compared = differences([SPEC], topics, with_replication=with_replication)
    return [(each.says, each.can_be_altered) for each in compared]


def test_a_topic_as_it_should_be_has_no_difference_whatever_else_a_site_set() -> None:
    assert said(found()) == []


def test_a_missing_topic_is_named() -> None:
    assert said({}) == [("ecg.risk.v1 is missing", False)]


def test_a_setting_that_differs_can_be_altered() -> None:
    assert said(found(retention_ms="5")) == [("ecg.risk.v1: retention.ms is 5, should be -1", True)]


def test_other_partitions_are_told_with_what_they_would_move_and_not_altered() -> None:
    for partitions in (3, 5):
        ((says, can_be_altered),) = said(found(partitions=partitions))
        assert f"partitions is {partitions}, should be 4" in says
        assert "keys move" in says
        assert not can_be_altered


def test_copies_are_judged_by_whoever_says_how_many_are_meant() -> None:
    topics = found(replication=1, min_insync_replicas="1")
    assert [says.split(",")[0] for says, _ in said(topics)] == [
        "ecg.risk.v1: replication is 1",
        "ecg.risk.v1: min.insync.replicas is 1",
    ]
    assert said(topics, with_replication=False) == []


def test_more_copies_than_wanted_are_well() -> None:
    assert said(found(replication=5)) == []


def test_settings_that_the_broker_does_not_tell_are_not_judged() -> None:
    assert said({SPEC.name: FoundTopic(name=SPEC.name, partitions=4, replication=3, configuration={})}) == []
