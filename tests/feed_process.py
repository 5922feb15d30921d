"""A real way in, started as an operator would: ``diastole feed …`` on a home and a port that outlive it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ops.services.ports import listens
from ops.services.process import Server, ServerCommand

#: Readers and Kafka's client import a second of modules each; with a cold disk it takes many times that.
START_WITHIN_S = 90.0


def feed_server(arguments: Sequence[str], port: int, folder: Path, **settings: object) -> Server:
    """Describe one; it is started, killed and started again as a test likes.

    Parameters
    ----------
    arguments : sequence of str
        After ``diastole feed``; they must make it listen on ``port``.
    folder : Path
        Its log and its DIASTOLE_HOME, the same after a kill.
    """
    folder.mkdir(parents=True, exist_ok=True)
    given = {"home": folder / "home", "log_format": "json", **settings}
    environment = {f"DIASTOLE_{name.upper()}": str(setting) for name, setting in given.items()}
    return Server(
        ServerCommand(
            name=f"feed {arguments[0]}",
            argv=[sys.executable, "-m", "ops.cli", "feed", *arguments],
            folder=folder,
            port=port,
            answers=listens,
            start_within_s=START_WITHIN_S,
            stop_within_s=30.0,
            environment={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )
    )
