"""What an operator can set: one frozen object, read from ``DIASTOLE_*`` once, checked before any start."""

from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import EnvSettingsSource, SettingsConfigDict

from schemas.errors import ConfigurationError
from streams.access_settings import PREFIX as PREFIX
from streams.access_settings import AccessSettings


class Settings(AccessSettings):
    """Settings of every Diastole process; what each means stands below it and in the README."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    bundle: Path | None = None
    """Model bundle, a folder; unset takes the shipped one."""

    silent_bundle: Path | None = None
    """Bundle on trial, a folder: `worker infer-silent` scores the same ECGs with it, without alerts; unset
    runs none."""

    policy: Path | None = None
    """Alert policy, a TOML file; unset takes the shipped one."""

    routes: Path | None = None
    """To whom alerts go and who is asked next, a TOML file; unset takes the shipped one, the inbox alone."""

    inbox_url: str = ""
    """Where people reach the pages of `diastole api`, for links in notices and boards; unset sends none."""

    care_tokens: Path | None = None
    """TOML file of the tokens for API and pages; unset serves them on loopback addresses alone."""

    home: Path = Path(".diastole")
    """The one folder under which Diastole writes anything."""

    timezone: str = "UTC"
    """Zone of times in ECG files that carry no offset, such as `Europe/Rome`; most carts write local time.
    Pages show times in it too."""

    partitions: int = Field(default=4, ge=1, le=1000)
    """Partitions of every topic, equal for all so that a patient keeps one partition number."""

    max_delay_ms: float = Field(default=20.0, ge=0, le=10_000)
    """Longest wait of the oldest record in a batch that is being collected, ms."""

    batch_max_items: int = Field(default=32, ge=1, le=1024)
    """A batch with this many records is full."""

    batch_max_bytes: int = Field(default=16 * 2**20, ge=2**16)  # 32 ECGs of 0.5 MB
    """A batch with this many bytes of Kafka values is full."""

    queue_max_items: int = Field(default=128, ge=1)  # four full batches
    """Records in a stage's waiting room; when it is full, fetching stops until a batch leaves."""

    queue_max_bytes: int = Field(default=64 * 2**20, ge=2**16)
    """Bytes of Kafka values in a stage's waiting room; likewise."""

    stream_buffer_items: int = Field(
        default=64, ge=1, le=4096
    )  # × 120 kB an ECG = 8 MB; Faust's 4096 = 0.5 GB
    """Undecoded records Faust may hold in front of the waiting room."""

    max_record_bytes: int = Field(default=2 * 2**20, ge=1024)
    """A larger Kafka value is dead-lettered undecoded."""

    retry_first_s: float = Field(default=0.2, gt=0)
    """First pause before something is tried again after a retriable error, s; the pause doubles."""

    retry_most_s: float = Field(default=10.0, gt=0)
    """Longest pause before something is tried again, s."""

    session_timeout_s: float = Field(default=15.0, ge=6, le=60)
    """A killed worker's partitions move to another one after this long, s; Kafka's own minimum is 6."""

    commit_every_s: float = Field(default=1.0, gt=0, le=30)
    """Longest time between two commits of the consumer group's offsets, s."""

    metrics_host: str = "127.0.0.1"
    """Where /healthz, /readyz and /metrics answer."""

    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of the same; 0 takes a free one, unset switches them off."""

    watchdog_stall_s: float = Field(default=120.0, gt=0)
    """Work waiting and none done for this long, s: the worker exits so that its supervisor restarts it."""

    behind_after_s: float = Field(default=60.0, gt=0)
    """Records waiting longer than this mean a stage is behind, s: it is not ready, and `watch` says so."""

    watch_workers: str = ""
    """Health addresses that `watch` asks, `[name=]host:port[,…]`; a host of several addresses is asked at
    each."""

    watch_stages: str = ""
    """Stages that `watch` expects to run, separated by commas; empty: all that `worker all` runs."""

    watch_stalled_after_s: float = Field(default=10.0, ge=4)  # commits come every second, looks every two
    """A stage with unread records that commits nothing for this long is stalled, s."""

    watch_missing_after_s: float = Field(default=60.0, ge=10)  # a worker starts in some 20 s
    """A stage without a worker, or a worker that is not ready, is taken to be starting for this long, s."""

    drain_budget_s: float = Field(default=20.0, gt=0, le=50)  # a rebalance waits 60 s at most
    """On SIGTERM, longest time for what is in flight to finish before the worker leaves without it, s."""

    device: Literal["cpu", "cuda", "auto"] = "auto"
    """Where the model runs: `cpu`, `cuda`, or `auto` for CUDA where there is a device."""

    # Measured with several workers on two cores: at 2 threads each, scoring an ECG went from 4 ms to 32 ms.
    threads: int = Field(default=1, ge=0)
    """Threads of the numeric libraries per worker; 0 leaves their own choice, one per core. Several workers
    on the same cores want 1: with more they wait for each other, and an ECG takes eight times as long."""

    history_max_points: int = Field(default=500, ge=1)
    """Assessments kept in a patient's risk history, the newest. Above 512 Redis packs them less densely."""

    history_max_age_days: float = Field(default=730.0, ge=1, le=36_500)
    """Assessments older than this, counted back from the patient's newest, leave the risk history."""

    ward_max_age_days: float = Field(default=14.0, gt=0, le=36_500)
    """A patient without an ECG for this long leaves the ward lists, days."""

    strips_per_patient: int = Field(default=4, ge=1, le=100)
    """ECG strips kept of a patient for the pages, the newest; about 27 kB each."""

    strips_max_age_days: float = Field(default=14.0, gt=0, le=36_500)
    """ECG strips older than this are not kept, days."""

    log_format: Literal["console", "json"] = "console"
    """`json` lines for machines, `console` for people."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important log lines that are written."""

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, timezone: str) -> str:
        try:
            return timezone if timezone == "UTC" else ZoneInfo(timezone).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a zone such as Europe/Rome or UTC") from None


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


def variables() -> tuple[str, ...]:
    """Name the variables of the environment that look like settings, whether they are or not."""
    found = EnvSettingsSource(Settings).env_vars
    return tuple(sorted(name.upper() for name in found if name.upper().startswith(PREFIX)))


def describe(error: ValidationError, prefix: str = PREFIX) -> str:
    """Say what is wrong, one line per setting, without repeating the value (it may hold a password)."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name = prefix + "_".join(str(part) for part in problem["loc"]).upper()
        said = problem["msg"].removeprefix("Value error, ")
        # What is wrong with several settings together names them itself.
        lines.append(f"{name}: {said}" if problem["loc"] else said)
    return "\n".join(lines)
