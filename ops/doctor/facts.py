"""What the doctor knows before it judges: plain facts, gathered by ``ops.doctor.gathering``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops.topic_diff import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Facts that could not be gathered, and why.

    Attributes
    ----------
    is_configuration : bool
        Nothing will answer until somebody changes the settings.
    """

    reason: str
    is_configuration: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFacts:
    """The settings of this process.

    Attributes
    ----------
    problems : tuple of str
        What is wrong, a line per setting.
    unknown : mapping
        Variables that look like ours and are none, each with the setting that may be meant, or None.
    """

    problems: tuple[str, ...] = ()
    unknown: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """This machine and the programs on it.

    Attributes
    ----------
    home_problem : str or None
        Why nothing can be written to the home folder.
    free_bytes : int or None
        On its disk.
    device : str
        As the settings ask for it.
    has_cuda : bool
        Whether torch sees a CUDA device.
    """

    app_version: str
    python_version: str
    home: str
    home_problem: str | None = None
    free_bytes: int | None = None
    torch_version: str | None = None
    device: str = "auto"
    has_cuda: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file or folder that the settings name, as it was read.

    Attributes
    ----------
    said : str
        What it is, when it can be used.
    problem : str or None
        Why it cannot be used.
    is_private : bool
        Nobody but owner and group may read it, or that does not matter.
    """

    name: str
    said: str = ""
    problem: str | None = None
    is_private: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFacts:
    """Where the bundle says HIGH, and where the policy's alerts begin; probabilities."""

    bundle: float
    policy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """One stage's consumer group.

    Attributes
    ----------
    members : int or None
        Workers that read; None where Kafka does not tell.
    lag : int
        Messages that are not processed yet.
    wait_s : float
        How long the oldest of these has waited since Kafka took it, s.
    """

    members: int | None
    lag: int
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaFacts:
    """The cluster.

    Attributes
    ----------
    latency_ms : float
        Of one answer.
    differences : tuple of Difference
        Where topics are not as they should be.
    groups : mapping
        By stage; empty where Kafka did not tell.
    newest : mapping
        Time of the newest record by topic, UTC, as its publisher's clock had it; None when there is none.
    dead_letters : mapping
        Dead letters kept by topic, where there are any.
    """

    n_brokers: int
    latency_ms: float
    n_topics: int
    differences: tuple[Difference, ...] = ()
    groups: Mapping[str, GroupFacts] = field(default_factory=dict)
    newest: Mapping[str, datetime | None] = field(default_factory=dict)
    dead_letters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """Redis, as it tells of itself.

    Attributes
    ----------
    clock_ahead_s : float
        Its clock less ours, s, right to half of ``latency_ms``.
    max_memory_bytes : int
        0: no limit.
    """

    version: str
    latency_ms: float
    clock_ahead_s: float
    role: str
    used_bytes: int
    max_memory_bytes: int
    eviction_policy: str
    is_persistent: bool
    last_save_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectFacts:
    """One record type at the schema registry.

    Attributes
    ----------
    latest : mapping or None
        Its newest schema there; None when none is registered.
    level : str or None
        The rule by which it may change; None when it has none of its own.
    """

    latest: Mapping[str, Any] | None
    level: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryFacts:
    """The schema registry.

    Attributes
    ----------
    clock_ahead_s : float or None
        Its clock less ours, right to a second; None when it does not tell.
    """

    latency_ms: float
    subjects: Mapping[str, SubjectFacts]
    clock_ahead_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything; None where there was nothing to ask (no settings, no registry).

    Attributes
    ----------
    now : datetime
        This machine's clock, UTC.
    """

    now: datetime
    settings: SettingsFacts
    host: HostFacts | None = None
    files: tuple[FileFacts, ...] = ()
    thresholds: ThresholdFacts | None = None
    kafka: KafkaFacts | Missed | None = None
    redis: RedisFacts | Missed | None = None
    registry: RegistryFacts | Missed | None = None
