"""The HTTP feed as a server: where it listens, how long it waits for a sender, how it ends."""

import asyncio
import logging
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from schemas.errors import ConfigurationError
from streams.feeds.http.asking import is_loopback

log = structlog.get_logger()

#: Longest time from a connection, or from the answer before, to a whole request head, s.
HEAD_S: Final = 20.0

#: Connections at a time; one more is answered 503. Each holds a body only as far as there is room.
MAX_CONNECTIONS: Final = 512
_BACKLOG: Final = 256

#: An ASGI application.
Application = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen.

    Attributes
    ----------
    port : int
        0 takes a free one.
    """

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """With what it speaks HTTPS: PEM files of the certificate's chain and of its key."""

    chain: Path
    key: Path


def require_guarded(host: str, *, has_tokens: bool) -> None:
    """Refuse to listen where others reach it without tokens.

    Raises
    ------
    ConfigurationError
        When there are no tokens and the address is none of loopback.
    """
    if not has_tokens and not is_loopback(host):
        raise ConfigurationError(
            f"without tokens the HTTP feed listens on loopback alone, not on {host}: make one with "
            "`diastole token new NAME` and set DIASTOLE_FEED_TOKENS, or use --host 127.0.0.1"
        )


async def serve_http(
    app: Application,
    listening: socket.socket,
    stop: asyncio.Event,
    drain_budget_s: float,
    certificate: Certificate | None = None,
    head_s: float = HEAD_S,
) -> None:
    """Serve until ``stop`` is set, then take nothing new and end what is under way within the budget.

    Parameters
    ----------
    listening : socket
        Of :func:`listen`; closed at the end.
    head_s : float
        Longest time from a connection, or from the answer before, to a whole request head, s.

    Raises
    ------
    ConfigurationError
        When the certificate cannot be used.
    """
    try:
        server = _Server(_config(app, certificate, drain_budget_s, head_s))
    except (OSError, ValueError) as error:
        listening.close()
        raise ConfigurationError(
            f"certificate or key cannot be used ({type(error).__name__}); give both as PEM files"
        ) from None
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    host, port = listening.getsockname()[:2]
    log.info("http_listens", host=host, port=port, tls=certificate is not None)
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving
    log.info("http_ended")


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _ImpatientProtocol(H11Protocol):
    """Closes connections on which no request begins, or none that ends its head.

    uvicorn itself bounds only the time between two requests, and ends that with their first byte.
    """

    patience_s = HEAD_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle = self.loop.call_later(self.patience_s, self._give_up)

    def on_response_complete(self) -> None:
        self._waiting.cancel()
        self._waiting = self.loop.call_later(self.patience_s, self._give_up)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and not self.transport.is_closing():
            self.transport.close()


def _config(
    app: Application, certificate: Certificate | None, drain_budget_s: float, head_s: float
) -> uvicorn.Config:
    class Impatient(_ImpatientProtocol):
        patience_s = head_s

    tls: dict[str, Any] = {}
    if certificate is not None:
        tls = {"ssl_certfile": certificate.chain, "ssl_keyfile": certificate.key}
    config = uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # addresses may carry a patient's identifier
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=int(HEAD_S),
        timeout_graceful_shutdown=max(int(drain_budget_s), 1),
        **tls,
    )
    config.load()
    uvicorn_log = logging.getLogger("uvicorn.error")
    if not any(isinstance(known, _TypesAlone) for known in uvicorn_log.filters):
        uvicorn_log.addFilter(_TypesAlone())
    return config


class _TypesAlone(logging.Filter):
    """Says in our log what uvicorn says; of an error type and place, since its text may quote a patient."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.exc_info or record.exc_info[1] is None:
            log.warning("http_server", said=record.getMessage())
            return False
        error, trace = record.exc_info[1], record.exc_info[2]
        frames = traceback.extract_tb(trace)
        at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        log.error("http_request_failed", error=type(error).__name__, at=at, then="answered 500; report it")
        return False


def listen(address: Address) -> socket.socket:
    """Listen; whoever connects from now on waits until somebody serves.

    Raises
    ------
    ConfigurationError
        When that address cannot be listened on: taken by another process, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # Named as TCP, or asyncio does not know that it may switch Nagle's delay off: 40 ms an answer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"HTTP cannot listen at {address.host}:{address.port} ({error.strerror}); "
            "free the port, or choose another with --host and --port"
        ) from None
    return listening
