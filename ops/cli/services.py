"""``diastole services``: broker and Redis on this machine, for trying things out."""

import signal
import threading
from typing import Annotated

import typer

from ops.cli.console import err, out
from ops.cli.setup import prepared, run
from ops.services import BrokerKind, start_broker, start_redis
from ops.topics import apply_topics

app = typer.Typer(help="A broker and a Redis on this machine.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``up`` a subcommand while it is the only one."""


@app.command("up")
def up(
    apache: Annotated[
        bool, typer.Option("--apache", help="Apache Kafka (needs Java and Maven), not Tansu.")
    ] = False,
) -> None:
    """Start a broker and a Redis on free ports, with the topics made, and keep them until Ctrl-C.

    Standard output is what a shell needs to use them.
    """
    settings = prepared()
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
