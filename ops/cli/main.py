"""``diastole``: the one entry. Each command group has its file; this one joins them and maps errors to exits.

Exit codes: 0 done; 1 done, but something was refused or did not hold; 2 usage or configuration;
75 try again later (sysexits' EX_TEMPFAIL); 130 interrupted.
"""

import sys
from importlib.metadata import version
from typing import Annotated, Final

import typer

from ops.cli import (
    alerts,
    api,
    bench,
    boards,
    bundle,
    chaos,
    clean,
    deliver,
    demo,
    dlq,
    doctor,
    explain,
    feed,
    feeds,
    history,
    identity,
    inspect_ecg,
    policy,
    pretrain,
    publish,
    quarantine,
    services,
    simulate,
    study,
    tail,
    token,
    topics,
    train,
    watch,
    worker,
)
from ops.cli.console import err
from schemas.errors import ConfigurationError, DiastoleError

FAILED: Final = 1
MISCONFIGURED: Final = 2
TRY_LATER: Final = 75
INTERRUPTED: Final = 130

app = typer.Typer(
    name="diastole",
    help=(
        "Watches a hospital's 12-lead ECG stream and alerts when a patient moves into a high-risk "
        "diastolic-dysfunction phenotype. Research decision support: not a medical device."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("publish")(publish.publish)
app.command("simulate")(simulate.simulate)
app.command("tail")(tail.tail)
app.command("worker")(worker.worker)
app.command("watch")(watch.watch)
app.command("feeds")(feeds.feeds)
app.command("deliver")(deliver.deliver)
app.command("api")(api.api)
app.command("inspect")(inspect_ecg.inspect)
app.command("demo")(demo.demo)
app.command("explain")(explain.explain)
app.command("bench")(bench.bench)
app.command("train")(train.train)
app.command("pretrain")(pretrain.pretrain)
app.command("study")(study.study)
app.command("doctor")(doctor.doctor)
app.command("clean")(clean.clean)
app.add_typer(feed.app, name="feed")
app.add_typer(token.app, name="token")
app.add_typer(history.app, name="history")
app.add_typer(topics.app, name="topics")
app.add_typer(services.app, name="services")
app.add_typer(bundle.app, name="bundle")
app.add_typer(policy.app, name="policy")
app.add_typer(alerts.app, name="alerts")
app.add_typer(boards.app, name="boards")
app.add_typer(identity.app, name="identity")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(chaos.app, name="chaos")
app.add_typer(dlq.app, name="dlq")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"diastole {version('diastole')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None: ...


def exit_code(error: DiastoleError) -> int:
    """Return the exit code an error calls for."""
    if isinstance(error, ConfigurationError):
        return MISCONFIGURED
    return TRY_LATER if error.retriable else FAILED


def main() -> None:
    """Run the command line: one line and an exit code for known errors, a traceback only for unknown ones."""
    try:
        app()
    except DiastoleError as error:
        err().print(f"diastole: {error}", markup=False, soft_wrap=True)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output left (`| head`); Python would complain once more when it flushes at exit.
        sys.stderr.close()
        sys.exit(0)
