"""The SQLite file of a site's status. A state folder enters, a `Database` leaves.

One process writes (the controller), any number read, at the same time and also when no controller runs: WAL mode.
A transaction is there whole or not at all, after a kill too; a loss of power can undo the last ones, never halve
them. A file that is damaged is set aside and a new one begun: status is what was seen, and is seen again.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blumeops.base.errors import BlumeError, EngineError, Unavailable
from blumeops.base.files import PRIVATE, cannot_write

FILE = "status.db"
VERSION = 2
BUSY_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE site (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  name TEXT NOT NULL, revision TEXT NOT NULL, wanted_revision TEXT NOT NULL, problem TEXT NOT NULL
) STRICT;
CREATE TABLE unit (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL, place TEXT NOT NULL, state TEXT NOT NULL, health TEXT NOT NULL,
  reason TEXT NOT NULL, revision TEXT NOT NULL, since REAL NOT NULL, url TEXT NOT NULL
) STRICT;
CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  revision TEXT NOT NULL, started REAL NOT NULL, ended REAL,
  outcome TEXT NOT NULL, message TEXT NOT NULL, changes TEXT NOT NULL
) STRICT;
CREATE TABLE step (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  unit TEXT NOT NULL, action TEXT NOT NULL, seconds REAL NOT NULL, outcome TEXT NOT NULL, message TEXT NOT NULL
) STRICT;
CREATE INDEX step_of_run ON step (run);
"""
_JOBS = """
CREATE TABLE job (
  unit TEXT PRIMARY KEY, at TEXT NOT NULL, since REAL NOT NULL, coming REAL NOT NULL
) STRICT;
CREATE TABLE job_run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  unit TEXT NOT NULL, token TEXT NOT NULL, due TEXT NOT NULL, started REAL NOT NULL, ended REAL,
  outcome TEXT NOT NULL, code INTEGER, message TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX once_for_a_due_time ON job_run (unit, due) WHERE due != '';
"""
_STEPS = {0: _SCHEMA, 1: _JOBS}
"""By the version that a file has: what makes the next one of it. What stands here is never changed."""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """One connection, shared by threads: a lock lets one at a time in. `set_aside`: where a damaged file went."""

    def __init__(self, path: Path, connection: sqlite3.Connection, set_aside: Path | None = None) -> None:
        self.path = path
        self.set_aside = set_aside
        self._connection = connection
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing; what it reads is of one moment. A block inside a block joins it, and a
        writing one may only stand inside a writing one.

        Raises EngineError `BLU903` (disk full, read-only) or `BLU910` (anything else), which name the file.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:  # SQLite ends it by itself on some errors
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _failed(self.path, error) from error

    def close(self) -> None:
        """Give the file back. The last one to close moves the log into the file."""
        with self._lock:
            self._connection.close()


def open_database(folder: Path) -> Database:
    """The database of the state folder `folder`, for the one process that writes; made where there is none.

    Raises EngineError `BLU903`, `BLU910`, or `BLU911` for a file of a newer version, which stays as it is.
    """
    path = folder / FILE
    try:
        return Database(path, _sound(path))
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise _failed(path, error) from error
    try:
        aside = _set_aside(path)
        return Database(path, _sound(path), aside)
    except OSError as error:
        raise cannot_write(path, error) from error
    except sqlite3.Error as error:
        raise _failed(path, error) from error


def read_database(folder: Path) -> Database | None:
    """The same, to read only, also while the controller writes. None where no controller has run yet.

    Raises EngineError `BLU910` (damaged: the controller's next start mends it) or `BLU911`.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        connection = _connect(path, "mode=ro")
        try:
            version = _version(connection, path)
        except sqlite3.OperationalError:
            connection.close()
            if path.with_name(FILE + "-wal").exists():
                raise
            # The disk is read-only and the log is folded in: nothing can change under the reader.
            connection = _connect(path, "immutable=1")
            version = _version(connection, path)
    except sqlite3.Error as error:
        raise _failed(path, error) from error
    if version == 0:
        connection.close()
        return None
    return Database(path, connection)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # isolation_level None: transactions begin where we say. The lock of Database makes threads safe.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    connection.row_factory = sqlite3.Row
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version in the file, 0 for an empty one. Closes the connection where it cannot be used."""
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        connection.close()
        raise
    if version > VERSION:
        connection.close()
        raise EngineError("BLU911", str(path), "was written by a newer BlumeOps", "use that one, or another --state")
    return version


def _sound(path: Path) -> sqlite3.Connection:
    """A connection to a file that was looked through and has the schema. Raises sqlite3.Error."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, PRIVATE))
    except OSError as error:
        raise cannot_write(path, error) from error
    connection = _connect(path, "mode=rw")
    try:
        version = _version(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise _Damaged(answer)
        for step in range(version, VERSION):
            connection.executescript(f"BEGIN IMMEDIATE;{_STEPS[step]}PRAGMA user_version = {step + 1};COMMIT;")
    except (sqlite3.Error, BlumeError):
        connection.close()
        raise
    return connection


class _Damaged(sqlite3.DatabaseError):
    """The check found damage that no statement has met yet."""


def _is_damage(error: sqlite3.Error) -> bool:
    return isinstance(error, _Damaged) or _code(error) in _DAMAGED


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code (https://www.sqlite.org/rescode.html), 0 where the module made the error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _set_aside(path: Path) -> Path:
    """Rename the file and its log to the first free `status.db.corrupt-<n>`; returns that."""
    number = 1
    while (aside := path.with_name(f"{FILE}.corrupt-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):  # the log first: it must never meet a new file
        source = path.with_name(FILE + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    return aside


def _failed(path: Path, error: sqlite3.Error) -> BlumeError:
    """One clear error that names the file."""
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return cannot_write(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        case sqlite3.SQLITE_READONLY:
            return cannot_write(path, OSError(errno.EROFS, os.strerror(errno.EROFS)))
        case sqlite3.SQLITE_BUSY:
            return Unavailable("BLU912", str(path), f"is held by another process for {BUSY_SECONDS:g} s", "try again")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return EngineError("BLU910", str(path), "is damaged", "the next start of the controller sets it aside")
        case _:
            return EngineError("BLU910", str(path), f"cannot be used: {error}")
