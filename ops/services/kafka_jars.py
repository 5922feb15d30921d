"""The jars of Apache Kafka: resolved by Maven from ``ops/kafka/pom.xml``, once for each version of it."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import structlog

from ops.services.waiting import ServiceError

log = structlog.get_logger(__name__)

#: Holds the pom and the logging configuration of the broker.
KAFKA_FOLDER: Final = Path(__file__).resolve().parent.parent / "kafka"

_MAVEN_WITHIN_S: Final = 600.0


def kafka_classpath(root: Path) -> str:
    """Class path of the broker, fetching the jars into ``<root>/kafka-libs/<hash of the pom>`` when missing.

    Safe when several processes ask at once: each fetches into a folder of its own and the first to
    finish gives it its name. Maven's own settings and repository apply.

    Raises
    ------
    ServiceError
        When Maven fails or takes more than ten minutes; the message ends with what it printed.
    """
    pom = KAFKA_FOLDER / "pom.xml"
    folder = root.resolve() / "kafka-libs" / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        _fetch(pom, folder)
    return f"{folder}{os.sep}*"


def _fetch(pom: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    log.info("fetching_kafka_jars", folder=str(folder))
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder.parent))
    try:
        _run_maven(pom, partial)
        _name_unless_named(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _run_maven(pom: Path, target: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={target}", "-DincludeScope=runtime"],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_MAVEN_WITHIN_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"Maven did not fetch Kafka within {_MAVEN_WITHIN_S:g} s; try again") from error
    if done.returncode != 0:
        raise ServiceError(f"Maven could not fetch Kafka:\n{(done.stdout + done.stderr)[-3000:]}")


def _name_unless_named(partial: Path, folder: Path) -> None:
    """Rename, leaving the result of a process that was quicker."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
