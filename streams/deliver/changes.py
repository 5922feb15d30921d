"""Telling several readers which cases changed, without waiting for any of them."""

import asyncio
import weakref
from collections.abc import Iterable


class Changes:
    """Ids that changed since they were last taken: an asynchronous iterator for one reader.

    What changes twice before it is taken is told once: a slow reader costs one entry per case at most.
    """

    def __init__(self) -> None:
        self._pending: dict[str, None] = {}
        self._told = asyncio.Event()
        self._has_ended = False

    def __aiter__(self) -> "Changes":
        return self

    async def __anext__(self) -> str:
        """Return the id that waits longest; ends when the book is closed."""
        await self._told.wait()
        if not self._pending:
            raise StopAsyncIteration
        changed = next(iter(self._pending))
        del self._pending[changed]
        self._settle()
        return changed

    async def all(self) -> frozenset[str]:
        """Wait until something changed and return all that did; empty once the book is closed.

        Cancelling the wait loses nothing.
        """
        await self._told.wait()
        changed = frozenset(self._pending)
        self._pending.clear()
        self._settle()
        return changed

    def tell(self, changed: Iterable[str]) -> None:
        """Note ids that changed; never waits."""
        self._pending.update(dict.fromkeys(changed))
        self._settle()

    def end(self) -> None:
        """Let the reader end once it took what is there."""
        self._has_ended = True
        self._settle()

    def _settle(self) -> None:
        if self._pending or self._has_ended:
            self._told.set()
        else:
            self._told.clear()


class Readers:
    """All who want to know; one that is no longer held anywhere is forgotten by itself."""

    def __init__(self) -> None:
        self._readers: weakref.WeakSet[Changes] = weakref.WeakSet()

    def add(self) -> Changes:
        """Return the changes from now on, for one more reader."""
        reader = Changes()
        self._readers.add(reader)
        return reader

    def tell(self, *changed: str) -> None:
        """Tell all of them."""
        for reader in tuple(self._readers):
            reader.tell(changed)

    def end(self) -> None:
        """Let all of them end."""
        for reader in tuple(self._readers):
            reader.end()
