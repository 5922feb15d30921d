"""``diastole worker``: run one stage, or all of them."""

from enum import StrEnum
from typing import Annotated

import structlog
import typer

from ops.cli.setup import BrokerOption, prepared

log = structlog.get_logger()


class StageName(StrEnum):
    """What can be run."""

    FEATURIZE = "featurize"
    INFER = "infer"
    HISTORY = "history"
    ALERT = "alert"
    LINK = "link"
    WAVEFORM = "waveform"
    INFER_SILENT = "infer-silent"
    ALL = "all"


def worker(
    stage: Annotated[StageName, typer.Argument(help="Which stage; all runs each in a process of its own.")],
    broker: BrokerOption = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of /healthz, /readyz, /metrics; 0: any. With all, one higher for each further stage.",
        ),
    ] = None,
) -> None:
    """Run a stage until SIGTERM or Ctrl-C.

    It finishes what is in flight before it ends. "all" runs one process per stage and restarts one that
    fails. To scale a stage, start it again: up to as many as there are partitions share the work.
    "link" lets the histories of merged patients be read as one; "waveform" keeps the newest ECGs' strips.
    "infer-silent" scores the same ECGs with the bundle of DIASTOLE_SILENT_BUNDLE, without alerts; "all" runs
    it where that is set.

    Example: diastole worker infer --metrics-port 9464
    """
    settings = prepared(broker=broker, metrics_port=metrics_port)
    log.info("worker_starts", stage=stage.value, broker=settings.broker)
    # Imported here: torch and Faust take seconds, and most commands do without.
    from streams.worker import run_worker

    raise typer.Exit(code=run_worker((stage.value,), settings))
