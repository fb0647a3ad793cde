"""Status as JSON: a database enters, the objects of `status --json` and `history --json` leave (version 1).

Fields are only ever added. Times are RFC 3339, in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from blumeops.status import audience, jobs, remote, shares, warnings
from blumeops.status.database import Database
from blumeops.status.records import Run, Unit, history, settled, site, units

VERSION = 1


def status_as_json(database: Database) -> dict[str, object]:
    """The object of `status --json`, of one moment."""
    with database.transaction():
        here, seen = site(database), units(database)
        at_times = {unit: _job(plan, jobs.runs(database, unit, 10)) for unit, plan in jobs.scheduled(database).items()}
    followed = remote.as_json(remote.read(database.path.parent))
    warned = warnings.read(database.path.parent)
    reached = audience.read(database.path.parent)
    named = {share: str(path) for share, path in shares.read(database.path.parent).items()}
    return {
        "version": VERSION,
        "site": here.name,
        "revision": here.revision,
        "wanted_revision": here.wanted_revision,
        "settled": settled(here, seen),
        "problem": here.problem,
        **({"remote": followed} if followed else {}),
        **({"shares": named} if named else {}),
        **({"warnings": list(warned.values())} if warned else {}),
        "units": [
            {**_unit(unit, reached), **({"job": at_times[unit.id]} if unit.id in at_times else {})} for unit in seen
        ],
    }


def history_as_json(database: Database, limit: int = 20) -> dict[str, object]:
    """The object of `history --json`: the newest run first; `ended` is null while it goes on."""
    return {"version": VERSION, "history": [_run(run) for run in history(database, limit)]}


def _unit(unit: Unit, reached: Mapping[str, Sequence[str]]) -> dict[str, object]:
    exposed = {"exposed_to": list(reached[unit.id])} if unit.id in reached else {}
    return {**asdict(unit), "since": time_of(unit.since), **exposed}


def job_run_as_json(run: jobs.JobRun) -> dict[str, object]:
    """One run of a job: `due` is null for one that somebody asked for, `ended` and `seconds` while it goes on."""
    ended = None if run.ended is None else time_of(run.ended)
    found = {"due": run.due or None, "started": time_of(run.started), "ended": ended, "seconds": run.seconds}
    return {**found, "outcome": run.outcome, "code": run.code, "message": run.message}


def _job(plan: jobs.Scheduled, runs: list[jobs.JobRun]) -> dict[str, object]:
    return {"at": plan.at, "next": time_of(plan.coming), "runs": [job_run_as_json(run) for run in runs]}


def _run(run: Run) -> dict[str, object]:
    ended = None if run.ended is None else time_of(run.ended)
    return {**asdict(run), "started": time_of(run.started), "ended": ended}


def time_of(seconds: float) -> str:
    """RFC 3339, in UTC, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
