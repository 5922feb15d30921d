"""``diastole token``: who may use the HTTP feed, and who the read API and the pages."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ops.cli.console import err, out
from ops.cli.setup import prepared
from schemas.errors import ConfigurationError
from streams.api import tokens as care
from streams.feeds.http import tokens as feed
from streams.feeds.settings import load_feed_settings

R = TypeVar("R", bound=StrEnum)

app = typer.Typer(help="Tokens of the HTTP feed, and of the read API and its pages.", no_args_is_help=True)


class Purpose(StrEnum):
    """What a token is for; each has a file of its own, of the same form."""

    FEED = "feed"
    CARE = "care"


@app.callback()
def _group() -> None:
    """Keep ``new`` a subcommand while it is the only one."""


@app.command("new")
def new(
    name: Annotated[
        str, typer.Argument(help="What it is called in logs, health and audit: a sender or role, no person.")
    ],
    purpose: Annotated[
        Purpose, typer.Option("--for", help="feed: bring ECGs in; care: see risk and alerts, and answer.")
    ] = Purpose.FEED,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="For feed: feed (default) delivers ECGs, operator works on the quarantine. For care: viewer "
            "(default) sees, clinician answers alerts too, admin may do all. Repeatable."
        ),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(
            help="This site alone, to deliver or to see; repeatable. For care * stands for anything."
        ),
    ] = None,
    ward: Annotated[
        list[str] | None,
        typer.Option(help="For care: this ward alone, * stands for anything; repeatable. Default any ward."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="TOML file of the tokens; default DIASTOLE_FEED_TOKENS, for care DIASTOLE_CARE_TOKENS.",
        ),
    ] = None,
) -> None:
    """Make a token and show it, once: the file keeps only its SHA-256.

    What runs takes it at once. To withdraw one, remove its entry from the file.

    Example: diastole token new cart-export --site north --file /etc/diastole/tokens.toml

    Example: diastole token new ward-3 --for care --role clinician --ward W3 --file /etc/diastole/care.toml
    """
    settings = prepared()
    if purpose is Purpose.CARE:
        _new_for_care(name, role or (), ward or (), site or (), tokens or settings.care_tokens)
        return
    if ward:
        raise ConfigurationError("feeds know no wards: leave --ward out, or make the token --for care")
    file = load_feed_settings(tokens=tokens).tokens
    if file is None:
        raise ConfigurationError("no file for tokens: give --file PATH or set DIASTOLE_FEED_TOKENS")
    secret = feed.new_token(file, name, _roles(feed.Role, role or ()) or [feed.Role.FEED], site or ())
    _show(name, secret, f"feeds need DIASTOLE_FEED_TOKENS={file}")


def _new_for_care(
    name: str, roles: Sequence[str], wards: Sequence[str], sites: Sequence[str], file: Path | None
) -> None:
    if file is None:
        raise ConfigurationError("no file for tokens: give --file PATH or set DIASTOLE_CARE_TOKENS")
    secret = care.new_token(file, name, _roles(care.Role, roles) or [care.Role.VIEWER], wards, sites)
    _show(name, secret, f"the read API needs DIASTOLE_CARE_TOKENS={file}; on its pages, sign in with it")


def _roles(kind: type[R], named: Sequence[str]) -> list[R]:
    try:
        return [kind(each) for each in named]
    except ValueError:
        raise ConfigurationError(f"--role is one of {', '.join(kind)}") from None


def _show(name: str, secret: str, then: str) -> None:
    out().print(secret, markup=False, soft_wrap=True)
    err().print(
        f"{name} may use it from now on: Authorization: Bearer <the line above>. It is not shown again; "
        f"{then}",
        markup=False,
        soft_wrap=True,
    )
