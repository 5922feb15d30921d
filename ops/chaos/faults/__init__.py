"""Every kind of fault the harness can make, by name; one file each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.fault import Fault

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster

__all__ = ["FAULTS", "Fault", "available", "unavailable"]

_ALL: Final[tuple[Fault, ...]] = ()

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
