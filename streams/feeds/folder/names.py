"""What a file's name says before it is opened: not finished, not an ECG, or part of a WFDB record."""

from pathlib import PurePosixPath
from typing import Final

#: What programs call a file while they write it (copy tools, browsers, FTP and SFTP servers, editors).
_UNFINISHED: Final = (
    ".tmp",
    ".temp",
    ".part",
    ".partial",
    ".filepart",
    ".crdownload",
    ".download",
    ".writing",
    ".incomplete",
    ".swp",
    ".lock",
)

#: What Windows and its file servers put into any folder.
_NOT_OURS: Final = frozenset({"thumbs.db", "desktop.ini"})

_HEADER: Final = ".hea"

#: Ends of WFDB signal files that cannot be read without their header: PhysioNet's own, and PTB's Frank leads.
_SIGNALS: Final = frozenset({".dat", ".xyz"})


def is_taken_note_of(name: str) -> bool:
    """Whether a file or folder of this name is looked at: not hidden, not being written.

    >>> [is_taken_note_of(name) for name in ("a.dcm", "a.dcm.part", "~a.dcm", "a.dcm~", ".a.dcm")]
    [True, False, False, False, False]
    """
    lower = name.lower()
    is_marked = lower.startswith((".", "~")) or lower.endswith("~")
    return not (is_marked or lower.endswith(_UNFINISHED) or lower in _NOT_OURS)


def is_header(path: str) -> bool:
    """Whether this is a WFDB header, which names the signal files beside it."""
    return PurePosixPath(path).suffix.lower() == _HEADER


def needs_a_header(path: str) -> bool:
    """Whether this is a WFDB signal file, which means nothing alone."""
    return PurePosixPath(path).suffix.lower() in _SIGNALS


def beside(path: str, name: str) -> str:
    """Path of ``name`` in the folder of ``path``.

    >>> beside("ward/ecg.hea", "ecg.dat"), beside("ecg.hea", "ecg.dat")
    ('ward/ecg.dat', 'ecg.dat')
    """
    return str(PurePosixPath(path).parent / name)
