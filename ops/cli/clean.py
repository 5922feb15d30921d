"""``diastole clean``: remove what services left behind."""

from typing import Annotated

import typer

from ops.cli.console import out
from ops.cli.setup import prepared
from ops.services import clean_runs


def clean(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove data and logs of brokers and Redis servers that Diastole started; downloaded jars stay.

    Run it only when none of them is running.
    """
    home = prepared().home.resolve()
    if not yes:
        typer.confirm(f"Remove all run folders in {home}? Nothing may be running from there", abort=True)
    clean_runs(home)
    out().print(f"cleaned {home}", markup=False, soft_wrap=True)
