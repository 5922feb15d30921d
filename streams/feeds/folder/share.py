"""The folder itself: listing it, reading from it, without following links out of it."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import structlog

from streams.feeds.document import Document
from streams.feeds.files import signal_names
from streams.feeds.folder.entries import Bundle, Entry
from streams.feeds.folder.names import is_taken_note_of
from streams.feeds.limits import ReadLimits
from streams.feeds.refusal import FeedRefusedError, RefusalReason

log = structlog.get_logger()

#: Folders within folders that are followed: site, ward, year, month, day, patient, and two to spare.
MAX_DEPTH: Final = 8

#: A header has a line a signal and some comments; more than this is no header.
_MAX_HEADER_BYTES: Final = 2**16

#: A file is not opened through a link that took its place; unknown on Windows, where links need rights.
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class ChangedWhileReadError(OSError):
    """The file is not the one that was listed any more: it settles anew."""


class Share:
    """A folder, usually on a network share.

    Parameters
    ----------
    root : Path
    left_out : collection of Path
        Folders that are not looked into: where files are moved to.
    """

    def __init__(self, root: Path, left_out: Collection[Path] = ()) -> None:
        self._root = root
        self._left_out = {str(folder) for folder in left_out}
        self._n_unreadable = 0

    def listing(self) -> list[Entry]:
        """List the files that may be taken, those in sub-folders too, links and special files left out.

        A sub-folder that cannot be read costs itself; that is logged when their number changes.

        Raises
        ------
        OSError
            When the folder itself cannot be read: not mounted, or no permission.
        """
        unreadable: list[str] = []
        entries = list(self._walk(self._root, "", 0, unreadable))
        if len(unreadable) != self._n_unreadable:
            self._n_unreadable = len(unreadable)
            log.warning("folder_parts_unreadable", n_folders=len(unreadable), do="check their permissions")
        return entries

    def _walk(self, folder: Path, prefix: str, depth: int, unreadable: list[str]) -> Iterator[Entry]:
        try:
            with os.scandir(folder) as found:
                listed = [each for each in found if is_taken_note_of(each.name)]
        except OSError:
            if not prefix:
                raise
            unreadable.append(prefix)
            return
        for each in listed:
            path = f"{prefix}{each.name}"
            try:
                if each.is_dir(follow_symlinks=False):
                    if depth < MAX_DEPTH and each.path not in self._left_out:
                        yield from self._walk(Path(each.path), f"{path}/", depth + 1, unreadable)
                elif each.is_file(follow_symlinks=False):
                    yield _entry(path, each.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue  # gone, or renamed, since it was listed

    def signal_names(self, header: Entry) -> tuple[str, ...]:
        """Names of the signal files that a WFDB header says belong to it, there or not.

        Raises
        ------
        OSError
            When the header is gone or cannot be opened.
        """
        content = self._content(header, _MAX_HEADER_BYTES)
        return signal_names(PurePosixPath(header.path), content)

    def load(self, bundle: Bundle, limits: ReadLimits) -> Document:
        """Read the files of a document.

        Raises
        ------
        ChangedWhileReadError
            When one of them is not what was listed any more.
        OSError
            When one of them is gone or cannot be opened.
        FeedRefusedError
            When together they are larger than a delivery may be.
        """
        n_bytes = sum(entry.n_bytes for entry in bundle.entries)
        if n_bytes > limits.max_bytes:
            raise FeedRefusedError(
                f"{n_bytes} bytes are more than the {limits.max_bytes} of one delivery "
                "(DIASTOLE_FEED_MAX_BYTES); export the 10 s resting ECG alone",
                RefusalReason.TOO_LARGE,
            )
        companions = {
            PurePosixPath(entry.path).name: self._content(entry, limits.max_bytes)
            for entry in bundle.companions
        }
        return Document(
            content=self._content(bundle.main, limits.max_bytes),
            name=PurePosixPath(bundle.main.path).name,
            companions=companions,
        )

    def _content(self, entry: Entry, most: int) -> bytes:
        descriptor = os.open(self._root / entry.path, os.O_RDONLY | _NO_LINK)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(most + 1)
            # After reading: whoever writes meanwhile moves size or time.
            status = os.fstat(file.fileno())
        is_same = (status.st_size, status.st_mtime_ns) == (entry.n_bytes, entry.mtime_ns)
        if not is_same or (len(content) != entry.n_bytes and len(content) <= most):
            raise ChangedWhileReadError("the file changed while it was read")
        return content


def _entry(path: str, status: os.stat_result) -> Entry:
    return Entry(path=path, n_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)
