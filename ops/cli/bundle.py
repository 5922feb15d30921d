"""``diastole bundle``: the model in force, and what it must not be used for."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ops.cli.console import out
from ops.cli.setup import prepared
from ops.rendering import plain

app = typer.Typer(help="The model bundle.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``show`` a subcommand while it is the only one."""


@app.command("show")
def show(
    path: Annotated[
        Path | None, typer.Argument(help="A bundle folder; default DIASTOLE_BUNDLE or the shipped one.")
    ] = None,
) -> None:
    """Check a bundle's hashes and print its manifest: training, metrics, intended use and limits."""
    # Imported here: torch takes seconds, and most commands do without.
    from models.bundle import DEFAULT_BUNDLE, load_bundle

    source = path or prepared().bundle or DEFAULT_BUNDLE
    bundle = load_bundle(source)
    table = Table("manifest", "says", title=f"bundle {bundle.version}", title_justify="left", show_lines=True)
    for name, entry in plain(bundle.manifest).items():
        table.add_row(name, _said(entry))
    table.add_row("sha256", bundle.sha256)
    out().print(table)
    out().print(f"every hash is right; from {source}", markup=False, soft_wrap=True)


def _said(entry: object) -> str:
    if isinstance(entry, dict):
        return "\n".join(f"{name}: {part}" for name, part in entry.items())
    if isinstance(entry, list):
        return "\n".join(str(part) for part in entry)
    return str(entry)
