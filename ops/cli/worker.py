"""``diastole worker``: run one stage, or all of them."""

from enum import StrEnum
from typing import Annotated

import typer

from ops.cli.setup import BrokerOption, prepared


class StageName(StrEnum):
    """What can be run."""

    FEATURIZE = "featurize"
    INFER = "infer"
    HISTORY = "history"
    ALERT = "alert"
    ALL = "all"


def worker(
    stage: Annotated[StageName, typer.Argument(help="Which stage; all runs the four in one process.")],
    broker: BrokerOption = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where /healthz, /readyz and /metrics answer; 0: any."),
    ] = None,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C, then finish what is in flight.

    Start the same stage as often as there are partitions to share the work.
    """
    settings = prepared(broker=broker, metrics_port=metrics_port)
    # Imported here: torch and Faust take seconds, and most commands do without.
    from streams.worker import run_worker

    raise typer.Exit(code=run_worker((stage.value,), settings))
