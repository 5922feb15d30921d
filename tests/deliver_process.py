"""A real ``diastole deliver``, started as an operator would, with a webhook to a receiver of the test."""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from ops.services.ports import LOOPBACK, free_port
from ops.services.process import Server, ServerCommand

START_WITHIN_S = 90.0
SECRET = "0123456789abcdef" * 2

#: The command under its own name, whether or not the entry already lists it.
_ENTRY = (
    "from ops.cli import main; from ops.cli.deliver import deliver; main.app.command()(deliver); main.main()"
)

ROUTES = """
version = "test"
delivered_within_s = 2

[severity]
high_probability = 0.85

[ladder]
high_after_min = {ladder_min}
medium_after_min = [0, 60]

[retry]
attempts = 2
first_s = 0.2
longest_s = 1

[channel.ward]
kind = "webhook"
target = "http://127.0.0.1:{port}/ward"
secret_file = "webhook.key"
timeout_s = 5

[channel.senior]
kind = "webhook"
target = "http://127.0.0.1:{port}/senior"
secret_file = "webhook.key"
timeout_s = 5

[[route]]
name = "ward"
levels = [0]
recipient = "ward doctor"
channels = ["ward"]

[[route]]
name = "senior"
levels = {senior_levels}
recipient = "senior doctor"
channels = ["senior"]
"""


def write_routes(folder: Path, port: int, *high_min: float) -> Path:
    """Write a file of routes with its secret; HIGH goes up after so many minutes each time, MEDIUM late."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "webhook.key").write_text(SECRET)
    ladder_min = [0, *(high_min or (0.05,))]
    senior_levels = list(range(1, len(ladder_min)))
    path = folder / "routes.toml"
    path.write_text(ROUTES.format(port=port, ladder_min=ladder_min, senior_levels=senior_levels))
    return path


def deliver_server(bootstrap: str, routes: Path, folder: Path) -> Server:
    """Describe one; it is started, killed and started again as a test likes."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    given = {"broker": bootstrap, "home": folder / "home", "log_format": "json", "session_timeout_s": 6}
    environment = {f"DIASTOLE_{name.upper()}": str(setting) for name, setting in given.items()}
    options = ["--routes", str(routes), "--metrics-port", str(port), "--inbox-url", "http://inbox.example"]
    return Server(
        ServerCommand(
            name="deliver",
            argv=[sys.executable, "-c", _ENTRY, "deliver", *options],
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
    """Whether it has its partitions and a book that is current."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False
