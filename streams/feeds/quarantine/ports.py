"""What keeping and acting need of Kafka, as ports that tests can stand in for."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from schemas.quarantine import EcgQuarantined, Piece, QuarantineAct
from streams.feeds.quarantine.fold import Entry


class KnowsEntries(Protocol):
    """The quarantine's records; see :class:`streams.feeds.quarantine.log.QuarantineLog`."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Entries by id, as up to date as the last :meth:`catch_up`."""
        ...

    async def catch_up(self) -> None:
        """Read what was written by anybody before this call."""

    async def append(self, record: EcgQuarantined | QuarantineAct) -> None:
        """Write one record."""


class HoldsContent(Protocol):
    """The deliveries' bytes; see :class:`streams.feeds.quarantine.content.QuarantineContent`."""

    @property
    def is_sealed(self) -> bool:
        """Whether what is written can only be read with the key."""
        ...

    async def write(self, quarantine_id: str, opening: int, pieces: Sequence[bytes]) -> tuple[Piece, ...]:
        """Write pieces in order and say where they lie."""
        ...

    async def read(self, entry: Entry) -> list[bytes]:
        """Read all pieces of a delivery."""
        ...

    async def remove(self, entry: Entry) -> None:
        """Write tombstones for them."""
