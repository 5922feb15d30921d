"""What runs in a cluster, in one table: each process with what it needs and how it grows."""

from dataclasses import dataclass
from typing import Final

from streams.topology import ALL_ROUTES, LINK_ROUTE, SILENT_ROUTE, WAVEFORM_ROUTE, Route

#: Partitions of every topic in a cluster, and so the most workers of a stage that have work. 24 divides by
#: 2, 3, 4, 6, 8 and 12: that many workers share them evenly.
PARTITIONS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a stage grows with what waits for it.

    Attributes
    ----------
    least, most : int
        Workers; two at least, so that losing a node is a pause of one session timeout and not a stop.
    lag_per_worker : int
        Records waiting for each worker before one more is started: about five seconds of its work.
    """

    least: int
    most: int
    lag_per_worker: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of process.

    Attributes
    ----------
    command : tuple of str
        What follows ``diastole``.
    cpu, memory : str
        Asked for, in Kubernetes' quantities; memory is also the limit, processor time has none: a limit
        would only delay ECGs where the node has time to spare.
    replicas : int
        How many run where nothing grows them.
    route : Route or None
        The stage, where it is one.
    port : int or None
        What it serves besides health.
    secrets : tuple of str
        Names of secrets whose files it reads, each mounted under ``/etc/diastole/NAME``.
    """

    name: str
    command: tuple[str, ...]
    cpu: str
    memory: str
    replicas: int = 2
    route: Route | None = None
    growth: Growth | None = None
    port: int | None = None
    secrets: tuple[str, ...] = ()


def _stage(name: str, cpu: str, memory: str, growth: Growth | None = None) -> Workload:
    route = ALL_ROUTES[name]
    return Workload(name=name, command=("worker", name), cpu=cpu, memory=memory, route=route, growth=growth)


# Estimates until measured on the site (`diastole bench --recovery`): featurize about 60 ECGs a second and
# core, infer about 100 with the compact bundle; two of the others are there for a node that is lost.
WORKLOADS: Final = (
    _stage("featurize", "1", "1Gi", Growth(least=2, most=PARTITIONS, lag_per_worker=300)),
    _stage("infer", "1", "2Gi", Growth(least=2, most=PARTITIONS, lag_per_worker=500)),
    _stage("history", "250m", "512Mi", Growth(least=2, most=PARTITIONS, lag_per_worker=5000)),
    _stage("alert", "250m", "1Gi"),
    _stage(WAVEFORM_ROUTE.stage, "250m", "512Mi"),
    _stage(LINK_ROUTE.stage, "50m", "512Mi"),
    Workload(name="deliver", command=("deliver",), cpu="100m", memory="512Mi", secrets=("routes",)),
    Workload(
        name="api",
        command=("api", "--host", "0.0.0.0"),  # noqa: S104 (inside its own pod)
        cpu="500m",
        memory="1Gi",
        port=8010,
        secrets=("care-tokens",),
    ),
    Workload(name="watch", command=("watch",), cpu="50m", memory="256Mi"),
)

#: Stages that a cluster runs only when somebody asks for them.
LEFT_OUT: Final = frozenset({SILENT_ROUTE.stage})
