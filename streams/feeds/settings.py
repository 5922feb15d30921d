"""What an operator can set of the feeds: one frozen object, read from ``DIASTOLE_FEED_*`` once."""

from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import ConfigurationError
from streams.feeds.limits import ReadLimits
from streams.settings import PREFIX, describe

FEED_PREFIX: Final = f"{PREFIX}FEED_"


class FeedSettings(BaseSettings):
    """Settings of every feed; what each means stands below it and in the README."""

    model_config = SettingsConfigDict(
        env_prefix=FEED_PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    max_bytes: int = Field(default=32 * 2**20, ge=2**16, le=64 * 2**20)
    """A larger delivery is refused, bytes; what is refused must fit into quarantine."""

    read_timeout_s: float = Field(default=2.0, gt=0, le=60)
    """A delivery that takes longer to read is refused, s of processor time; four times that by the clock."""

    read_memory_mb: int = Field(default=256, ge=64)
    """A delivery that takes more memory to read, beyond what readers need at rest, is refused, MiB."""

    max_swollen_bytes: int = Field(default=64 * 2**20, ge=2**20)
    """Anything in a delivery that is larger than this once decompressed is refused, bytes."""

    max_samples: int = Field(default=8_000_000, ge=10_000)
    """A delivery with more samples, all leads together, is refused."""

    max_depth: int = Field(default=64, ge=16, le=256)
    """XML or JSON that is nested deeper is refused; an aECG has 15 levels."""

    max_elements: int = Field(default=200_000, ge=1000)
    """XML with more elements is refused."""

    readers: int = Field(default=2, ge=1, le=64)
    """Deliveries read at a time, each in a process of some 110 MB; one more process stands ready."""

    ack_budget_s: float = Field(default=30.0, gt=0, le=300)
    """Longest time a sender waits for Kafka before it is told to send again later, s."""

    repeat_window_h: float = Field(default=24.0 * 14, gt=0)  # the retention of ecg.recorded.v1
    """A gateway without notes of its own looks this far back on `ecg.recorded.v1`, hours."""

    key_file: Path | None = None
    """File with the secret that makes pseudonyms of patient identifiers and seals quarantine; unset lets
    identifiers through as they are. Make one with `diastole identity key`."""

    id_domain: str = ""
    """Names the numbering of patients (the hospital); equal identifiers of different domains differ as
    pseudonyms."""

    tokens: Path | None = None
    """TOML file of the tokens that the HTTP feed takes; unset allows it on loopback addresses alone."""

    report_every_s: float = Field(default=30.0, gt=0, le=3600)
    """How often a feed writes how its sources are doing, s."""

    @field_validator("key_file", "tokens", mode="before")
    @classmethod
    def _empty_is_unset(cls, given: Any) -> Any:
        # An empty path would be the working folder; VARIABLE= is how an environment file leaves one out.
        return None if isinstance(given, str) and not given.strip() else given

    def limits(self) -> ReadLimits:
        """Bounds of reading one delivery."""
        return ReadLimits(
            max_bytes=self.max_bytes,
            max_swollen_bytes=self.max_swollen_bytes,
            max_samples=self.max_samples,
            max_depth=self.max_depth,
            max_elements=self.max_elements,
            timeout_s=self.read_timeout_s,
            memory_bytes=self.read_memory_mb * 2**20,
        )


def load_feed_settings(**overrides: Any) -> FeedSettings:
    """Read the environment, apply ``overrides`` (command line options; None means not given), check all.

    Raises
    ------
    ConfigurationError
        One line per wrong setting, each naming its variable and what it must be.
    """
    given = {name: setting for name, setting in overrides.items() if setting is not None}
    try:
        return FeedSettings(**given)
    except ValidationError as error:
        raise ConfigurationError(describe(error, FEED_PREFIX)) from None
