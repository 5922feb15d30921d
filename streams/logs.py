"""Logging: one event per line, for people or for machines, and nothing of a patient in it."""

import logging
import sys
from typing import Literal

import structlog

#: Libraries whose own lines and tracebacks say less than ours do about the same trouble. They quote keys and
#: values of messages, which are a patient's, so they stay silent at every level of ours.
#: (What we derive from Faust's classes logs under the name of our module.)
# (Those that send notices quote URLs with secrets, and what is sent.)
_NOISY = (
    *("faust", "mode", "aiokafka", "kafka", "asyncio", "streams.adapters"),
    *("apprise", "urllib3", "httpx", "httpcore"),
)


def configure_logs(log_format: Literal["console", "json"] = "console", level: str = "info") -> None:
    """Set up structlog and quieten the libraries; safe to call again.

    Lines go to standard error: standard output belongs to what a command prints.
    """
    threshold = logging.getLevelName(level.upper())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
