"""Jobs in the status: when each runs next, and how its last runs ended.

A run is written down before it is started, so a controller that was killed leaves an open one, which its successor
finds by the token that the process has, too. For a due time there is at most one run: the database sees to it. Frozen
records enter and leave; each function is one transaction. Times are seconds since 1970.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from blumeops.status.database import Database

Outcome = Literal["running", "ok", "failed", "interrupted", "skipped"]
"""`interrupted`: its end was not its own, or nobody saw it; `skipped`: it was due while another still went on."""
KEPT = 400
"""Runs that are remembered of each job: more than a year of days."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One job. `since`: from when on it owes runs; `coming`: when it is due next."""

    unit: str
    at: str
    since: float
    coming: float


@dataclass(frozen=True, slots=True)
class Planned:
    """One job, and when it ended well last."""

    unit: str
    since: float
    succeeded: float | None


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run. `due`: the due time that it is for, empty for one that somebody asked for; `ended` is None while it goes
    on; `code`: what the program ended with, where it did so by itself; `message`: why it is not ok."""

    id: int
    unit: str
    token: str
    due: str
    started: float
    ended: float | None
    outcome: Outcome
    code: int | None
    message: str

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return None if self.ended is None else max(0.0, self.ended - self.started)


def schedule(database: Database, unit: str, at: str, now: float) -> Scheduled:
    """The job as it is known; new from now on, as one with another time of day is, or from a future that never was."""
    with database.transaction(write=True) as connection:
        row = connection.execute("SELECT * FROM job WHERE unit = ?", [unit]).fetchone()
        if row and row["at"] == at and row["since"] <= now:
            return Scheduled(**row)
        connection.execute("INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?)", [unit, at, now, now])
        return Scheduled(unit, at, now, now)


def put_coming(database: Database, unit: str, coming: float) -> None:
    """Record when it is due next."""
    with database.transaction(write=True) as connection:
        connection.execute("UPDATE job SET coming = ? WHERE unit = ?", [coming, unit])


def forget(database: Database, units: Iterable[str]) -> None:
    """These jobs are no more; their runs stay."""
    with database.transaction(write=True) as connection:
        connection.executemany("DELETE FROM job WHERE unit = ?", [[unit] for unit in units])


def scheduled(database: Database) -> dict[str, Scheduled]:
    """Every job, by unit; none where no controller of this version has run yet."""
    with database.transaction() as connection:
        if not _is_there(connection):
            return {}
        return {row["unit"]: Scheduled(**row) for row in connection.execute("SELECT * FROM job ORDER BY unit")}


def planned(database: Database) -> list[Planned]:
    """Every job with its last success, by unit."""
    with database.transaction() as connection:
        if not _is_there(connection):
            return []
        rows = connection.execute(
            "SELECT unit, since, (SELECT max(ended) FROM job_run WHERE job_run.unit = job.unit AND outcome = 'ok') "
            "AS succeeded FROM job ORDER BY unit"
        )
        return [Planned(**row) for row in rows]


def done(database: Database, unit: str) -> set[str]:
    """The due times that had their run."""
    with database.transaction() as connection:
        found = connection.execute("SELECT due FROM job_run WHERE unit = ? AND due != ''", [unit])
        return {row["due"] for row in found}


def begin(database: Database, unit: str, token: str, due: str, started: float) -> JobRun:
    """Record the intent to start a run. Raises EngineError `BLU910` for a due time that had one."""
    return _add(database, unit, token, due, started, None, "running", "")


def skip(database: Database, unit: str, due: str, now: float, message: str) -> JobRun:
    """Record that no run is started for a due time."""
    return _add(database, unit, "", due, now, now, "skipped", message)


def end(database: Database, run: JobRun, outcome: Outcome, code: int | None, message: str, ended: float) -> bool:
    """Record how a run ended; False when that is known already."""
    with database.transaction(write=True) as connection:
        changed = connection.execute(
            "UPDATE job_run SET outcome = ?, code = ?, message = ?, ended = ? WHERE id = ? AND ended IS NULL",
            [outcome, code, message, ended, run.id],
        )
        return changed.rowcount == 1


def unfinished(database: Database) -> list[JobRun]:
    """The runs whose end is not known, oldest first."""
    return _runs(database, "WHERE ended IS NULL ORDER BY id")


def last(database: Database, unit: str) -> JobRun | None:
    """The newest run of a job that was not skipped."""
    return next(iter(_runs(database, "WHERE unit = ? AND outcome != 'skipped' ORDER BY id DESC LIMIT 1", unit)), None)


def runs(database: Database, unit: str, limit: int = 20) -> list[JobRun]:
    """The last runs of a job, newest first."""
    return _runs(database, "WHERE unit = ? ORDER BY id DESC LIMIT ?", unit, limit)


def _add(
    database: Database, unit: str, token: str, due: str, started: float, ended: float | None, outcome: Outcome,
    message: str,
) -> JobRun:  # fmt: skip
    with database.transaction(write=True) as connection:
        cursor = connection.execute(
            "INSERT INTO job_run (unit, token, due, started, ended, outcome, message) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [unit, token, due, started, ended, outcome, message],
        )
        connection.execute(
            "DELETE FROM job_run WHERE unit = ? AND id NOT IN "
            "(SELECT id FROM job_run WHERE unit = ? ORDER BY id DESC LIMIT ?)",
            [unit, unit, KEPT],
        )
        return JobRun(cursor.lastrowid or 0, unit, token, due, started, ended, outcome, None, message)


def _runs(database: Database, which: str, *values: str | int) -> list[JobRun]:
    with database.transaction() as connection:
        if not _is_there(connection):
            return []
        return [JobRun(**row) for row in connection.execute(f"SELECT * FROM job_run {which}", values)]  # noqa: S608  # our own text


def _is_there(connection: sqlite3.Connection) -> bool:
    """Whether the tables are: a file of an older version is read as it is, and changed by the next controller."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'job_run'").fetchone() is not None
