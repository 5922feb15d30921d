"""What a process's health means and what to do about it, in one sentence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streams.health import Health

#: What to do about what a process waits for, by the code of the error; it goes on by itself after that.
_HELD_UP: Final[Mapping[str, str]] = {
    "BROKER_UNREACHABLE": "no Kafka answers: start it, or set DIASTOLE_BROKER",
    "BROKER_UNAVAILABLE": "Kafka does not take records: start it, or see to its disks and in-sync replicas",
    "KAFKA_UNAVAILABLE": "Kafka does not take records: start it, or see to its disks and in-sync replicas",
    "TOPIC_MISSING": "a topic is missing: run `diastole topics apply`",
    "TOPIC_BEHIND": "what Kafka holds is not read yet: see whether Kafka answers",
    "HISTORY_UNAVAILABLE": "Redis does not serve: start it, or see to its memory; alerts go on without it",
    "WAVEFORMS_UNAVAILABLE": "Redis does not serve: start it, or see to its memory; alerts go on without it",
    "REGISTRY_UNAVAILABLE": "the schema registry does not answer: start it, or set DIASTOLE_REGISTRY_URL",
}


def advice(health: "Health") -> str:
    """Say why a process is not ready and what to do; of one that is, that there is nothing to do."""
    if health.stalled:
        return (
            f"has held {health.in_flight} records for {health.idle_s:.0f} s and finished none: it ends and "
            "its supervisor starts it anew; if that does not help, see its log, its device and its disk"
        )
    if health.held_up_by is not None:
        known = _HELD_UP.get(health.held_up_by)
        return f"waits, and goes on by itself: {known or f'{health.held_up_by}, of which its log says more'}"
    if not health.assigned:
        return "starts, or waits for its partitions: if that takes more than two minutes, see its log"
    if health.behind:
        return (
            f"records wait {health.wait_s:.0f} s: start another worker of this stage (as many as there are "
            "partitions share the work), or see why this one is slow (`diastole_work_seconds`)"
        )
    return "; ".join(health.ill) or "nothing to do"
