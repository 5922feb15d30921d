"""The table that undoes pseudonyms: a local SQLite file of sealed identifiers."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from schemas.errors import RetriableError
from streams.feeds.sealing import Sealer

#: Below a feed's folder in DIASTOLE_HOME.
FILE_NAME: Final = "identity.sqlite"

#: Longest wait for another process that writes: its transactions hold one row.
_BUSY_S: Final = 5.0

#: Patients remembered as written: 50 000 names of 34 characters are 5 MB.
_MOST_KNOWN: Final = 50_000

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS patient (pseudonym TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT"
)


class TableUnavailableError(RetriableError):
    """The table cannot be read or written now.

    An ECG is not accepted then: an alert about a patient nobody can name would help no patient.
    """

    code = "IDENTITY_TABLE"


class IdentityTable:
    """Pseudonym to site identifier, sealed; several processes may write it beside each other.

    Losing the file loses nothing but the way back; sending a patient's next ECG writes it again.

    Parameters
    ----------
    path : Path
        Made, readable by its owner alone, when it is not there.
    sealer : Sealer
        With the key of this purpose; the pseudonym is the context, so that rows cannot be exchanged.

    Raises
    ------
    TableUnavailableError
        When the file cannot be made or opened.
    """

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._path = path
        self._sealer = sealer
        self._known: set[str] = set()
        with self._as_unavailable():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            # WAL: readers do not wait for the writer. A lost last row comes again with the next ECG.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def remember(self, pseudonym: str, patient_id: str) -> None:
        """Keep the way back from a pseudonym; keeping it again changes nothing.

        Raises
        ------
        TableUnavailableError
            When it could not be written.
        """
        if pseudonym in self._known:
            return
        with self._as_unavailable():
            if not self._has(pseudonym):
                sealed = self._sealer.seal(patient_id.encode(), pseudonym.encode())
                self._connection.execute("INSERT OR IGNORE INTO patient VALUES (?, ?)", (pseudonym, sealed))
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(pseudonym)

    def reveal(self, pseudonym: str) -> str | None:
        """Give the site's identifier back; None when the table does not have it.

        Raises
        ------
        TableUnavailableError
            When the file cannot be read.
        SealError
            When it was sealed with another key.
        """
        with self._as_unavailable():
            found = self._connection.execute(
                "SELECT sealed FROM patient WHERE pseudonym = ?", (pseudonym,)
            ).fetchone()
        return None if found is None else self._sealer.open(found[0], pseudonym.encode()).decode()

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        self._connection.close()

    def _has(self, pseudonym: str) -> bool:
        found = self._connection.execute("SELECT 1 FROM patient WHERE pseudonym = ?", (pseudonym,))
        return found.fetchone() is not None

    @contextmanager
    def _as_unavailable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise TableUnavailableError(
                f"the identity table {self._path} cannot be used ({type(error).__name__}); check that its "
                "folder is writable and has room, or move the file away if it is damaged"
            ) from None
