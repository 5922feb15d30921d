"""``diastole token``: who may use the HTTP feed."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.console import err, out
from ops.cli.setup import prepared
from schemas.errors import ConfigurationError
from streams.feeds.http.tokens import Role, new_token
from streams.feeds.settings import load_feed_settings

app = typer.Typer(help="Tokens of the HTTP feed.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``new`` a subcommand while it is the only one."""


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="What it is called in logs and health: the sender, no person.")],
    role: Annotated[
        list[Role] | None,
        typer.Option(help="feed delivers ECGs, operator works on the quarantine; repeatable. Default feed."),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(help="For this site alone, to deliver or to see; repeatable. Default any."),
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option("--file", help="TOML file of the tokens; default DIASTOLE_FEED_TOKENS.")
    ] = None,
) -> None:
    """Make a token and show it, once: the file keeps only its SHA-256.

    A running feed takes it at once. To withdraw one, remove its entry from the file.

    Example: diastole token new cart-export --site north --file /etc/diastole/tokens.toml
    """
    prepared()
    file = load_feed_settings(tokens=tokens).tokens
    if file is None:
        raise ConfigurationError("no file for tokens: give --file PATH or set DIASTOLE_FEED_TOKENS")
    secret = new_token(file, name, role or [Role.FEED], site or ())
    out().print(secret, markup=False, soft_wrap=True)
    err().print(
        f"{name} may use it from now on: Authorization: Bearer <the line above>. It is not shown again; "
        f"feeds need DIASTOLE_FEED_TOKENS={file}",
        markup=False,
        soft_wrap=True,
    )
