"""What most commands need before they can begin."""

import asyncio
import resource
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from schemas.errors import ConfigurationError
from streams.access import has_password
from streams.logs import configure_logs
from streams.settings import Settings, load_settings

T = TypeVar("T")

BrokerOption = Annotated[
    str | None,
    typer.Option(
        "--broker", help="Kafka bootstrap servers, host:port[,host:port…]; default DIASTOLE_BROKER."
    ),
]


def prepared(**overrides: Any) -> Settings:
    """Read settings with the command's options over them, and set up the log.

    From here on the process leaves no core dump behind: it would hold secrets and patients' data.

    Raises
    ------
    ConfigurationError
        When a setting is wrong, or an option holds a password.
    """
    if has_password(overrides.get("redis_url") or ""):
        raise ConfigurationError(
            "--redis holds a password, and every user of this machine can read options: "
            "leave it out and set DIASTOLE_REDIS_PASSWORD_FILE"
        )
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    settings = load_settings(**overrides)
    configure_logs(settings.log_format, settings.log_level)
    return settings


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    return asyncio.run(main)
