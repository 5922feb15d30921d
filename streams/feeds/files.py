"""ECG files on disk as documents: each with the files that belong to it."""

from pathlib import Path, PurePath
from typing import Final

from streams.feeds.document import Document
from streams.feeds.limits import DEFAULT_LIMITS, ReadLimits
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: A WFDB header names its signal files; ``.hea`` is the one format of several files.
_HEADER: Final = ".hea"


def read_file(path: Path, options: ReadOptions | None = None, limits: ReadLimits = DEFAULT_LIMITS) -> Reading:
    """Read one ECG file in this process; :func:`streams.feeds.read.read` with its file opened.

    Raises
    ------
    FeedRefusedError
        When the file cannot be opened, read, or become a 12-lead ECG.
    """
    return read(document_at(path, limits), options, limits)


def document_at(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Document:
    """Load a file, with the signal files beside it where it is a WFDB header.

    Raises
    ------
    FeedRefusedError
        When it cannot be opened or is larger than a delivery may be.
    """
    try:
        content = _load(path, limits)
        companions = {name: _load(path.parent / name, limits) for name in companion_names(path, content)}
    except OSError as error:
        raise FeedRefusedError(
            f"cannot be opened: {error.strerror}; check the path and its permissions"
        ) from error
    return Document(content=content, name=path.name, companions=companions)


def companion_names(path: Path, content: bytes) -> tuple[str, ...]:
    """Name the files beside a WFDB header that it says hold its signals, as far as they are there."""
    return tuple(name for name in signal_names(path, content) if (path.parent / name).is_file())


def signal_names(path: PurePath, content: bytes) -> tuple[str, ...]:
    """Name the files that a WFDB header says hold its signals, there or not; none of any other file."""
    if path.suffix.lower() != _HEADER:
        return ()
    lines = content.decode("latin-1").splitlines()
    # Each signal line begins with the name of its file; a name with a folder in it is not followed.
    names = {line.split()[0] for line in lines[1:] if line.strip() and not line.startswith("#")}
    return tuple(sorted(name for name in names if Path(name).name == name and _is_no_header(name)))


def _is_no_header(name: str) -> bool:
    return PurePath(name).suffix.lower() != _HEADER


def _load(path: Path, limits: ReadLimits) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(limits.max_bytes + 1)
    if len(content) > limits.max_bytes:
        raise FeedRefusedError(
            f"the file is larger than the {limits.max_bytes} bytes of one delivery "
            "(DIASTOLE_FEED_MAX_BYTES); export the 10 s resting ECG alone",
            RefusalReason.TOO_LARGE,
        )
    return content
