"""``diastole doctor``: look at everything Diastole needs and say what to do."""

from typing import Annotated

import typer

from ops.cli.console import out
from ops.cli.setup import BrokerOption, run
from schemas.errors import ConfigurationError
from streams.feeds.settings import load_feed_settings
from streams.logs import configure_logs
from streams.settings import load_settings, variables
from streams.stage import utc_now


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    broker: BrokerOption = None,
) -> None:
    """Check settings, disk, device, Kafka, topics, workers, Redis, schemas, bundle, policy, routes, clocks.

    It changes nothing and names no patient. Exit codes: 0 no failure, 1 a failure, 2 something in the
    settings or their files is wrong.
    """
    configure_logs(level="error")
    # Imported here: torch and Kafka's client take seconds, which other commands need not wait.
    from ops.doctor.checks import findings
    from ops.doctor.finding import exit_code
    from ops.doctor.gathering import gather, without_settings
    from ops.doctor.report import report_json, report_lines

    try:
        settings, feed_settings = load_settings(broker=broker), load_feed_settings()
    except ConfigurationError as error:
        facts = without_settings(variables(), str(error).splitlines(), utc_now)
    else:
        facts = run(gather(settings, feed_settings, variables(), utc_now))
    found = findings(facts)
    if as_json:
        typer.echo(report_json(found))
    else:
        for line in report_lines(found):
            out().print(line, markup=False, soft_wrap=True)
    raise typer.Exit(code=exit_code(found))
