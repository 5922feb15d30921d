"""A Kafka-protocol broker of either kind behind one name."""

from pathlib import Path
from typing import Literal

from ops.services.apache import ProxiedListener, apache_command
from ops.services.apache_security import SecuredListeners
from ops.services.embedded import embedded_command
from ops.services.ports import LOOPBACK
from ops.services.process import Server

#: ``embedded`` is Tansu in memory, ``apache`` is Apache Kafka in KRaft mode on disk.
BrokerKind = Literal["embedded", "apache"]


class RunningBroker(Server):
    """A broker that answers metadata requests; see `Server` for its life."""

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return f"{LOOPBACK}:{self.port}"


def start_broker(
    kind: BrokerKind,
    root: Path,
    *,
    proxied: ProxiedListener | None = None,
    secured: SecuredListeners | None = None,
) -> RunningBroker:
    """Start a broker on a free port and wait until it serves.

    Parameters
    ----------
    kind : {"embedded", "apache"}
        Tansu (about 0.1 s, memory only) or Apache Kafka (some seconds, keeps its data over ``kill``).
    root : Path
        ``DIASTOLE_HOME``; the broker gets its own folder below it.
    proxied : ProxiedListener or None
        A second listener of Apache Kafka, to be reached through a proxy; the embedded broker has none.
    secured : SecuredListeners or None
        Listeners of Apache Kafka with TLS, users and rules in place of the plain one; the embedded broker has
        none either.

    Raises
    ------
    ServiceError
        When it cannot be started, with the reason and the tail of its log.

    Examples
    --------
    >>> with start_broker("embedded", Path(".diastole")) as broker:  # doctest: +SKIP
    ...     print(broker.bootstrap)
    127.0.0.1:24817
    """
    command = embedded_command(root) if kind == "embedded" else apache_command(root, proxied, secured)
    return RunningBroker(command).start()
