"""Apache Kafka in KRaft mode on one node, broker and controller in one small Java process."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops.services.apache_security import SecuredListeners
from ops.services.folders import new_run_folder
from ops.services.kafka_jars import KAFKA_FOLDER, kafka_classpath
from ops.services.ports import LOOPBACK, free_port
from ops.services.probes import broker_answers
from ops.services.process import ServerCommand
from ops.services.waiting import ServiceError

#: Base64 of the 16 bytes ``diastole-ecg-000``: one node alone needs no id of its own.
_CLUSTER_ID: Final = "ZGlhc3RvbGUtZWNnLTAwMA"

#: A test's broker holds little: a small heap and the quick compiler start it in half the time.
_JAVA_FLAGS: Final = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    f"-Dlog4j2.configurationFile={KAFKA_FOLDER / 'log4j2.properties'}",
)

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
log.dirs={log_dir}
# one node: nothing can be replicated
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
min.insync.replicas=1
default.replication.factor=1
# small: few partitions, few threads, short segments, groups that form at once
num.partitions=1
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=2
num.network.threads=2
num.io.threads=4
background.threads=2
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=16777216
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# a killed node must not be fenced for long when it comes back
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controlled.shutdown.enable=false
# recordings may reach 8 MiB (schemas/recorded.py bounds them), plus room for headers
message.max.bytes=9437184
replica.fetch.max.bytes=9437184
"""

_PLAIN: Final = """\
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}{proxied}
advertised.listeners=PLAINTEXT://{host}:{port}{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiedListener:
    """A second listener, whose clients are told to come to another port: that of a proxy in front of it.

    Attributes
    ----------
    port, advertised_port : int
        Where the broker listens, and what it tells who asked there.
    """

    port: int
    advertised_port: int


def has_apache_kafka() -> bool:
    """Whether Apache Kafka can be started here: Java to run it and Maven to fetch it."""
    return shutil.which("java") is not None and shutil.which("mvn") is not None


def apache_command(
    root: Path, proxied: ProxiedListener | None = None, secured: SecuredListeners | None = None
) -> ServerCommand:
    """Fetch the jars if need be, format a data folder and describe the broker on it.

    Parameters
    ----------
    proxied : ProxiedListener or None
        A second listener beside the plain one, to be reached through a proxy.
    secured : SecuredListeners or None
        Listeners with TLS, users and rules in place of the plain one.

    Raises
    ------
    ServiceError
        When Java or Maven is missing, the jars cannot be had, or formatting fails.
    """
    if not has_apache_kafka():
        raise ServiceError("Apache Kafka needs java (17 or newer) and mvn on PATH; install both")
    classpath = kafka_classpath(root)
    folder, port = new_run_folder(root, "apache"), free_port()
    properties = _write_properties(folder, port, proxied, secured)
    java = ["java", *_JAVA_FLAGS, "-cp", classpath]
    _format_storage(java, properties, [] if secured is None else secured.format_options())
    return ServerCommand(
        name="Apache Kafka",
        argv=[*java, "kafka.Kafka", str(properties)],
        folder=folder,
        port=port,
        answers=broker_answers if secured is None else secured.answers,
        start_within_s=60.0,
        stop_within_s=20.0,
    )


def _write_properties(
    folder: Path, port: int, proxied: ProxiedListener | None, secured: SecuredListeners | None
) -> Path:
    controller_port = free_port()
    own = _PROPERTIES.format(
        host=LOOPBACK, controller_port=controller_port, log_dir=folder / "data" / "kafka"
    )
    if secured is not None:
        listeners = secured.properties(port, controller_port)
    else:
        listeners = _PLAIN.format(
            host=LOOPBACK,
            port=port,
            controller_port=controller_port,
            proxied="" if proxied is None else f",PROXIED://{LOOPBACK}:{proxied.port}",
            advertised="" if proxied is None else f",PROXIED://{LOOPBACK}:{proxied.advertised_port}",
        )
    properties = folder / "server.properties"
    properties.write_text(own + listeners)
    return properties


def _format_storage(java: list[str], properties: Path, options: list[str]) -> None:
    done = subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(properties), *options],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise ServiceError(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")
