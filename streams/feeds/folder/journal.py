"""What was taken from a folder, written down before a file is moved, so that none is read twice."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final

from schemas.errors import ConfigurationError, FatalError
from streams.feeds.admission import Ending
from streams.feeds.folder.entries import Outcome, Taken

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS taken (
    identity BLOB PRIMARY KEY,
    companions BLOB NOT NULL,
    ending TEXT NOT NULL,
    message TEXT NOT NULL,
    reason TEXT NOT NULL,
    quarantine_id TEXT NOT NULL
) WITHOUT ROWID
"""

#: Longest wait for a process that is just ending, s.
_BUSY_S: Final = 1.0


class JournalUnwritableError(FatalError):
    """What was taken cannot be written down; going on would read files again after a restart."""

    code = "JOURNAL_UNWRITABLE"


class Journal:
    """Documents taken and not yet moved; of a folder that keeps its files, all documents taken.

    Holds digests, never a file's name. Calls must not overlap; they may come from any thread.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._taken = {row.identity: row for row in _rows(connection)}
        self._forgotten: list[bytes] = []

    @property
    def taken(self) -> Mapping[bytes, Taken]:
        """All rows, by identity of the document's main file."""
        return MappingProxyType(self._taken)

    def write(self, rows: Sequence[Taken]) -> None:
        """Add rows; they are on disk when this returns. Adding one again changes nothing.

        Raises
        ------
        JournalUnwritableError
            When the disk does not take them.
        """
        try:
            with self._connection:
                self._connection.executemany(
                    "DELETE FROM taken WHERE identity = ?", [(each,) for each in self._forgotten]
                )
                self._connection.executemany(
                    "INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?, ?, ?)", map(_columns, rows)
                )
        except sqlite3.Error as error:
            raise JournalUnwritableError(
                f"the journal of the folder cannot be written ({error}); free space under DIASTOLE_HOME "
                "and start the feed again"
            ) from None
        self._forgotten.clear()
        self._taken.update((row.identity, row) for row in rows)

    def forget(self, identities: Iterable[bytes]) -> None:
        """Drop rows of files that were moved, with the next :meth:`write`: losing this harms nothing."""
        for identity in identities:
            if self._taken.pop(identity, None) is not None:
                self._forgotten.append(identity)


@contextmanager
def open_journal(home: Path, folder: Path) -> Iterator[Journal]:
    """Open the journal of a folder, made where it is missing, and hold it against other processes.

    Parameters
    ----------
    home : Path
        ``DIASTOLE_HOME``; it lies below ``feeds/folder`` there, under a digest of the folder's path.

    Raises
    ------
    ConfigurationError
        When another process takes from the same folder, or the journal cannot be opened.
    """
    place = home / "feeds" / "folder" / sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"no journal can be kept under DIASTOLE_HOME ({error.strerror}); make that folder writable"
        ) from None
    with closing(_connection(place / "journal.sqlite")) as connection:
        journal = Journal(connection)
        yield journal
        journal.write(())


def _connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
    try:
        # Held until the connection closes or the process dies, however it dies.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a row must outlive the power
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute(_TABLE)
        connection.commit()
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise ConfigurationError(
                "another process takes ECGs from this folder already; end that one first"
            ) from None
        raise ConfigurationError(
            f"the folder's journal under DIASTOLE_HOME cannot be used ({error}); move it away: "
            "files still in the folder are then read once more, which changes nothing"
        ) from None
    return connection


def _columns(row: Taken) -> tuple[bytes, bytes, str, str, str, str]:
    outcome = row.outcome
    return (
        row.identity,
        row.companions,
        outcome.ending.value,
        outcome.message,
        outcome.reason,
        outcome.quarantine_id,
    )


def _rows(connection: sqlite3.Connection) -> Iterator[Taken]:
    for identity, companions, ending, message, reason, quarantine_id in connection.execute(
        "SELECT identity, companions, ending, message, reason, quarantine_id FROM taken"
    ):
        yield Taken(
            identity=identity,
            companions=companions,
            outcome=Outcome(
                ending=Ending(ending), message=message, reason=reason, quarantine_id=quarantine_id
            ),
        )
