"""Keeping a folder feed going: until nothing is left, or until it is told to stop."""

import asyncio
import contextlib

from streams.feeds.folder.feed import FolderFeed


async def take_backlog(feed: FolderFeed, stop: asyncio.Event) -> bool:
    """Take what is there; False when it was told to stop before the end.

    Files that cannot be opened are tried once; while Kafka or the folder is away, it waits for them.
    """
    await _go_on(feed, stop, until_done=True)
    return feed.is_done()


async def watch(feed: FolderFeed, stop: asyncio.Event) -> None:
    """Take what comes in until ``stop`` is set; what is in flight then ends as usual."""
    await _go_on(feed, stop, until_done=False)


async def _go_on(feed: FolderFeed, stop: asyncio.Event, *, until_done: bool) -> None:
    stopping = asyncio.create_task(_stop(feed, stop))
    try:
        while not stop.is_set():
            pause_s = await feed.step()
            if until_done and feed.is_done():
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)
    finally:
        stopping.cancel()


async def _stop(feed: FolderFeed, stop: asyncio.Event) -> None:
    await stop.wait()
    feed.stop()
