"""Brings a database to the tables of this version, in one transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from contracts.errors import StorageUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Apply the migrations that are missing.

    Raises:
        StorageUnavailable: The database has tables of a newer version than this one.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as exc:
        message = "the database was written by a newer version: expected one of this or before"
        raise StorageUnavailable(f"{message}; use that version, or another database") from exc
