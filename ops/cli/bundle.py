"""``diastole bundle``: the model in force, and what it must not be used for."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from ops.cli.console import out
from ops.cli.setup import prepared
from ops.rendering import plain

_FIRST: Final = (
    "intended_use",
    "not_for_text",
    "limits",
    "training",
    "metrics",
    "threshold",
    "interval",
    "eligibility",
)
_WIDEST: Final = 100

app = typer.Typer(help="Show the model bundle in force.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``show`` a subcommand while it is the only one."""


@app.command("show")
def show(
    path: Annotated[
        Path | None, typer.Argument(help="A bundle folder; default DIASTOLE_BUNDLE or the shipped one.")
    ] = None,
) -> None:
    """Check a bundle's hashes and print its manifest.

    It says what the model was trained on, how it did, and what it is not for.
    """
    # Imported here: torch takes seconds, and most commands do without.
    from models.bundle import DEFAULT_BUNDLE, load_bundle

    source = path or prepared().bundle or DEFAULT_BUNDLE
    bundle = load_bundle(source)
    table = Table(title=f"bundle {bundle.version}", title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(max_width=_WIDEST)
    manifest = plain(bundle.manifest)
    for name in sorted(manifest, key=_place):
        table.add_row(name, _said(manifest[name]))
        table.add_row()
    table.add_row("sha256", bundle.sha256)
    out().print(table)
    out().print(f"every hash is right; from {source}", markup=False, soft_wrap=True)


def _place(name: str) -> int:
    """Put first what a person must know, and last how the files are made."""
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _said(entry: object) -> str:
    if isinstance(entry, dict):
        return "\n".join(f"{name}: {part}" for name, part in entry.items())
    if isinstance(entry, list):
        return "\n".join(str(part) for part in entry)
    return str(entry)
