"""Transactions: what is committed, in which order it is told, and what a broken store says."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from contracts.errors import StorageUnavailable
from live.store.database import Database, open_database
from live.store.tables import metadata


def count(connection: Connection) -> int:
    return int(connection.scalars(text("SELECT value FROM counters")).one())


def add_one(connection: Connection) -> int:
    connection.execute(text("UPDATE counters SET value = value + 1"))
    return count(connection)


async def test_migrations_make_the_tables_that_the_program_knows(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await database.read(differences) == []


async def test_what_fails_leaves_nothing(database: Database) -> None:
    def fail(connection: Connection) -> None:
        add_one(connection)
        raise KeyError("on the way")

    with pytest.raises(KeyError):
        await database.write(fail)
    assert await database.read(count) == 0


async def test_commits_are_told_in_their_order_whoever_waits(database: Database) -> None:
    told: list[int] = []
    tasks = [asyncio.create_task(database.write(add_one, told.append)) for _ in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    latest = await database.write(add_one, told.append)
    await asyncio.sleep(0)
    assert told == sorted(told)
    assert told == [*range(1, latest + 1)]


async def test_what_was_committed_is_there_after_opening_again(
    database_url: str, tmp_path: Path
) -> None:
    for expected in (1, 2):
        opened = open_database(database_url, tmp_path)
        assert await opened.write(add_one) == expected
        await opened.close()


async def test_readers_change_nothing(tmp_path: Path) -> None:
    opened = open_database("", tmp_path)
    with pytest.raises(StorageUnavailable):
        await opened.read(add_one)
    assert await opened.read(count) == 0
    await opened.close()


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    opened = open_database("", tmp_path / "data")
    await opened.write(add_one)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    await opened.close()
    assert {name: modes[name] for name in modes if name.startswith("lookout.db")} == {
        "lookout.db": 0o600,
        "lookout.db-wal": 0o600,
        "lookout.db-shm": 0o600,
    }
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_one_directory_serves_one_process_at_a_time(tmp_path: Path) -> None:
    opened = open_database("", tmp_path)
    with pytest.raises(StorageUnavailable, match="another process uses VLM_DATA_DIR"):
        open_database("", tmp_path)
    await opened.close()
    await open_database("", tmp_path).close()


@pytest.mark.parametrize(
    ("url", "needle"),
    [
        ("mysql://user:hunter2@host/name", "expected sqlite:///path or postgresql"),
        ("sqlite://", "expected sqlite:///path"),
        ("sqlite:///:memory:", "expected sqlite:///path"),
        ("sqlite:////nowhere/hunter2/lookout.db", "cannot be used"),
        ("postgresql://user:hunter2@127.0.0.1:1/name", "cannot be used"),
        ("hunter2", "cannot be used"),
    ],
)
def test_a_store_that_cannot_be_opened_says_so_without_its_url(
    url: str, needle: str, tmp_path: Path
) -> None:
    with pytest.raises(StorageUnavailable, match=needle) as caught:
        open_database(url, tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_a_url_may_name_a_file(tmp_path: Path) -> None:
    opened = open_database(f"sqlite:///{tmp_path}/elsewhere.db", tmp_path / "data")
    await opened.close()
    assert stat.S_IMODE((tmp_path / "elsewhere.db").stat().st_mode) == 0o600


async def test_a_database_of_a_newer_version_is_left_alone(
    database_url: str, tmp_path: Path
) -> None:
    opened = open_database(database_url, tmp_path)
    await opened.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num='9999'")))
    await opened.close()
    with pytest.raises(StorageUnavailable, match="newer version"):
        open_database(database_url, tmp_path)


async def test_a_full_disk_is_told_and_over_when_there_is_room(tmp_path: Path) -> None:
    opened = open_database("", tmp_path)

    def fill(connection: Connection) -> None:
        pages = connection.scalars(text("PRAGMA page_count")).one()
        connection.execute(text(f"PRAGMA max_page_count={pages}"))
        values = {"id": "s", "body": "x" * 100_000}
        connection.execute(text("INSERT INTO streams VALUES (:id, 0, :body)"), values)

    with pytest.raises(StorageUnavailable, match="with room"):
        await opened.write(fill)
    await opened.write(lambda c: c.execute(text("PRAGMA max_page_count=100000")))
    assert await opened.write(add_one) == 1
    await opened.close()


async def test_a_database_that_another_program_keeps_locked_is_told(tmp_path: Path) -> None:
    opened = open_database("", tmp_path, busy_timeout_s=0.01)
    other = sqlite3.connect(tmp_path / "lookout.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable):
        await opened.write(add_one)
    other.execute("ROLLBACK")
    other.close()
    assert await opened.write(add_one) == 1
    await opened.close()


async def test_our_own_mistakes_are_not_blamed_on_the_database(database: Database) -> None:
    twice = text("INSERT INTO counters VALUES ('message', 0)")
    with pytest.raises(IntegrityError):
        await database.write(lambda c: c.execute(twice))
    assert await database.read(count) == 0


async def test_a_mistake_in_a_statement_stays_one(database: Database, database_url: str) -> None:
    wrong = ProgrammingError if database_url else StorageUnavailable  # SQLite cannot tell
    with pytest.raises(wrong):
        await database.read(lambda c: c.execute(text("SELECT nothing FROM nowhere")))


MIGRATE = """
import sys
import traceback
from pathlib import Path
from alembic import op
from live.store.database import open_database
left = int(sys.argv[2])
create = op.create_table
def killed(*args, **kwargs):
    global left
    left -= 1
    if left < 0:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    return create(*args, **kwargs)
op.create_table = killed
open_database("", Path(sys.argv[1]))
"""


@pytest.mark.parametrize("tables", [0, 1, 5])
def test_migrations_that_were_killed_half_way_begin_anew(tmp_path: Path, tables: int) -> None:
    command = [sys.executable, "-c", MIGRATE, str(tmp_path), str(tables)]
    assert subprocess.run(command, check=False).returncode == -9

    async def use() -> int:
        opened = open_database("", tmp_path)
        added = await opened.write(add_one)
        await opened.close()
        return added

    assert asyncio.run(use()) == 1
