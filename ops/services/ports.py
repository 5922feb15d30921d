"""Free loopback ports that stay ours while a server restarts."""

import random
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"

# Below 32768, where Linux starts to hand out ports of outgoing connections: a client's connection can
# then never occupy the port of a server that was killed and is about to come back on it.
_PORTS: Final = range(20_000, 32_000)
_TRIES: Final = 200

#: Of the system: a seeded one would give processes that were seeded alike the same ports at one time.
_CHANCE: Final = random.SystemRandom()


def free_port() -> int:
    """Find a loopback port nobody listens on.

    Raises
    ------
    OSError
        When 200 random ports were all taken.
    """
    for _ in range(_TRIES):
        port = _CHANCE.choice(_PORTS)
        if _is_free(port):
            return port
    raise OSError(f"no free port found in {_PORTS.start}-{_PORTS.stop}; stop servers nobody needs")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
