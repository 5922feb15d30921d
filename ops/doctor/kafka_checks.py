"""Judgements of Kafka: topics, those who read them, how old what lies there is, and what died."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from ops.cli.quarantine_tables import age_text
from ops.doctor.facts import Facts, GroupFacts, KafkaFacts, Missed
from ops.doctor.finding import Finding, failure, ok, warning
from ops.rendering import counted
from streams.topology import ECG_RECORDED, ROUTES

#: A stage that has left records waiting for longer is behind, s; it scores an ECG in well under one.
_BEHIND_S: Final = 60.0
_FAR_BEHIND_S: Final = 600.0

#: A record may be stamped so much in the future by a clock that is a little off, s.
_FUTURE_S: Final = 5.0

#: Without an ECG for so long a feed is worth a look, s: wards record some even at night.
_QUIET_S: Final = 6 * 3600.0

_MOST_SHOWN: Final = 5


def kafka_findings(facts: Facts) -> Iterator[Finding]:
    """Judge what the cluster tells."""
    kafka = facts.kafka
    if kafka is None:
        return
    if isinstance(kafka, Missed):
        do = "start it (diastole services up), or correct DIASTOLE_BROKER; meanwhile feeds and workers wait"
        yield failure("kafka", kafka.reason, do, is_configuration=kafka.is_configuration)
        return
    yield ok("kafka", f"{counted(kafka.n_brokers, 'broker')}, answers in {kafka.latency_ms:.0f} ms")
    yield from _topics(kafka)
    if kafka.n_topics and not kafka.groups:
        do = "run this again in some seconds: a cluster that was just started reads its offsets first"
        yield warning("stages", "Kafka does not tell yet who reads and how far", do)
    for stage, group in kafka.groups.items():
        yield _group(stage, group)
    yield from _newest(kafka, facts.now)
    yield _dead_letters(kafka)


def _topics(kafka: KafkaFacts) -> Iterator[Finding]:
    missing = [each for each in kafka.differences if not each.setting]
    if missing:
        names = ", ".join(each.topic for each in missing[:_MOST_SHOWN])
        more = f" and {len(missing) - _MOST_SHOWN} more" if len(missing) > _MOST_SHOWN else ""
        yield failure("topics", f"{names}{more} missing", "run: diastole topics apply")
    for each in kafka.differences:
        if each.setting and each.can_be_altered:
            do = "run: diastole topics apply --alter (topics diff shows first what it would do)"
            yield failure("topics", each.says, do)
        elif each.setting:
            found, _, do = each.says.partition("; ")
            yield failure("topics", found, do, is_configuration=True)
    if not kafka.differences:
        yield ok("topics", f"{kafka.n_topics} there, with partitions and settings as they should be")


def _group(stage: str, group: GroupFacts) -> Finding:
    check = f"stage {stage}"
    waits = f", the oldest for {group.wait_s:.0f} s" if group.wait_s else ""
    workers = "workers not told" if group.members is None else counted(group.members, "worker")
    said = f"{workers}, {counted(group.lag, 'message')} waiting{waits}"
    if group.members == 0:
        do = f"start one: diastole worker {stage}"
        return failure(check, said, do) if group.lag and stage in ROUTES else warning(check, said, do)
    if group.wait_s < _BEHIND_S:
        return ok(check, said)
    do = (
        f"see its /readyz and log for what holds it up; if nothing does, start another worker {stage} "
        "(up to as many as there are partitions)"
    )
    return failure(check, said, do) if group.wait_s > _FAR_BEHIND_S else warning(check, said, do)


def _newest(kafka: KafkaFacts, now: datetime) -> Iterator[Finding]:
    for topic, newest in kafka.newest.items():
        check = f"newest {topic}"
        if newest is None:
            yield ok(check, "none there yet")
        elif (newest - now).total_seconds() > _FUTURE_S:
            ahead_s = (newest - now).total_seconds()
            yield warning(
                check,
                f"is stamped {ahead_s:.0f} s in the future: its publisher's clock or ours is wrong",
                "set the clocks of all machines by one NTP server",
            )
        elif topic == ECG_RECORDED and (now - newest).total_seconds() > _QUIET_S:
            do = "if ECGs were recorded meanwhile, see what their feeds say: diastole alerts list, /feeds"
            yield warning(check, f"is {age_text(now - newest)} old", do)
        else:
            yield ok(check, f"is {age_text(now - newest)} old")


def _dead_letters(kafka: KafkaFacts) -> Finding:
    n_letters = sum(kafka.dead_letters.values())
    if not n_letters:
        return ok("dead letters", "none kept")
    where = ", ".join(f"{topic} {count}" for topic, count in kafka.dead_letters.items())
    do = "see what they are and what to do: diastole dlq list"
    return warning("dead letters", f"{counted(n_letters, 'dead letter')} kept ({where})", do)
