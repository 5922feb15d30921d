"""What an operator can set: one frozen object, read from ``DIASTOLE_*`` once, checked before any start."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import ConfigurationError

PREFIX = "DIASTOLE_"


class Settings(BaseSettings):
    """Settings of every Diastole process.

    Attributes
    ----------
    broker : str
        Kafka bootstrap servers, ``host:port[,host:port…]``.
    redis_url : str
        Where the risk history is cached.
    registry_url : str or None
        Confluent-compatible schema registry; None uses the files in ``schemas/``.
    bundle, policy : Path or None
        Model bundle folder and alert policy file; None takes the shipped ones.
    home : Path
        The one folder under which Diastole writes anything.
    partitions : int
        Partitions of every topic, equal for all topics so that a patient stays on one partition number.
    max_delay_ms : float
        Longest wait of the oldest record in a batch being collected.
    batch_max_items, batch_max_bytes : int
        A batch is full at whichever comes first; bytes are of Kafka values.
    queue_max_items, queue_max_bytes : int
        Waiting room of a stage; when it is full, fetching stops until a batch leaves.
    stream_buffer_items : int
        Undecoded events Faust may hold in front of the waiting room.
    max_record_bytes : int
        A larger Kafka value is dead-lettered undecoded.
    retry_first_s, retry_most_s : float
        First and longest pause before a batch is tried again after a retriable error; the pause doubles.
    session_timeout_s : float
        A killed worker's partitions move to another one after this long; Kafka's own minimum is 6 s.
    commit_every_s : float
        Longest time between two commits of the consumer group's offsets.
    metrics_host, metrics_port
        Where /healthz, /readyz and /metrics answer; port 0 takes a free one, None switches them off.
    watchdog_stall_s : float
        Work waiting and none finished for this long: the worker exits so that its supervisor restarts it.
    drain_budget_s : float
        On SIGTERM, longest time for what is in flight to finish before the worker leaves unacknowledged.
    device : {"cpu", "cuda", "auto"}
        Where the model runs.
    threads : int
        Threads of the numeric libraries per worker; 0 leaves their own choice.
    mains_hz : {50, 60} or None
        Mains frequency of the site; None lets the signal tell.
    log_format, log_level
        ``json`` lines for machines, ``console`` for people.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    broker: str = "127.0.0.1:9092"
    redis_url: str = "redis://127.0.0.1:6379/0"
    registry_url: str | None = None
    bundle: Path | None = None
    policy: Path | None = None
    home: Path = Path(".diastole")
    partitions: int = Field(default=4, ge=1, le=1000)
    max_delay_ms: float = Field(default=20.0, ge=0, le=10_000)
    batch_max_items: int = Field(default=32, ge=1, le=1024)
    batch_max_bytes: int = Field(default=16 * 2**20, ge=2**16)  # 32 ECGs of 0.5 MB
    queue_max_items: int = Field(default=128, ge=1)  # four full batches
    queue_max_bytes: int = Field(default=64 * 2**20, ge=2**16)
    stream_buffer_items: int = Field(
        default=64, ge=1, le=4096
    )  # × 120 kB an ECG = 8 MB; Faust's 4096 = 0.5 GB
    max_record_bytes: int = Field(default=2 * 2**20, ge=1024)
    retry_first_s: float = Field(default=0.2, gt=0)
    retry_most_s: float = Field(default=10.0, gt=0)
    session_timeout_s: float = Field(default=15.0, ge=6, le=60)
    commit_every_s: float = Field(default=1.0, gt=0, le=30)
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    watchdog_stall_s: float = Field(default=120.0, gt=0)
    drain_budget_s: float = Field(default=20.0, gt=0, le=50)  # a rebalance waits 60 s at most
    device: Literal["cpu", "cuda", "auto"] = "auto"
    threads: int = Field(default=0, ge=0)
    mains_hz: Literal[50, 60] | None = None
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("broker")
    @classmethod
    def _names_a_port(cls, broker: str) -> str:
        for server in broker.split(","):
            host, _, port = server.strip().removeprefix("kafka://").rpartition(":")
            if not host or not port.isdigit():
                raise ValueError("must be host:port[,host:port…]")
        return broker.replace("kafka://", "").replace(" ", "")

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis_url(cls, redis_url: str) -> str:
        if not redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return redis_url

    @field_validator("mains_hz", mode="before")
    @classmethod
    def _number_from_environment(cls, mains_hz: Any) -> Any:
        return int(mains_hz) if isinstance(mains_hz, str) and mains_hz.isdigit() else mains_hz


def load_settings(**overrides: Any) -> Settings:
    """Read the environment, apply ``overrides`` (command line options; None means not given), check all.

    Raises
    ------
    ConfigurationError
        One line per wrong setting, each naming its variable and what it must be.
    """
    given = {name: setting for name, setting in overrides.items() if setting is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigurationError(describe(error)) from None


def describe(error: ValidationError) -> str:
    """Say what is wrong, one line per setting, without repeating the value (it may hold a password)."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name = PREFIX + "_".join(str(part) for part in problem["loc"]).upper()
        lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)
