"""Databases to test on: SQLite, and a PostgreSQL server where one is installed. A certificate."""

import contextlib
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from live.store.database import Database, open_database

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def as_nobody(*command: str) -> None:
    """Run a command as a user that PostgreSQL agrees to run as."""
    prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    is_root = os.geteuid() == 0
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    full = [*prefix, *command] if is_root else list(command)
    subprocess.run(full, check=True, capture_output=True, env=environment, cwd="/")


@contextlib.contextmanager
def postgresql_server(folder: Path) -> Iterator[str]:
    """A server on a socket in ``folder``; gives where to connect to."""
    binaries, cluster = BINARIES[-1], folder / "cluster"
    options = ["-U", "lookout", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    as_nobody(str(binaries / "initdb"), "-D", str(cluster), *options)
    settings = f"-k {folder} -c listen_addresses='' -c fsync=off"
    control = [str(binaries / "pg_ctl"), "-D", str(cluster), "-w"]
    as_nobody(*control, "-o", settings, "-l", str(folder / "log"), "start")
    try:
        yield f"user=lookout host={folder}"
    finally:
        as_nobody(*control, "-m", "immediate", "stop")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    if not BINARIES:
        pytest.skip("no PostgreSQL server is installed")
    folder = Path("/tmp") / f"lookout-postgresql-{os.getpid()}"  # sockets need a short path
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    try:
        with postgresql_server(folder) as where:
            yield where
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where an empty database is; the empty URL is SQLite in the data directory."""
    if request.param == "sqlite":
        yield ""
        return
    where: str = request.getfixturevalue("postgresql")
    with psycopg.connect(f"{where} dbname=postgres", autocommit=True) as connection:
        host = where.partition("host=")[2]
        yield f"postgresql://lookout@/postgres?host={host}"
        connection.execute("DROP SCHEMA public CASCADE")  # quicker than another database
        connection.execute("CREATE SCHEMA public")


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(database_url, tmp_path / "data")
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that nobody trusts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=camera.example", "-keyout", str(path)]
    made = subprocess.run([*command, "-out", "-"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + made.stdout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
