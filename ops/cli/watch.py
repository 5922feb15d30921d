"""``diastole watch``: notice stages that stand still, and raise a technical alarm."""

from typing import Annotated

import typer

from ops.cli.setup import BrokerOption, prepared, run


def watch(
    workers: Annotated[
        str | None,
        typer.Option(help="Health addresses, [name=]host:port[,…]; default DIASTOLE_WATCH_WORKERS."),
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(help="Stages that are expected to run; default DIASTOLE_WATCH_STAGES, else all."),
    ] = None,
    broker: BrokerOption = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of /healthz, /readyz, /metrics; 0: any.")
    ] = None,
) -> None:
    """Watch every stage until SIGTERM or Ctrl-C, and say on ecg.alert.v1 when one stands still or is behind.

    A stage whose records wait and that commits nothing, one without a worker, and a health address that does
    not answer are each a technical alarm, which the inbox shows; it ends by itself when all is well again.
    /readyz answers 503 while anything is not well, and says what. Two watches raise one alarm.

    Example: diastole watch --workers infer=127.0.0.1:9465,deliver=127.0.0.1:9480 --metrics-port 9490
    """
    settings = prepared(broker=broker, metrics_port=metrics_port, watch_workers=workers, watch_stages=stages)
    # Imported here: Kafka's client takes a second, which other commands need not wait.
    from streams.watch.running import run_watch

    run(run_watch(settings))
