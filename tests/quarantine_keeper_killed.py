"""A keeper that is killed between the content of a delivery and its record; for tests, by SIGKILL.

``python tests/quarantine_keeper_killed.py BOOTSTRAP KEY_HEX N``: keeps N deliveries, writing ``kept ID`` of
each once Kafka has acknowledged it, and is dead before the record of the next is written.
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace

from quarantine_in_memory import delivery_of

from schemas.codec import Codec
from schemas.quarantine import EcgQuarantined, QuarantineAct
from schemas.registry import FileRegistry
from streams.feeds.quarantine.keeper import Keeper
from streams.feeds.quarantine.opening import open_quarantine
from streams.feeds.quarantine.ports import KnowsEntries
from streams.feeds.refusal import FeedRefusedError, RefusalReason
from streams.feeds.sealing import Sealer

REFUSAL = FeedRefusedError("names no patient", RefusalReason.NO_PATIENT)


def content_of(n: int) -> bytes:
    """The n-th delivery's content, two pieces of it."""
    return b"%d" % n * 700_000


class KilledBefore:
    """A log whose next record after so many finds the process dead."""

    def __init__(self, log: KnowsEntries, n_records: int) -> None:
        self._log = log
        self._left = n_records
        self.entries = log.entries
        self.catch_up = log.catch_up

    async def append(self, record: EcgQuarantined | QuarantineAct) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        await self._log.append(record)


async def keep(bootstrap: str, key: bytes, n: int) -> None:
    async with open_quarantine(bootstrap, Codec(FileRegistry()), Sealer(key)) as store:
        keeper = Keeper(replace(store, log=KilledBefore(store.log, n)))
        for number in range(n + 1):
            sys.stdout.write(f"kept {await keeper.keep(delivery_of(content_of(number)), REFUSAL)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(keep(sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])))
