"""A file as the folder lists it, a document made of such files, and what became of one."""

import os
from dataclasses import dataclass
from hashlib import sha256

from streams.feeds.admission import Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file as it is listed.

    Attributes
    ----------
    path : str
        Below the folder, with ``/``. Often made of a patient's name: it is never logged.
    n_bytes, mtime_ns, inode : int
        Of its status; together with the path they tell a file from one that replaced it.
    """

    path: str
    n_bytes: int
    mtime_ns: int
    inode: int

    def identity(self) -> bytes:
        """SHA-256 of all four: what the journal knows the file by, without its name."""
        whole = sha256(os.fsencode(self.path))
        whole.update(f"\0{self.n_bytes}\0{self.mtime_ns}\0{self.inode}".encode())
        return whole.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The files of one document: a file, and of a WFDB header its signal files as far as they are there.

    Attributes
    ----------
    is_whole : bool
        All files that the header names are there.
    """

    main: Entry
    companions: tuple[Entry, ...] = ()
    is_whole: bool = True

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All its files in the order in which they are moved: the one that tells of the others is last."""
        return (*self.companions, self.main)

    def companions_identity(self) -> bytes:
        """Tell these signal files from others of the same names; empty when there are none."""
        if not self.companions:
            return b""
        return sha256(b"".join(sorted(entry.identity() for entry in self.companions))).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a document; only ever made once it is safe.

    Attributes
    ----------
    message : str
        For the note beside a quarantined file; nothing about a patient.
    """

    ending: Ending
    message: str = ""
    reason: str = ""
    quarantine_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A row of the journal: this document was taken, with these signal files, and became that."""

    identity: bytes
    companions: bytes
    outcome: Outcome

    def is_of(self, bundle: Bundle) -> bool:
        """Whether this is still about the files of ``bundle``.

        A record whose signal files are gone in part was being moved when the feed was killed.
        """
        return not bundle.is_whole or self.companions == bundle.companions_identity()
