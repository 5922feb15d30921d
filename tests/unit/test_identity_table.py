"""The way back from pseudonyms: only with key and table, from several processes, and lost without harm."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from streams.feeds.identity.table import IdentityTable, TableUnavailableError
from streams.feeds.sealing import TABLE, SealError, Secret

SECRET = Secret(bytes(range(32)))


def table_at(path: Path, secret: Secret = SECRET) -> IdentityTable:
    return IdentityTable(path, secret.sealer(TABLE))


def test_a_pseudonym_is_revealed_with_key_and_table(tmp_path: Path) -> None:
    with table_at(tmp_path / "feeds" / "identity.sqlite") as table:
        table.remember("P-1", "00123")
        assert table.reveal("P-1") == "00123"
        assert table.reveal("P-2") is None


def test_another_key_reveals_nothing(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"
    with table_at(path) as table:
        table.remember("P-1", "00123")
    with table_at(path, Secret(bytes(32))) as table, pytest.raises(SealError, match="another key"):
        table.reveal("P-1")


def test_the_file_holds_no_identifier_in_clear(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"
    with table_at(path) as table:
        table.remember("P-1", "patient-00123")
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"P-1" in written
    assert b"00123" not in written


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"
    with table_at(path) as table:
        table.remember("P-1", "1")
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file.name


def test_a_row_put_under_another_pseudonym_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"
    with table_at(path) as table:
        table.remember("P-1", "1")
        table.remember("P-2", "2")
    with sqlite3.connect(path) as tampered:
        (sealed,) = tampered.execute("SELECT sealed FROM patient WHERE pseudonym = 'P-1'").fetchone()
        tampered.execute("UPDATE patient SET sealed = ? WHERE pseudonym = 'P-2'", (sealed,))
    tampered.close()
    with table_at(path) as table, pytest.raises(SealError):
        table.reveal("P-2")


def test_remembering_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"
    for _ in range(2):
        with table_at(path) as table:
            table.remember("P-1", "1")
            table.remember("P-1", "1")
    with sqlite3.connect(path) as file:
        assert file.execute("SELECT count(*) FROM patient").fetchone() == (1,)
    file.close()


def test_a_lost_table_is_written_anew_by_the_next_ecg(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"
    with table_at(path) as table:
        table.remember("P-1", "1")
    for file in tmp_path.iterdir():
        file.unlink()
    with table_at(path) as table:
        assert table.reveal("P-1") is None
        table.remember("P-1", "1")
        assert table.reveal("P-1") == "1"


_WRITER = """
import sys
from pathlib import Path
from streams.feeds.identity.table import IdentityTable
from streams.feeds.sealing import TABLE, Secret
with IdentityTable(Path(sys.argv[1]), Secret(bytes(range(32))).sealer(TABLE)) as table:
    for number in range(200):
        table.remember(f"P-{number}", str(number))
"""


def test_several_feeds_write_it_beside_each_other(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(path)]) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with table_at(path) as table:
        assert [table.reveal(f"P-{number}") for number in range(200)] == [str(n) for n in range(200)]


def test_a_file_that_is_no_table_is_said_in_one_line_and_may_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"
    path.write_bytes(b"no database at all, and long enough to be looked at as one" * 10)
    with pytest.raises(TableUnavailableError, match="writable and has room, or move the file away"):
        table_at(path)
