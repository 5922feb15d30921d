"""A reader process that does what a document's content says; what no known file does to one."""

import ctypes
import os
import signal
import socket
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from schemas.leads import LEADS_12
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.assembly import Found, Reading, assemble
from streams.feeds.readers.options import ReadOptions
from streams.feeds.readers.scaling import Channel
from streams.feeds.reading_process import main

_kept: list[bytearray] = []


def hang(_: str) -> None:
    while True:
        time.sleep(60.0)


def spin(_: str) -> None:
    while True:
        pass


def crash(_: str) -> None:
    ctypes.string_at(0)


def killed(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_once(marker: str) -> None:
    if not Path(marker).exists():
        Path(marker).touch()
        killed("")


def leave(_: str) -> None:
    sys.exit(3)


def swell(n_bytes: str) -> None:
    bytearray(int(n_bytes))


def keep(n_bytes: str) -> None:
    _kept.append(bytearray(int(n_bytes)))


def connect(port: str) -> None:
    socket.create_connection(("127.0.0.1", int(port)))


def litter(_: str) -> None:
    Path(tempfile.mkdtemp(), "left").write_bytes(b"patient")
    killed("")


def say(_: str) -> None:
    print("patient", flush=True)
    print("patient", file=sys.stderr, flush=True)
    os.write(1, b"patient")


_DEEDS = {
    deed.__name__: deed
    for deed in (hang, spin, crash, killed, killed_once, leave, swell, keep, connect, litter, say)
}


def obey(document: Document, options: ReadOptions, limits: ReadLimits) -> Reading:
    order, _, argument = document.content.decode().partition(" ")
    if order in _DEEDS:
        _DEEDS[order](argument)
    return _an_ecg(options, device_id=f"{os.getpid()} {tempfile.gettempdir()}")


def _an_ecg(options: ReadOptions, device_id: str) -> Reading:
    counts = np.arange(12 * 500, dtype=np.int64).reshape(12, 500)
    channels = tuple(
        Channel(name=lead, counts=row, uv_per_count=1.0) for lead, row in zip(LEADS_12, counts, strict=True)
    )
    return assemble(
        Found(
            channels=channels,
            sample_rate_hz=500.0,
            source_format="odd",
            patient_id="P1",
            device_id=device_id,
            acquired_at=datetime(2024, 1, 1, tzinfo=UTC),
        ),
        options,
    )


if __name__ == "__main__":
    main(obey, formats=())
