"""A folder feed put together: its journal, its folders, and whether files may be moved at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from schemas.errors import ConfigurationError
from streams.feeds.admission import Admits
from streams.feeds.folder.feed import FolderFeed
from streams.feeds.folder.journal import open_journal
from streams.feeds.folder.share import Share
from streams.feeds.folder.shelf import Shelf
from streams.feeds.folder.taking import Source
from streams.feeds.folder.tally import Tally

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a folder feed reads and writes.

    Attributes
    ----------
    home : Path
        ``DIASTOLE_HOME``, for the journal.
    accepted, quarantined : Path
        Where files go; relative ones lie in the folder.
    """

    folder: Path
    home: Path
    accepted: Path = Path("accepted")
    quarantined: Path = Path("quarantined")


@contextmanager
def open_folder_feed(
    gateway: Admits, places: Places, source: Source, on_change: Callable[[Tally], None]
) -> Iterator[FolderFeed]:
    """Open a feed on a folder. Where nothing can be moved, files stay, as with ``rules.keeps_files``.

    Raises
    ------
    ConfigurationError
        When there is no such folder, or another process takes from it.
    """
    folder = require_folder(places)
    shelf = Shelf(root=folder, accepted=folder / places.accepted, quarantined=folder / places.quarantined)
    keeps_files = source.rules.keeps_files
    with open_journal(places.home, folder) as journal:
        if not keeps_files and not shelf.prepare():
            keeps_files = True
            log.warning(
                "folder_files_stay",
                source=source.origin.source,
                reason="the feed may not write there",
                do="nothing, if that is meant (--keep says so); else let it write in the folder",
            )
        yield FolderFeed(
            gateway,
            Share(folder, (shelf.accepted, shelf.quarantined)),
            journal,
            None if keeps_files else shelf,
            replace(source, rules=replace(source.rules, keeps_files=keeps_files)),
            on_change=on_change,
        )


def require_folder(places: Places) -> Path:
    """Return the folder without links in its path.

    Raises
    ------
    ConfigurationError
        When there is none.
    """
    try:
        folder = places.folder.resolve(strict=True)
    except OSError as error:
        raise ConfigurationError(
            f"the folder cannot be opened: {error.strerror}; check the path, or mount the share"
        ) from None
    if not folder.is_dir():
        raise ConfigurationError("the path is no folder; name the folder that ECG files are put into")
    return folder
