"""What the status of a site is made of: units, the site itself, and the history of its revisions.

Frozen records enter and leave; each function is one transaction (`Database.transaction` joins several). Time is
passed in, as seconds since 1970. History is written before the act and again after it, so what a killed controller
had begun can be told: `mark_interrupted`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

from blumeops.base.errors import Bug
from blumeops.status.database import Database

State = Literal["running", "starting", "stopped", "failed", "waiting", "provided", "scheduled", "unavailable"]
Health = Literal["healthy", "unhealthy", "unknown"]
"""A running unit that has no health check of its own is healthy."""
Outcome = Literal["applied", "refused", "failed", "superseded", "healed", "drifted"]
"""`healed`: what was changed by hand was put back; `drifted`: it was seen and left, as `heal: false` says."""

AT_REST: frozenset[State] = frozenset({"provided", "scheduled", "unavailable"})
"""States that are as they should be, though nothing runs."""
KEPT_RUNS = 1000


@dataclass(frozen=True, slots=True)
class Unit:
    """The condition of one unit. `since`: when state and health became what they are."""

    id: str
    kind: str
    place: str
    state: State
    health: Health
    reason: str
    revision: str
    since: float
    url: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """`revision` is applied, `wanted_revision` should be; `problem`: why the last sync failed, or empty."""

    name: str = ""
    revision: str = ""
    wanted_revision: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done to one unit in a run."""

    unit: str
    action: str
    seconds: float
    outcome: str
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt to bring the site to a revision. `ended` is None while it goes on; `changes` are lines of text."""

    id: int
    revision: str
    started: float
    ended: float | None
    outcome: Outcome | Literal["running", "interrupted"]
    message: str
    changes: tuple[str, ...]
    steps: tuple[Step, ...]


_COLUMNS = [field.name for field in fields(Unit)]
_PUT = f"""
INSERT INTO unit ({", ".join(_COLUMNS)}) VALUES ({", ".join(":" + name for name in _COLUMNS)})
ON CONFLICT (id) DO UPDATE SET
  since = CASE WHEN state = excluded.state AND health = excluded.health THEN since ELSE excluded.since END,
  {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in ("id", "since"))}
"""  # noqa: S608  # the names of our own fields


def put_units(database: Database, units: Iterable[Unit]) -> None:
    """Record conditions as seen now, all at once. `since` is the time of this look: what is stored changes only
    when state or health does."""
    with database.transaction(write=True) as connection:
        connection.executemany(_PUT, [asdict(unit) for unit in units])


def put_unit(database: Database, unit: Unit) -> None:
    """Record one condition, as `put_units` does."""
    put_units(database, [unit])


def units(database: Database) -> list[Unit]:
    """All conditions, by id."""
    with database.transaction() as connection:
        return [Unit(**row) for row in connection.execute("SELECT * FROM unit ORDER BY id")]


def forget(database: Database, unit: str) -> None:
    """Drop the condition of a unit that is no more; no such unit is well too."""
    with database.transaction(write=True) as connection:
        connection.execute("DELETE FROM unit WHERE id = ?", [unit])


def site(database: Database) -> Site:
    """The site's record; empty where none was put."""
    with database.transaction() as connection:
        row = connection.execute("SELECT name, revision, wanted_revision, problem FROM site").fetchone()
        return Site(**row) if row else Site()


def put_site(database: Database, site: Site) -> None:
    """Record the site, whole: change what is there with `dataclasses.replace`."""
    with database.transaction(write=True) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO site VALUES (1, ?, ?, ?, ?)",
            [site.name, site.revision, site.wanted_revision, site.problem],
        )


def settled(site: Site, units: Iterable[Unit]) -> bool:
    """Whether the wanted revision is applied, and every unit that should run does, in health."""
    return bool(site.wanted_revision) and site.revision == site.wanted_revision and all(
        unit.state in AT_REST or (unit.state, unit.health) == ("running", "healthy") for unit in units
    )  # fmt: skip


def begin(database: Database, revision: str, started: float, changes: Sequence[str] = ()) -> int:
    """Record the intent to bring the site to `revision`; returns the run's id. Keeps the last 1,000 runs."""
    with database.transaction(write=True) as connection:
        cursor = connection.execute(
            "INSERT INTO run (revision, started, outcome, message, changes) VALUES (?, ?, 'running', '', ?)",
            [revision, started, json.dumps(list(changes), ensure_ascii=False)],
        )
        number = cursor.lastrowid or 0
        connection.execute("DELETE FROM run WHERE id <= ?", [number - KEPT_RUNS])
        return number


def step(database: Database, run: int, unit: str, action: str, seconds: float, outcome: str, message: str) -> None:
    """Record what was done to a unit, and how long it took."""
    with database.transaction(write=True) as connection:
        connection.execute(
            "INSERT INTO step (run, unit, action, seconds, outcome, message) VALUES (?, ?, ?, ?, ?, ?)",
            [run, unit, action, seconds, outcome, message],
        )


def end(database: Database, run: int, outcome: Outcome, message: str, ended: float) -> None:
    """Record how a run ended. A run ends once: Bug `BLU913` otherwise."""
    with database.transaction(write=True) as connection:
        changed = connection.execute(
            "UPDATE run SET outcome = ?, message = ?, ended = ? WHERE id = ? AND ended IS NULL",
            [outcome, message, ended, run],
        )
        if changed.rowcount != 1:
            raise Bug("BLU913", f"run {run}", "is not under way, so it cannot end")


def mark_interrupted(database: Database, ended: float) -> list[Run]:
    """Call at the controller's start: runs that a killed one left open get the outcome `interrupted`.

    Returns them, oldest first, as they are now: their steps say how far they came.
    """
    with database.transaction(write=True) as connection:
        open_runs = [row["id"] for row in connection.execute("SELECT id FROM run WHERE ended IS NULL ORDER BY id")]
        connection.execute(
            "UPDATE run SET outcome = 'interrupted', message = ?, ended = ? WHERE ended IS NULL",
            ["the controller ended before the run did", ended],
        )
        return [run for number in open_runs for run in _runs(database, "WHERE id = ?", number)]


def history(database: Database, limit: int = 20) -> list[Run]:
    """The last `limit` runs with their steps, newest first."""
    return _runs(database, "ORDER BY id DESC LIMIT ?", limit)


@dataclass(frozen=True, slots=True)
class LastStep:
    """What was done to a unit last: in the run of which revision, and when that began."""

    action: str
    outcome: str
    revision: str
    at: float


def last_step(database: Database, unit: str) -> LastStep | None:
    """The newest step of a unit that did something; None where the history has none."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT step.action, step.outcome, run.revision, run.started AS at FROM step JOIN run ON run.id = step.run "
            "WHERE step.unit = ? ORDER BY step.id DESC LIMIT 1",
            [unit],
        ).fetchone()
        return LastStep(**row) if row else None


def _runs(database: Database, which: str, value: int) -> list[Run]:
    with database.transaction() as connection:
        steps = "SELECT unit, action, seconds, outcome, message FROM step WHERE run = ? ORDER BY id"
        return [
            Run(
                **{**dict(row), "changes": tuple(json.loads(row["changes"]))},
                steps=tuple(Step(**line) for line in connection.execute(steps, [row["id"]])),
            )
            for row in connection.execute(f"SELECT * FROM run {which}", [value]).fetchall()  # noqa: S608  # our own text
        ]


def stopped(unit: Unit) -> Unit:
    """The unit after a `down`: nothing is wrong with it, it does not run."""
    return replace(unit, state="stopped", health="unknown", reason="the site is down")
