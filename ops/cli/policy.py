"""``diastole policy``: the alert policy in force."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ops.cli.console import out
from ops.cli.setup import prepared
from streams.policy import DEFAULT_POLICY, load_policy

app = typer.Typer(help="Show the alert policy in force.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``show`` a subcommand while it is the only one."""


@app.command("show")
def show(
    path: Annotated[
        Path | None, typer.Argument(help="A policy file; default DIASTOLE_POLICY or the shipped one.")
    ] = None,
) -> None:
    """Check a policy file and print it."""
    source = path or prepared().policy or DEFAULT_POLICY
    policy = load_policy(source)
    table = Table("setting", "is", title=f"policy {policy.version}", title_justify="left")
    for field in dataclasses.fields(policy):
        table.add_row(field.name, str(getattr(policy, field.name)))
    out().print(table)
    out().print(f"from {source}", markup=False, soft_wrap=True)
