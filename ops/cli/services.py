"""``diastole services``: broker and Redis on this machine, for trying things out."""

import signal
import threading
from typing import Annotated

import typer

from ops.cli.console import err, out
from ops.cli.setup import prepared, run
from streams.logs import configure_logs

app = typer.Typer(help="Run a broker and a Redis for trying things out.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``up`` a subcommand while it is the only one."""


@app.command("up")
def up(
    apache: Annotated[
        bool, typer.Option("--apache", help="Apache Kafka, which needs Java and Maven.")
    ] = False,
) -> None:
    """Start a broker and a Redis, until Ctrl-C.

    They listen on free ports of this machine, with the topics made. Standard output is what another shell
    needs to use them.
    """
    # Imported here: Kafka's client takes a third of a second, which other commands need not wait.
    from ops.services import BrokerKind, start_broker, start_redis
    from ops.topics import apply_topics

    settings = prepared()
    configure_logs(settings.log_format, "warning")  # what matters is said on the console
    kind: BrokerKind = "apache" if apache else "embedded"
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with start_broker(kind, settings.home) as broker, start_redis(settings.home) as redis:
        run(apply_topics(broker.bootstrap, settings.partitions))
        out().print(f"export DIASTOLE_BROKER={broker.bootstrap}", soft_wrap=True)
        out().print(f"export DIASTOLE_REDIS_URL={redis.url}", soft_wrap=True)
        err().print(
            f"broker ({kind}) and Redis are up; their files are in {settings.home.resolve()}\n"
            "next, in another shell with these exports: diastole worker all · Ctrl-C here stops both",
            markup=False,
            soft_wrap=True,
        )
        stopping.wait()
