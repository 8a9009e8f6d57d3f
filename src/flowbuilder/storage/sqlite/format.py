"""Opening a store file: is it ours, is it whole, is it of our format?

A file of an older format is migrated, one step after the other in one
transaction, after a backup beside it.  A newer one is left alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import apsw

from flowbuilder.core.errors import StoreCorrupt, StoreTooNew
from flowbuilder.storage.filelock import lock_file
from flowbuilder.storage.folder import make_folder
from flowbuilder.storage.sqlite import labels
from flowbuilder.storage.sqlite.connection import connect, connect_reader
from flowbuilder.storage.sqlite.faults import as_store_error, damaged
from flowbuilder.storage.sqlite.query import first_value
from flowbuilder.storage.sqlite.schema import ADDED_IN_2, APPLICATION_ID, FORMAT, TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MIGRATIONS: Mapping[int, str] = {1: ADDED_IN_2}
"""The SQL that leads from a format to the next, by the number of the older one."""

_VERSIONS = "CREATE TABLE format (version INTEGER PRIMARY KEY, since REAL NOT NULL)"


def prepare(path: Path, *, migrations: Mapping[int, str] = MIGRATIONS, current: int = FORMAT) -> None:
    """Make the file at `path` a store of the current format, or find that it is one.

    Raises:
        StoreTooNew, StoreCorrupt, StoreReadOnly, StoreFull: and then the file is as it was.
    """
    try:
        make_folder(path.parent)
        connection = connect(path, create=True)
        try:
            _prepare(connection, path, migrations, current)
        finally:
            connection.close(True)
    except (apsw.Error, OSError) as error:
        raise as_store_error(error, path) from error


def check(path: Path) -> int:
    """Return the format of an existing store without writing.

    Raises:
        StoreTooNew, StoreCorrupt, StoreReadOnly: as for `prepare`.
        FileNotFoundError: if there is no file.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        connection = connect_reader(path)
        try:
            return _version(connection, path, FORMAT)
        finally:
            connection.close(True)
    except (apsw.Error, OSError) as error:
        raise as_store_error(error, path) from error


def _prepare(connection: apsw.Connection, path: Path, migrations: Mapping[int, str], current: int) -> None:
    if _version(connection, path, current) == current:
        return
    with lock_file(path.with_name(path.name + ".lock"), exclusive=True):
        version = _version(connection, path, current)  # another process may have been faster
        if version == current:
            return
        if connection.pragma("journal_mode", "wal") != "wal":
            raise StoreCorrupt(
                f"the store {path} lies on a file system without shared memory", "move it to a local disk"
            )
        if version:
            _back_up(connection, path, version)
        connection.execute("BEGIN IMMEDIATE")
        try:
            _advance(connection, version, migrations, current)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _advance(connection: apsw.Connection, version: int, migrations: Mapping[int, str], current: int) -> None:
    """Take the file from one format to the current one, within the transaction that is open."""
    if version == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(TABLES)
        connection.execute(_VERSIONS)
        connection.execute("INSERT INTO format VALUES (?, ?)", (current, time.time()))
    for step in range(version or current, current):
        connection.execute(migrations[step])
        if migrations is MIGRATIONS and step == 1:
            labels.fill(connection.cursor())
        connection.execute("INSERT INTO format VALUES (?, ?)", (step + 1, time.time()))


def _version(connection: apsw.Connection, path: Path, current: int) -> int:
    """Return the format of the file, 0 for an empty one; looks at one state of it, whoever writes meanwhile."""
    connection.execute("BEGIN")
    try:
        return _version_seen(connection, path, current)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version_seen(connection: apsw.Connection, path: Path, current: int) -> int:
    tables = first_value(connection.cursor(), "SELECT count(*) FROM sqlite_schema")
    ours = connection.pragma("application_id") == APPLICATION_ID
    if not tables:
        if connection.pragma("page_count") > 1 or ours:
            raise damaged(path, "its tables are gone")
        return 0
    if not ours:
        raise StoreCorrupt(
            f"the file {path} is a SQLite database, but no store of FlowBuilder", "name another file"
        )
    version: int = first_value(connection.cursor(), "SELECT max(version) FROM format")
    if version > current:
        raise StoreTooNew(
            f"the store {path} has format {version}, and this release reads formats up to {current}",
            "use the release that wrote it, or a later one",
        )
    pages = connection.pragma("page_count")
    if pages * connection.pragma("page_size") > _bytes_in(path):
        raise damaged(path, "it has been cut short")
    return version


def _bytes_in(path: Path) -> int:
    """Bytes of the file and of the log that lies beside it, which may hold pages not yet in the file."""
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _back_up(connection: apsw.Connection, path: Path, version: int) -> None:
    """Copy the store, as it is, to a file that names its format; an older copy of it is replaced."""
    copy = path.with_name(f"{path.name}.format-{version}.bak")
    aside = copy.with_name(copy.name + ".part")
    aside.unlink(missing_ok=True)
    target = apsw.Connection(str(aside))
    try:
        with target.backup("main", connection, "main") as backup:
            backup.step(-1)
    finally:
        target.close(True)
    aside.replace(copy)
