"""Every kind of fault the harness can make, by name; one file each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.broker_disk_full import BrokerDiskFull
from ops.chaos.faults.broker_down import BrokerDown
from ops.chaos.faults.broker_slow import BrokerHangs, BrokerSlow
from ops.chaos.faults.clock_jump import ClockJump
from ops.chaos.faults.fault import Fault
from ops.chaos.faults.network import NetworkCut, NetworkDelay, NetworkStall
from ops.chaos.faults.new_bundle import NewBundle
from ops.chaos.faults.rebalance import Rebalance
from ops.chaos.faults.redeploy import Redeploy
from ops.chaos.faults.redis_down import RedisFlush, RedisHangs, RedisKill
from ops.chaos.faults.redis_refuses import NO_REPLICAS, OUT_OF_MEMORY, READ_ONLY
from ops.chaos.faults.registry_down import RegistryDown
from ops.chaos.faults.sigkill import Sigkill
from ops.chaos.faults.sigstop import Sigstop
from ops.chaos.faults.worker_disk_full import WorkerDiskFull

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster

__all__ = ["FAULTS", "Fault", "available", "unavailable"]

_ALL: Final[tuple[Fault, ...]] = (
    Sigkill(kind="sigkill", whole_stage=False),
    Sigkill(kind="sigkill-stage", whole_stage=True),
    Sigstop(),
    WorkerDiskFull(),
    ClockJump(),
    Rebalance(),
    Redeploy(),
    NewBundle(),
    BrokerDown(kind="broker-kill", orderly=False),
    BrokerDown(kind="broker-restart", orderly=True),
    BrokerDiskFull(),
    BrokerSlow(),
    BrokerHangs(),
    NetworkCut(kind="kafka-cut", part="kafka"),
    NetworkStall(kind="kafka-stall", part="kafka"),
    NetworkDelay(kind="kafka-delay", part="kafka"),
    RedisKill(),
    RedisFlush(),
    RedisHangs(),
    OUT_OF_MEMORY,
    READ_ONLY,
    NO_REPLICAS,
    NetworkCut(kind="redis-cut", part="redis"),
    NetworkStall(kind="redis-stall", part="redis"),
    NetworkDelay(kind="redis-delay", part="redis"),
    RegistryDown(),
)

#: Every kind by name.
FAULTS: Final[Mapping[str, Fault]] = {fault.kind: fault for fault in _ALL}


def available(cluster: "Cluster") -> tuple[str, ...]:
    """Name the kinds that this machine can do to this cluster, in the order of :data:`FAULTS`."""
    reasons = unavailable(cluster)
    return tuple(kind for kind in FAULTS if kind not in reasons)


def unavailable(cluster: "Cluster") -> dict[str, str]:
    """Name the kinds that cannot be done here, each with the reason in one line."""
    reasons = {kind: fault.obstacle(cluster) for kind, fault in FAULTS.items()}
    return {kind: reason for kind, reason in reasons.items() if reason is not None}
