"""Asking a server, in its own protocol, whether it can serve: a port that accepts is not yet a broker."""

import socket
import ssl
import struct
from contextlib import ExitStack
from typing import Final

from ops.services.ports import LOOPBACK

_TIMEOUT_S: Final = 2.0

# Kafka request, big-endian: length i32 | api_key i16 | api_version i16 | correlation_id i32 |
#   client_id (i16 length + bytes) | body
# Metadata (api 3, version 4) body: topics i32 array, of which 0 entries are asked | allow_auto_create i8
_METADATA_KEY: Final = 3
_METADATA_VERSION: Final = 4
_CLIENT: Final = b"diastole-probe"
_REQUEST: Final = struct.pack(
    f">hhih{len(_CLIENT)}sib", _METADATA_KEY, _METADATA_VERSION, 1, len(_CLIENT), _CLIENT, 0, 0
)
# Response: length i32 | correlation_id i32 | throttle_ms i32 | number of brokers i32 | ...
_RESPONSE_HEAD: Final = struct.Struct(">iiii")


def broker_answers(port: int, tls: ssl.SSLContext | None = None) -> bool:
    """Whether a Kafka-protocol broker on this port names at least one live broker in its metadata.

    A broker in KRaft mode accepts connections before it has registered; its metadata is empty until then.
    """
    head = _ask(port, struct.pack(">i", len(_REQUEST)) + _REQUEST, _RESPONSE_HEAD.size, tls)
    if len(head) < _RESPONSE_HEAD.size:
        return False
    _, _, _, n_brokers = _RESPONSE_HEAD.unpack(head)
    return bool(n_brokers > 0)


def redis_answers(port: int, tls: ssl.SSLContext | None = None) -> bool:
    """Whether a Redis on this port answers PING; not while it is still loading its data.

    One that asks who comes answers too, that it does.
    """
    return _ask(port, b"PING\r\n", len(b"+PONG"), tls) in (b"+PONG", b"-NOAU")


def _ask(port: int, request: bytes, n_bytes: int, tls: ssl.SSLContext | None = None) -> bytes:
    """Send ``request`` and read up to ``n_bytes`` of the answer; empty when nobody answers."""
    answer = b""
    try:
        with ExitStack() as opened:
            connection = opened.enter_context(socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT_S))
            if tls is not None:
                connection = opened.enter_context(tls.wrap_socket(connection, server_hostname=LOOPBACK))
            connection.sendall(request)
            while len(answer) < n_bytes and (part := connection.recv(n_bytes - len(answer))):
                answer += part
    except OSError:
        return b""
    return answer
