"""``diastole deliver``: alerts to the care team, until somebody answers."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ops.cli.console import err, out
from ops.cli.setup import BrokerOption, prepared, run
from streams.stage import utc_now

if TYPE_CHECKING:
    from streams.deliver.checking import Checked
    from streams.deliver.routing import Routes

_FAILED = 1


def deliver(
    routes: Annotated[
        Path | None,
        typer.Option(help="TOML file of channels and routes; default DIASTOLE_ROUTES."),
    ] = None,
    inbox_url: Annotated[
        str | None,
        typer.Option(help="Where the inbox answers, for links in notices; default DIASTOLE_INBOX_URL."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Send a test notice to each channel, say what became of it, end.")
    ] = False,
    broker: BrokerOption = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of /healthz, /readyz, /metrics; 0: any.")
    ] = None,
) -> None:
    """Tell the care team of alerts, until SIGTERM or Ctrl-C.

    Each alert goes to whom the routes name, over all their channels, and up the ladder until somebody answers
    it. A channel that fails is tried again, then the second is used; an alert of which a route reached nobody
    in time is a technical alarm. Start it twice and the two share the alerts: when one dies the other takes
    over. Alerts that page nobody by the routes, though others do, are named in warnings.

    Example: diastole deliver --routes routes.toml --check, then: diastole deliver --routes routes.toml
    """
    # Imported here: Kafka's client and the channels' take a second, which other commands need not wait.
    from streams.deliver.routes_file import load_routes

    settings = prepared(broker=broker, metrics_port=metrics_port, routes=routes, inbox_url=inbox_url)
    file = settings.routes
    given, base = load_routes(file), file.parent if file is not None else Path()
    if check:
        checked = run(_check(given, base))
        out().print(checked_table(checked))
        for line in inbox_only_lines(given):
            err().print(line, markup=False, soft_wrap=True)
        raise typer.Exit(code=_FAILED if any(each.problem for each in checked) else 0)
    from streams.deliver.running import run_delivery

    for line in (channels_text(given), *inbox_only_lines(given)):
        err().print(line, markup=False, soft_wrap=True)
    run(run_delivery(settings, given, base, settings.inbox_url))


async def _check(routes: "Routes", base: Path) -> "list[Checked]":
    from streams.deliver.channels.assembly import open_channels
    from streams.deliver.checking import check_channels

    async with open_channels(routes, base) as channels:
        return await check_channels(channels, utc_now(), uuid.uuid4())


def channels_text(routes: "Routes") -> str:
    """Say which channels there are, and when there are none that nobody is paged."""
    if routes.is_inbox_only:
        return "no channel: alerts are shown in the inbox and page nobody (give --routes FILE)"
    named = ", ".join(f"{each.name} ({each.kind})" for each in routes.channels.values())
    return f"routes {routes.version}; channels: {named}"


def inbox_only_lines(routes: "Routes") -> list[str]:
    """Warn of alerts that page nobody though others do; none where nothing pages, which is said otherwise."""
    from streams.deliver.coverage import inbox_only, inbox_only_text

    if routes.is_inbox_only:
        return []
    return [f"warning: {inbox_only_text(each, routes)}" for each in inbox_only(routes)]


def checked_table(checked: "list[Checked]") -> Table:
    """Lay out what became of the test notices."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("channel")
    table.add_column("test notice")
    for each in checked:
        table.add_row(each.channel, Text(each.problem, style="bold red") if each.problem else Text("taken"))
    return table
