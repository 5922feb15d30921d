"""One reader process, from the side that asks it: started clean, asked one thing at a time, ended at once."""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Final

from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.options import ReadOptions
from streams.feeds.reading_frames import (
    LENGTH,
    OUT_OF_MEMORY,
    WAITING_TIMES,
    Answer,
    Asked,
    Orders,
    answer_of,
    framed,
    longest_answer,
)

#: A reader ends itself by its alarms; after so much longer (s) it is ended from here, where there are none.
_GRACE_S: Final = 1.0

#: How readers end (as Popen tells it) on their alarm, and for want of memory: on their own, by the system.
TOO_SLOW: Final = tuple(-int(getattr(signal, name, 14)) for name in ("SIGALRM", "SIGPROF"))
SHORT_OF_MEMORY: Final = (OUT_OF_MEMORY, -9)

#: Longest start, s: importing the readers takes one on an idle machine.
_START_S: Final = 60.0

#: A reader works on one thread: a pool of threads of its own for each would only cost memory.
_ONE_THREAD: Final = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB", "NUMEXPR")
}

#: What asyncio takes from a socket at a time, bytes; an answer of a 10 s ECG has some 120 kB.
_BUFFER_BYTES: Final = 2**20


class ReaderLostError(Exception):
    """A reader ended without an answer; ``returncode`` as Popen's."""

    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode


class ReaderChild:
    """One reader process, from here."""

    def __init__(self, limits: ReadLimits, command: Sequence[str]) -> None:
        self._limits = limits
        self._scratch = TemporaryDirectory(prefix="reader-", ignore_cleanup_errors=True)
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        with theirs:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 — no shell, our own words
                command, stdin=theirs.fileno(), env={**os.environ, **_ONE_THREAD}
            )
        self._answers: asyncio.StreamReader | None = None
        self._orders: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def begin(self) -> None:
        """Wait until it is ready; raises ReaderLostError."""
        self._answers, self._orders = await asyncio.open_connection(sock=self._ours, limit=_BUFFER_BYTES)
        await self._exchange(Orders(limits=self._limits, scratch=self._scratch.name), _START_S)

    async def read(self, document: Document, options: ReadOptions) -> Answer:
        """Have one document read; raises ReaderLostError."""
        return await self._exchange(
            Asked(document=document, options=options), WAITING_TIMES * self._limits.timeout_s + _GRACE_S
        )

    async def end(self) -> int:
        """End it at once, whatever it does; return how it ended. Ending it again changes nothing."""
        if self._orders is None:
            self._ours.close()
        else:
            self._orders.transport.abort()
        returncode = self._process.poll()
        if returncode is None:
            # Closed sockets end it too, but not while it reads.
            self._process.kill()
            returncode = await asyncio.to_thread(self._process.wait)
        await asyncio.to_thread(self._scratch.cleanup)
        return returncode

    async def _exchange(self, message: Orders | Asked, within_s: float) -> Answer:
        if self._answers is None or self._orders is None:
            raise ReaderLostError(0)
        try:
            async with asyncio.timeout(within_s):
                self._orders.write(framed(message))
                await self._orders.drain()
                (n_bytes,) = LENGTH.unpack(await self._answers.readexactly(LENGTH.size))
                if n_bytes > longest_answer(self._limits):
                    raise ReaderLostError(0)
                return answer_of(await self._answers.readexactly(n_bytes))
        except TimeoutError:
            raise ReaderLostError(TOO_SLOW[0]) from None
        except (asyncio.IncompleteReadError, OSError, pickle.UnpicklingError):
            # Its socket closed, so it is ending: how, is worth waiting for.
            raise ReaderLostError(await self._returncode()) from None

    async def _returncode(self) -> int:
        try:
            return await asyncio.to_thread(self._process.wait, _GRACE_S)
        except subprocess.TimeoutExpired:
            return 0
