"""What one peer may make the DICOM listener hold and wait for; pynetdicom itself sets no bound to these.

* a PDU that claims gigabytes, or stops in the middle,
* an object of any size, in as many PDUs as it likes,
* a command set of any size,
* further requests while one is being answered.
"""

import socket
import time
from functools import partial
from io import BytesIO
from typing import Any, Final, cast

import structlog
from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket

log = structlog.get_logger()

#: Largest PDU taken, whatever was negotiated: some senders do not keep to it. We ask for 64 KiB.
MAX_PDU_BYTES: Final = 2**20
ASKED_PDU_BYTES: Final = 2**16

#: A C-STORE command set has some 200 bytes.
_MAX_COMMAND_BYTES: Final = 2**14

#: Requests waiting while one is answered; a sender that keeps to the standard has none (PS3.7 §D.3.3.3).
_MAX_WAITING: Final = 1

_CHUNK_BYTES: Final = 2**16


class Overflowed(BytesIO):
    """Stands in for the data set of an object that is too large: holds nothing, takes anything."""

    def write(self, _: Any) -> int:
        """Let go of what came."""
        return 0


class PeerBounds:
    """Holds associations to their bounds.

    Parameters
    ----------
    max_bytes : int
        Of one object.
    timeout_s : float
        A PDU that takes longer to arrive ends its association.
    """

    def __init__(self, max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    def bind(self, event: Event) -> None:
        """Bound what is read from a connection; for EVT_CONN_OPEN, before anything is."""
        transport = cast(AssociationSocket, event.assoc.dul.socket)
        raw = cast(socket.socket, transport.socket)
        transport.recv = partial(self._received, raw)  # type: ignore[method-assign]

    def check(self, event: Event) -> None:
        """Bound what has been gathered of a message; for EVT_PDU_RECV, before the PDU is added to it."""
        dimse = event.assoc.dimse
        message = dimse.message
        command, gathered = (
            (message.encoded_command_set, message.data_set) if message is not None else (None, None)
        )
        if dimse.msg_queue.qsize() > _MAX_WAITING or _size(command) > _MAX_COMMAND_BYTES:
            log.warning("peer_cut_off", feed="dicom", why="more at once than the standard allows")
            event.assoc.abort()
        elif message is not None and _size(gathered) > self._max_bytes:
            message.data_set = Overflowed()

    def _received(self, raw: socket.socket, n_bytes: int) -> bytearray:
        """Read so many bytes within the time; fewer when the peer has closed.

        Raises
        ------
        OSError
            When there would be too many, or they do not come in time; pynetdicom then ends the association.
        """
        if n_bytes > MAX_PDU_BYTES:
            raise OSError(f"a PDU of {n_bytes} bytes, at most {MAX_PDU_BYTES} are taken")
        read, due = bytearray(), time.monotonic() + self._timeout_s
        while len(read) < n_bytes:
            raw.settimeout(max(due - time.monotonic(), 0.001))
            chunk = raw.recv(min(n_bytes - len(read), _CHUNK_BYTES))
            if not chunk:
                break
            read += chunk
        raw.settimeout(self._timeout_s)
        return read


def _size(gathered: BytesIO | None) -> int:
    return gathered.tell() if gathered is not None else 0
