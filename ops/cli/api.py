"""``diastole api``: the read API and the care team's pages."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.console import err
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError


def api(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any.")] = 8010,
    tokens: Annotated[
        Path | None, typer.Option(help="TOML file of the tokens; default DIASTOLE_CARE_TOKENS.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file of the certificate; with --key it speaks HTTPS.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")] = None,
    routes: Annotated[
        Path | None, typer.Option(help="TOML file of the routes; default DIASTOLE_ROUTES.")
    ] = None,
    broker: BrokerOption = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of /healthz, /readyz, /metrics; 0: any.")
    ] = None,
) -> None:
    """Serve risk over time, alerts and their life, pictures and pages, until SIGTERM or Ctrl-C.

    The inbox is at /, the API at /v1, its description at /openapi.json. Alerts come from Kafka, risk and
    waveforms from Redis. Every look at a patient is written to the audit. When Kafka is away what is known is
    still shown, and said to be old; /readyz then answers 503.

    Example: diastole api --port 8010, then open http://127.0.0.1:8010/
    """
    # Imported here: Kafka's client, FastAPI and torch take seconds, which other commands need not wait.
    from streams.api.running import require_tokens, run_api
    from streams.deliver.routes_file import load_routes
    from streams.feeds.http.serving import Address, Certificate

    settings = prepared(broker=broker, metrics_port=metrics_port, routes=routes, care_tokens=tokens)
    tokens = settings.care_tokens
    require_tokens(host, tokens)
    if (certificate is None) != (key is None):
        raise ConfigurationError("HTTPS needs both --certificate and --key, PEM files")
    guarded = Certificate(chain=certificate, key=key) if certificate is not None and key is not None else None
    if tokens is None:
        err().print("no tokens: whoever is on this machine may see and answer everything", markup=False)
    run(run_api(settings, load_routes(settings.routes), Address(host=host, port=port), tokens, guarded))
