"""``diastole clean``: remove what services left behind."""

from typing import Annotated

import typer

from ops.cli.console import out
from ops.cli.setup import prepared


def clean(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove data and logs of past runs.

    These are of the brokers, Redis servers and workers that Diastole started itself; downloaded jars stay.
    Run it only when none of them is running.
    """
    # Imported here: so are Kafka's and Redis' clients, which other commands need not wait for.
    from ops.services import clean_runs

    home = prepared().home.resolve()
    if not yes:
        typer.confirm(f"Remove all run folders in {home}? Nothing may be running from there", abort=True)
    clean_runs(home)
    out().print(f"removed all run folders in {home}", markup=False, soft_wrap=True)
