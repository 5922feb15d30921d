"""A real ``diastole api``, started as an operator would."""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from ops.services.ports import LOOPBACK, free_port
from ops.services.process import Server, ServerCommand

START_WITHIN_S = 120.0

#: The command under its own name, whether or not the entry already lists it.
_ENTRY = "from ops.cli import main; from ops.cli.api import api; main.app.command()(api); main.main()"


def api_server(bootstrap: str, redis_url: str, tokens: Path, folder: Path) -> Server:
    """Describe one; it is started and stopped as a test likes."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    given = {"broker": bootstrap, "redis_url": redis_url, "home": folder / "home", "log_format": "json"}
    environment = {f"DIASTOLE_{name.upper()}": str(setting) for name, setting in given.items()}
    options = ["--port", str(port), "--tokens", str(tokens), "--metrics-port", "0"]
    return Server(
        ServerCommand(
            name="api",
            argv=[sys.executable, "-c", _ENTRY, "api", *options],
            folder=folder,
            port=port,
            answers=is_ready,
            start_within_s=START_WITHIN_S,
            stop_within_s=30.0,
            environment={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
                **environment,
            },
        )
    )


def is_ready(port: int) -> bool:
    """Whether its book is current and Redis answers."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False
