"""``diastole boards``: Grafana's boards, data sources and alert rules, from code."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ops.cli.console import err, out
from ops.cli.setup import prepared, run
from schemas.errors import ConfigurationError
from streams.policy import load_policy

if TYPE_CHECKING:
    from ops.boards.catalogue import Catalogue
    from ops.boards.changes import Change

app = typer.Typer(
    help="Bring boards, data sources and alert rules into Grafana 11 to 13.", no_args_is_help=True
)

UrlOption = Annotated[str, typer.Option("--url", help="Grafana's address.")]
TokenOption = Annotated[
    Path, typer.Option("--token-file", help="File with the token of a Grafana service account, role Admin.")
]
ApiTokenOption = Annotated[
    Path | None,
    typer.Option(
        "--api-token-file", help="File with Grafana's token of the read API; once, and when it changes."
    ),
]
ApiUrlOption = Annotated[str | None, typer.Option("--api-url", help="The read API, as Grafana reaches it.")]
PrometheusOption = Annotated[
    str | None, typer.Option("--prometheus-url", help="Prometheus, as Grafana reaches it.")
]
InboxOption = Annotated[str | None, typer.Option("--inbox-url", help="The inbox, as people reach it.")]


@app.command("diff")
def diff(
    token_file: TokenOption,
    url: UrlOption = "http://localhost:3000",
    api_token_file: ApiTokenOption = None,
    api_url: ApiUrlOption = None,
    prometheus_url: PrometheusOption = None,
    inbox_url: InboxOption = None,
) -> None:
    """Show what apply would change, and change nothing. Exit code 1 when something differs."""
    wanted = _wanted(api_token_file, api_url, prometheus_url, inbox_url)
    differing = run(_diff(url, _token(token_file), wanted))
    if differing:
        raise typer.Exit(code=1)


@app.command("apply")
def apply(
    token_file: TokenOption,
    url: UrlOption = "http://localhost:3000",
    api_token_file: ApiTokenOption = None,
    api_url: ApiUrlOption = None,
    prometheus_url: PrometheusOption = None,
    inbox_url: InboxOption = None,
    force: Annotated[bool, typer.Option("--force", help="Also write over what was edited by hand.")] = False,
) -> None:
    """Show what differs, then bring Grafana to it. Applying twice changes nothing.

    What somebody edited in Grafana is reported and left as it is, with exit code 1; --force writes over it.
    The thresholds drawn are those of DIASTOLE_POLICY.

    Example: diastole boards apply --url https://grafana.example --token-file grafana.token
    --api-token-file api.token --api-url http://api:8010 --inbox-url https://inbox.example
    """
    wanted = _wanted(api_token_file, api_url, prometheus_url, inbox_url)
    left = run(_apply(url, _token(token_file), wanted, force=force))
    if left:
        raise typer.Exit(code=1)


async def _diff(url: str, token: str, wanted: "Catalogue") -> bool:
    from ops.boards.applying import changes
    from ops.boards.changes import Standing
    from ops.boards.grafana import open_grafana

    async with open_grafana(url, token) as grafana:
        err().print(f"Grafana {await grafana.require_version()}", markup=False)
        found = await changes(grafana, wanted)
    _print(found)
    return any(change.standing is not Standing.SAME for change in found)


async def _apply(url: str, token: str, wanted: "Catalogue", *, force: bool) -> bool:
    # Imported here: Grafana's client takes a while, which other commands need not wait.
    from ops.boards.applying import apply as bring
    from ops.boards.applying import changes
    from ops.boards.changes import Standing
    from ops.boards.grafana import open_grafana

    async with open_grafana(url, token) as grafana:
        err().print(f"Grafana {await grafana.require_version()}", markup=False)
        planned = await changes(grafana, wanted)
        _print(planned)
        written = await bring(grafana, wanted, planned, force=force)
    out().print(f"{len(written)} written" if written else "nothing to write", markup=False)
    left = [each for each in planned if each not in written and each.standing is not Standing.SAME]
    for change in left:
        out().print(f"{change.sort} {change.uid}: {_advice(change)}", markup=False, soft_wrap=True)
    return bool(left)


def _advice(change: "Change") -> str:
    from ops.boards.changes import Standing

    if change.standing is Standing.FROM_FILES:
        return "left as it is: Grafana has it from files; change those (ops/grafana), or take them away"
    return "left as it is: edited by hand; keep the edit in ops/boards, or write over it with --force"


def _print(changes: Iterable["Change"]) -> None:
    console = out()
    for change in changes:
        console.print(f"{change.sort} {change.uid}: {change.standing}", markup=False, soft_wrap=True)
        for line in change.lines if change.found is not None else ():
            style = {"+": "green", "-": "red"}.get(line[:1], "")
            console.print(Text(f"  {line}", style=style), soft_wrap=True)


def _wanted(
    api_token_file: Path | None, api_url: str | None, prometheus_url: str | None, inbox_url: str | None
) -> "Catalogue":
    from ops.boards.catalogue import catalogue
    from ops.boards.places import Places

    settings = prepared()
    given = {"api_url": api_url, "prometheus_url": prometheus_url, "inbox_url": inbox_url}
    places = Places(**{name: url.rstrip("/") for name, url in given.items() if url is not None})
    api_token = None if api_token_file is None else _token(api_token_file)
    return catalogue(places, load_policy(settings.policy), api_token)


def _token(file: Path) -> str:
    """Read a token; neither it nor what else is in the file is ever part of a message."""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read ({type(error).__name__}); write the token into it"
        ) from None
    if not token or any(character.isspace() for character in token):
        raise ConfigurationError(f"{file} must hold one token and nothing else")
    return token
