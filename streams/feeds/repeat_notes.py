"""Which ECGs are on ``ecg.recorded.v1``, noted in a file: a cache of the log that can always be made anew."""

import fcntl
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import structlog

from schemas.errors import RetriableError
from streams.feeds.filing import Filed

log = structlog.get_logger()

#: An ecg_id's 16 bytes; text would take twice as many and an index over it as much again.
Key = bytes

#: An id, its Unix time, s, and the digest of the patient under whom it is there, empty when not known.
NotedId = tuple[Key, int, bytes]

#: Number of the tables below, in the file's header. Notes under another one are begun anew.
_VERSION: Final = 2

#: ``running`` names the gateways that began and did not end in order; the empty one stands for those of which
#: new notes know nothing.
_TABLES: Final = (
    "CREATE TABLE ids (id BLOB PRIMARY KEY, at_s INTEGER NOT NULL, patient BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE read_up_to (
        partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, last_id BLOB NOT NULL)""",
    "CREATE TABLE running (gateway BLOB PRIMARY KEY) WITHOUT ROWID",
    "INSERT INTO running VALUES (x'')",
    f"PRAGMA user_version = {_VERSION}",
)

#: Longest wait for another gateway that writes to the same file, s; each write takes a millisecond.
_BUSY_S: Final = 5.0


class NotesUnusableError(RetriableError):
    """The notes cannot be used at this moment, through no fault of theirs."""

    code = "NOTES_UNUSABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadUpTo:
    """How far one partition was read.

    Attributes
    ----------
    next_offset : int
        The first offset not read.
    last_id : bytes
        Key of the record before it, empty when not known: tells this log from another one of that name.
    """

    next_offset: int
    last_id: Key = b""


class RepeatNotes:
    """The notes of one feed, in an SQLite file; opening one that is damaged begins an empty one.

    Everything that is noted together is in the file together or not at all, so after a kill the ids are those
    up to the offsets. Noting twice is as once.

    Parameters
    ----------
    busy_s : float
        Longest wait for another process that writes to it, s.

    Raises
    ------
    NotesUnusableError
        When the file cannot be opened or written, or another process holds it.
    """

    def __init__(self, file: Path, busy_s: float = _BUSY_S) -> None:
        self._me = secrets.token_bytes(8)
        # No part of the database, which may be deleted where it is damaged.
        self._lock_file = file.with_suffix(".lock")
        self._lock: IO[bytes] | None = None
        try:
            self._opened = _opened_anew_if_damaged(file, busy_s)
        except (OSError, sqlite3.OperationalError) as error:
            raise NotesUnusableError(
                f"{file} cannot be used ({error}); DIASTOLE_HOME must be a folder that this user can write "
                "to, with free space, of which no other gateway makes use"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
        if self._lock is not None:
            self._lock.close()

    def __len__(self) -> int:
        ((n,),) = self._opened.execute("SELECT count(*) FROM ids")
        return int(n)

    def __contains__(self, key: Key) -> bool:
        return self.find(key) is not None

    def find(self, key: Key) -> Filed | None:
        """Say what was noted of an id; None when nothing was."""
        with closing(self._opened.execute("SELECT patient FROM ids WHERE id = ?", (key,))) as found:
            row = found.fetchone()
        return Filed(patient=row[0]) if row is not None else None

    def read_up_to(self) -> dict[int, ReadUpTo]:
        """How far each partition was read; empty when none was."""
        rows = self._opened.execute("SELECT partition, next_offset, last_id FROM read_up_to")
        return {partition: ReadUpTo(next_offset=offset, last_id=last) for partition, offset, last in rows}

    def note(self, ids: Iterable[NotedId], up_to: Mapping[int, ReadUpTo] | None = None) -> None:
        """Note ids and how far the log was read, in one transaction; of an id the first word stays."""
        with self._opened:
            self._opened.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", ids)
            self._opened.executemany(
                "INSERT OR REPLACE INTO read_up_to VALUES (?, ?, ?)",
                [(number, at.next_offset, at.last_id) for number, at in (up_to or {}).items()],
            )

    def forget_before(self, at_s: int) -> None:
        """Drop ids that left the window, older than Unix time ``at_s``."""
        with self._opened:
            self._opened.execute("DELETE FROM ids WHERE at_s < ?", (at_s,))

    def forget_all(self) -> None:
        """Begin anew: these were the notes of another log."""
        with self._opened:
            for table in ("ids", "read_up_to"):
                self._opened.execute(f"DELETE FROM {table}")  # noqa: S608  # one of two names

    def begin(self) -> bool:
        """Say that this gateway runs from now on; whether surely nothing of others is on its way to Kafka.

        One that was killed may have left a write on its way. So may one that runs beside this one, should it
        be killed: what it left shows once nobody runs any more.

        Raises
        ------
        NotesUnusableError
            When its place in the folder cannot be held.
        """
        with self._opened:
            # Gateways that begin wait for each other, so that who is alone cannot change in between.
            self._opened.execute("BEGIN IMMEDIATE")
            is_alone = self._hold_place()
            ((n_left,),) = self._opened.execute("SELECT count(*) FROM running")
            if is_alone:
                self._opened.execute("DELETE FROM running")
            self._opened.execute("INSERT INTO running VALUES (?)", (self._me,))
        return is_alone and not n_left

    def end_in_order(self) -> None:
        """Say that this gateway ends, and nothing of it is on its way to Kafka any more."""
        with self._opened:
            self._opened.execute("DELETE FROM running WHERE gateway = ?", (self._me,))

    def _hold_place(self) -> bool:
        """Share the lock with all that run, for as long as this process lives; whether nobody else has it."""
        try:
            self._lock = self._lock or self._lock_file.open("ab")
            is_alone = _is_free(self._lock)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        except OSError as error:
            raise NotesUnusableError(
                f"{self._lock_file} cannot be used ({error}); DIASTOLE_HOME must be a folder that this user "
                "can write to, on a file system with locks"
            ) from None
        return is_alone


def _is_free(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened_anew_if_damaged(file: Path, busy_s: float) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(file, busy_s)
    except sqlite3.OperationalError:  # locked, full, not ours to write: nothing is wrong with the file itself
        raise
    except sqlite3.DatabaseError:
        log.warning("repeat_notes_damaged", then="they are read anew from Kafka")
        for damaged in file.parent.glob(f"{file.name}*"):
            damaged.unlink()
        return _open(file, busy_s)


def _open(file: Path, busy_s: float) -> sqlite3.Connection:
    opened = sqlite3.connect(file, timeout=busy_s)
    try:
        opened.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last notes, never their consistency; they are read again from Kafka.
        opened.execute("PRAGMA synchronous = NORMAL")
        _make_tables(opened)
        ((verdict,),) = opened.execute("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise sqlite3.DatabaseError("damaged")
    except sqlite3.DatabaseError:
        opened.close()
        raise
    return opened


def _make_tables(opened: sqlite3.Connection) -> None:
    with opened:
        # Another gateway may be making them.
        opened.execute("BEGIN IMMEDIATE")
        ((version,),) = opened.execute("PRAGMA user_version")
        if version == _VERSION:
            return
        others = opened.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (name,) in others:
            opened.execute(f'DROP TABLE "{name}"')
        for statement in _TABLES:
            opened.execute(statement)
        if others:
            log.info("repeat_notes_outdated", then="they are read anew from Kafka")
