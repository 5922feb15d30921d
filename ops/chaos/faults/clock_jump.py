"""A worker's wall clock jumps while it works, ahead or back; by libfaketime, which Debian packages."""

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.chaos.faults.outage import lasts, one_worker

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster

#: Where Debian's package of the same name puts the library for programs with threads.
_PLACES: Final = "/usr/lib/*/faketime/libfaketimeMT.so.1"

#: A clock that was set by hand, the hour of daylight saving, more than Kafka's hour ahead, a day back.
_JUMPS_S: Final = (90, -90, 3600, -3600, 7200, -86_400)

_LASTS_S: Final = (5.0, 10.0)

#: Only what a person or NTP can set jumps: waiting counts on the monotonic clock.
_FAKED: Final = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1"}


class ClockJump:
    """Run one worker on a clock of its own and let that jump, and jump back."""

    kind: Final = "clock-jump"

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Say why not: the library may not be installed."""
        return None if faking_library() else "needs libfaketime; on Debian: apt-get install libfaketime"

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Restart with the library, jump, jump back, restart without it."""
        worker, jump_s, library = one_worker(cluster, chance), chance.choice(_JUMPS_S), faking_library()
        if library is None:
            return "no library to make a clock jump with"
        offset_file = worker.folder / "clock-offset"
        offset_file.write_text("+0\n")
        faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(offset_file), **_FAKED}
        worker.environment.update(faked)
        try:
            await asyncio.to_thread(worker.restart)
            await cluster.until_ready([worker.name])
            offset_file.write_text(f"{jump_s:+d}\n")
            seconds = await lasts(chance, *_LASTS_S)
            offset_file.write_text("+0\n")
        finally:
            for name in faked:
                worker.environment.pop(name, None)
            await asyncio.to_thread(worker.restart)
        return f"clock of {worker.name} jumped by {jump_s:+d} s for {seconds:g} s"


def faking_library() -> Path | None:
    """Path of libfaketime; None where it is not installed."""
    return next(iter(sorted(Path("/").glob(_PLACES.lstrip("/")))), None)
