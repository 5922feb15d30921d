"""A process that reads deliveries, one at a time, in bounds that nothing it is sent can leave.

::

    python -m streams.feeds.reading_process      its standard input is a socket to the gateway

It imports the readers once, then takes away from itself what reading needs not: memory beyond the limit, time
(an alarm ends it in the middle of whatever it does), core dumps, the network, other programs, and its output,
where libraries quote what they stumble over. It ends when the socket closes.
"""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from schemas.leads import LEADS_12
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.plausibility import require_plausible_waveform
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.leads import missing_leads
from streams.feeds.readers.options import ReadOptions
from streams.feeds.reading_frames import (
    LENGTH,
    OUT_OF_MEMORY,
    WAITING_TIMES,
    Answer,
    Asked,
    Orders,
    asked_of,
    framed,
)
from streams.feeds.recognition import FORMATS, Format
from streams.feeds.refusal import FeedRefusedError, RefusalReason

_resource: ModuleType | None
try:
    import resource as _resource
except ImportError:
    # Windows bounds no process: time is then bounded by the gateway alone, memory by the sizes that readers
    # check themselves.
    _resource = None

#: A reader that keeps more than this share of its memory after a document is replaced: the next one would
#: have less than the limit promises.
_KEPT_SHARE: Final = 0.25

#: What a reader of files has no business with, by the beginnings of Python's audit events (PEP 578). A fence
#: behind the readers' own: they open nothing that a document names.
_FORBIDDEN: Final = (
    "ftplib.",
    "http.client.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "socket.bind",
    "socket.connect",
    "socket.get",
    "socket.sendto",
    "subprocess.",
    "urllib.",
)


#: What reads one delivery.
Read = Callable[[Document, ReadOptions, ReadLimits], Reading]


def read_plausible(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    """Read one delivery and refuse samples that no ECG has.

    Raises
    ------
    FeedRefusedError
        As :func:`streams.feeds.read.read` and :func:`streams.feeds.plausibility.require_plausible_waveform`.
    """
    reading = read(document, options, limits)
    require_plausible_waveform(reading.ecg)
    return reading


def main(read_one: Read = read_plausible, formats: Sequence[Format] = FORMATS) -> None:
    """Read what the gateway asks for until it asks no more; ``formats`` are loaded before the first."""
    # Ctrl-C and a stop of the whole service are the gateway's to answer; it closes the socket when done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel = socket.socket(fileno=os.dup(0))
    orders = _received(channel)
    if not isinstance(orders, Orders):
        return
    for known in formats:
        known.load()
    missing_leads(LEADS_12)  # the first use of linear algebra takes its buffers, which are no document's
    _confine(orders)
    channel.sendall(framed(Answer()))
    try:
        _answer_all(channel, orders.limits, read_one)
    except MemoryError:  # while it received or answered; read() itself refuses
        sys.exit(OUT_OF_MEMORY)


def _answer_all(channel: socket.socket, limits: ReadLimits, read_one: Read) -> None:
    mapped_at_rest, resident_at_rest = _bytes_of("VmSize"), _bytes_of("VmRSS")
    while isinstance(asked := _received(channel), Asked):
        _alarm(limits.timeout_s)
        answer = _answered(asked, limits, read_one)
        _alarm(0.0)
        answer.peak_bytes = max(0, _bytes_of("VmHWM") - resident_at_rest)
        answer.retires = _bytes_of("VmSize") - mapped_at_rest > _KEPT_SHARE * limits.memory_bytes
        channel.sendall(framed(answer))


def _answered(asked: Asked, limits: ReadLimits, read_one: Read) -> Answer:
    try:
        return Answer(reading=read_one(asked.document, asked.options, limits))
    except FeedRefusedError as refusal:
        return Answer(refusal=refusal)


def _received(channel: socket.socket) -> Orders | Asked | None:
    """Await the next message; None when the gateway has closed the socket."""
    head = _exactly(channel, LENGTH.size)
    body = _exactly(channel, LENGTH.unpack(head)[0]) if head else b""
    return asked_of(body) if body else None


def _exactly(channel: socket.socket, n_bytes: int) -> bytearray:
    """Receive so many bytes; none when the socket closes before."""
    received = bytearray(n_bytes)
    view = memoryview(received)
    while view:
        n_more = channel.recv_into(view)
        if not n_more:
            return bytearray()
        view = view[n_more:]
    return received


def _confine(orders: Orders) -> None:
    tempfile.tempdir = orders.scratch
    sys.addaudithook(_forbid)
    _silence()
    if _resource is not None:
        _limit(_resource, "RLIMIT_CORE", 0)
        # Files only for libraries that read nothing else: a delivery and what it swells to.
        _limit(_resource, "RLIMIT_FSIZE", orders.limits.max_bytes + orders.limits.max_swollen_bytes)
        if mapped := _bytes_of("VmSize"):
            _limit(_resource, "RLIMIT_AS", mapped + orders.limits.memory_bytes)


def _limit(resource: ModuleType, name: str, most: int) -> None:
    which = getattr(resource, name)
    _, hard = resource.getrlimit(which)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (most, most))


def _forbid(event: str, _: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise FeedRefusedError(
            "reading it would open a connection or start a program; remove the reference from it",
            RefusalReason.UNSAFE,
        )


def _silence() -> None:
    """Send to nowhere what libraries print: it quotes the document, and with it the patient."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _alarm(seconds: float) -> None:
    """End this process after so long, whatever it is doing then; 0 calls it off.

    Counted is the processor's time: reading waits for nothing, and a machine with other things to do is no
    fault of the document. A process that does wait is ended a while later.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, WAITING_TIMES * seconds)


def _bytes_of(measure: str) -> int:
    """Return a measure of this process's memory as Linux keeps it (proc(5)); 0 elsewhere."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    line = next(line for line in status.splitlines() if line.startswith(f"{measure}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
