"""What most commands need before they can begin."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

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

    Raises
    ------
    ConfigurationError
        When a setting is wrong.
    """
    settings = load_settings(**overrides)
    configure_logs(settings.log_format, settings.log_level)
    return settings


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    return asyncio.run(main)
