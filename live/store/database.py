"""Transactions on SQLite or PostgreSQL, off the event loop.

One thread writes, so transactions commit in the order they were asked for; others read beside it.
What is to follow a commit is called on the event loop in that order, even when whoever asked has
gone meanwhile. Belongs to one event loop; knows nothing of what is stored.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from contracts.errors import StorageUnavailable
from live.store.schema import migrate

NUM_READERS = 4
BUSY_TIMEOUT_S = 5.0
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700  # cameras' and sinks' credentials are stored as given
IN_MEMORY = (None, "", ":memory:")
# What SQLAlchemy raises for mistakes in our statements; all else is the database's trouble.
OUR_FAULTS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
UNAVAILABLE = (
    "the database cannot be used now: expected VLM_DATABASE_URL, or VLM_DATA_DIR, to be reachable"
    " and writable, with room"
)

T = TypeVar("T")
Work = Callable[[Connection], T]


class Database:
    """An open database with this version's tables."""

    def __init__(self, writing: Engine, reading: Engine, lock: IO[str]) -> None:
        self._writing = writing
        self._reading = reading
        self._lock = lock
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(NUM_READERS, thread_name_prefix="store-read")

    async def write(self, work: Work[T], then: Callable[[T], None] | None = None) -> T:
        """Run ``work`` in a transaction of its own, which is committed when it returns.

        Args:
            work: Called in the writing thread.
            then: Called on the event loop once its result is committed, in order of the commits.

        Raises:
            StorageUnavailable: Nothing was changed.
        """
        loop = asyncio.get_running_loop()

        def run() -> T:
            with translated(), self._writing.begin() as connection:
                given = work(connection)
            if then is not None:
                loop.call_soon_threadsafe(then, given)
            return given

        return await loop.run_in_executor(self._writer, run)

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction that changes nothing.

        Raises:
            StorageUnavailable: It could not be read.
        """

        def run() -> T:
            with translated(), self._reading.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def close(self) -> None:
        """Finish what was asked for and let go of the database."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        for engine in {self._writing, self._reading}:
            engine.dispose()
        self._lock.close()


def open_database(
    database_url: str, data_dir: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> Database:
    """Open a database, making or migrating its tables; blocks.

    Args:
        database_url: SQLAlchemy's notation; empty is SQLite in ``data_dir``.
        data_dir: Made if it is not there; no other process may use it at the same time.
        busy_timeout_s: SQLite only: how long to wait for another program that has it locked.

    Raises:
        StorageUnavailable: The message says why, without the URL.
    """
    with translated(), contextlib.ExitStack() as undo:
        lock = undo.enter_context(_lock(data_dir))
        url = _parse_url(database_url, data_dir)
        is_file = url.get_backend_name() == "sqlite"
        writing, reading = _sqlite(url, busy_timeout_s) if is_file else _server(url)
        undo.callback(writing.dispose)
        with writing.begin() as connection:
            migrate(connection)
        undo.pop_all()
    return Database(writing, reading, lock)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Make the database's troubles ours; their texts may hold the URL, so none is passed on."""
    try:
        yield
    except OUR_FAULTS:
        raise
    except (SQLAlchemyError, OSError):
        raise StorageUnavailable(UNAVAILABLE) from None


def _parse_url(text: str, data_dir: Path) -> URL:
    url = make_url(text or URL.create("sqlite", database=str(data_dir / "lookout.db")))
    if url.drivername in ("sqlite", "sqlite+pysqlite") and url.database not in IN_MEMORY:
        return url
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    message = "VLM_DATABASE_URL: expected sqlite:///path or postgresql://user:password@host/name"
    raise StorageUnavailable(message)


def _lock(data_dir: Path) -> IO[str]:
    """Take the directory for this process; the system gives it back however the process ends."""
    data_dir.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    lock = (data_dir / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        message = "another process uses VLM_DATA_DIR: expected a directory of its own for each"
        raise StorageUnavailable(message) from None
    return lock


def _sqlite(url: URL, busy_timeout_s: float) -> tuple[Engine, Engine]:
    os.close(os.open(str(url.database), os.O_CREAT | os.O_RDWR, PRIVATE_FILE))
    os.chmod(str(url.database), PRIVATE_FILE)  # SQLite gives its other files the same
    writing, reading = create_engine(url), create_engine(url)
    timeout = f"busy_timeout={round(busy_timeout_s * 1000)}"
    _prepare(writing, "BEGIN IMMEDIATE", (timeout, "query_only=0"))
    _prepare(reading, "BEGIN", (timeout, "query_only=1"))
    return writing, reading


def _server(url: URL) -> tuple[Engine, Engine]:
    engine = create_engine(url, pool_size=NUM_READERS + 1, pool_pre_ping=True)
    return engine, engine


def _prepare(engine: Engine, begin: str, pragmas: tuple[str, ...]) -> None:
    """Set SQLite up for one process that must not lose what it sent.

    FULL, because a message goes out as soon as it is committed: with NORMAL, a power cut could
    take back an event that people were told of. The transaction is begun by us, because Python's
    driver would begin it late and leave changes of tables outside.
    """

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", *pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin_ourselves(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
