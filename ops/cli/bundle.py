"""``diastole bundle``: what the model is, whether it is whole, and what it must not be used for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from ops.cli.bundle_import import import_founder
from ops.cli.console import out
from ops.cli.setup import BrokerOption, prepared, run
from ops.rendering import plain
from schemas.errors import ConfigurationError
from streams.settings import Settings

# torch takes seconds, and most commands do without: models are imported where they are needed.
if TYPE_CHECKING:
    from models.comparison import Line

_FIRST: Final = (
    "intended_use",
    "not_for_text",
    "limits",
    "training",
    "performance",
    "motion_error",
    "threshold",
    "interval",
    "eligibility",
)
_WIDEST: Final = 100

app = typer.Typer(help="Show, check, compare and import model bundles.", no_args_is_help=True)
app.command("import-founder")(import_founder)

BundlePath = Annotated[
    Path | None, typer.Argument(help="A bundle folder; default DIASTOLE_BUNDLE or the shipped one.")
]


@app.command("show")
def show(path: BundlePath = None) -> None:
    """Check a bundle's hashes and print its manifest.

    It says what the model was trained on, how it did, and what it is not for.
    """
    from models.bundle import load_bundle

    source = _source(path)
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


@app.command("verify")
def verify(path: BundlePath = None) -> None:
    """Check that a bundle is whole and computes: hashes, weights, and a built-in ECG scored again and again.

    Exits with 0 when all of it holds, and with 2 and the reason when not.
    """
    from models.bundle import load_bundle
    from models.self_test import self_test

    source = _source(path)
    bundle = load_bundle(source)
    answer = self_test(bundle)
    interval = f"{answer.probability_low:.4f}–{answer.probability_high:.4f}"
    for line in (
        f"bundle {bundle.version} from {source}",
        f"every hash is right: {', '.join(bundle.manifest.files)}; sha256 {bundle.sha256}",
        f"the built-in ECG scores {answer.probability:.4f} ({interval}) each time",
    ):
        out().print(line, markup=False, soft_wrap=True)


@app.command("card")
def card(
    path: BundlePath = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="A file to write to; default standard output.")
    ] = None,
) -> None:
    """Write a bundle's model card as Markdown; its first line says what the bundle was trained on."""
    from models.bundle import load_bundle
    from models.card import model_card

    text = model_card(load_bundle(_source(path)).manifest)
    if to is None:
        typer.echo(text, nl=False)
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{to} cannot be written: {error.strerror}") from error


@app.command("compare")
def compare(
    first: Annotated[Path | None, typer.Argument(help="A bundle folder.")] = None,
    second: Annotated[Path | None, typer.Argument(help="Another one.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="What the bundles in force and on trial said of the same ECGs.")
    ] = False,
    last: Annotated[
        int, typer.Option(min=1, help="With --stream: at most so many of the newest ECGs.")
    ] = 1000,
    broker: BrokerOption = None,
) -> None:
    """Put two bundles side by side: how they did, and all else in which they differ.

    With --stream, instead, what they said: ecg.risk.v1 beside ecg.risk-silent.v1, ECG by ECG. Exit code 1
    when there is nothing to compare yet.
    """
    if stream and first is None:
        _compare_stream(prepared(broker=broker), last)
    elif first is not None and second is not None and not stream:
        _compare_manifests(first, second)
    else:
        raise ConfigurationError("give two bundle folders, or --stream alone")


def _compare_manifests(first: Path, second: Path) -> None:
    from models.bundle import load_bundle
    from models.comparison import compare_manifests

    one, other = load_bundle(first), load_bundle(second)
    table = Table(box=None)
    table.add_column("", max_width=_WIDEST)
    table.add_column(one.version, max_width=_WIDEST)
    table.add_column(other.version, max_width=_WIDEST)
    for line in compare_manifests(one.manifest, other.manifest):
        table.add_row(*_cells(line))
    out().print(table)
    same = one.sha256 == other.sha256
    out().print("the same bundle" if same else "differences are marked with *", markup=False)


def _compare_stream(settings: Settings, last: int) -> None:
    from models.agreement import compare_assessments
    from ops.cli.on_trial import agreement_table, read_pairs

    paired = run(read_pairs(settings, last))
    if not paired.pairs:
        out().print(
            f"{paired.n_on_trial} ECGs assessed by a bundle on trial, none of them by both; "
            "does worker infer-silent run?",
            soft_wrap=True,
        )
        raise typer.Exit(code=1)
    out().print(agreement_table(paired, compare_assessments(paired.pairs)))


def _cells(line: "Line") -> tuple[str, str, str]:
    return f"{'*' if line.differs else ' '} {line.name}", line.first, line.second


def _source(path: Path | None) -> Path:
    from models.bundle import DEFAULT_BUNDLE

    return path or prepared().bundle or DEFAULT_BUNDLE


def _place(name: str) -> int:
    """Put first what a person must know, and last how the files are made."""
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _said(entry: Any) -> str:
    if isinstance(entry, dict):
        return "\n".join(f"{name}: {_in_one_line(part)}" for name, part in entry.items())
    if isinstance(entry, list):
        return "\n".join(_in_one_line(part) for part in entry)
    return str(entry)


def _in_one_line(entry: Any) -> str:
    if isinstance(entry, dict):
        return ", ".join(f"{name} {part}" for name, part in entry.items() if part is not None)
    return str(entry)
