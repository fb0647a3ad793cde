"""One run of a job, in words: what it is called, how it ended, why, and what `status` says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches

from blumeops.base.errors import BlumeError, UserError
from blumeops.engines.local.engine import Observed
from blumeops.engines.local.job import JobSeen
from blumeops.loop import schedule
from blumeops.render.local_unit import LocalUnit
from blumeops.status import jobs
from blumeops.status.database import Database
from blumeops.status.jobs import JobRun, Outcome


@dataclass
class Under:
    """A run that goes on. `since`: the size of its log before; `over` is set at its end, and `run` says how it was."""

    run: JobRun
    unit: LocalUnit
    since: int = 0
    process: str = ""
    pid: int = 0
    late: bool = False
    """Whether it was ended because it took too long."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ending: asyncio.TimerHandle | None = None


def job_of(units: Mapping[str, LocalUnit], name: str) -> LocalUnit:
    """The job of that name. Raises UserError `BLU717` that names what there is."""
    unit = units.get(name)
    if unit and unit.at and not unit.provided and not unit.unavailable:
        return unit
    known = [each.unit for each in units.values() if each.at]
    near = get_close_matches(name, known, n=1) or known
    hint = f"did you mean {' or '.join(near)}?" if near else "the lab has no job"
    if unit is None:
        raise UserError("BLU717", name, "is not a job of this lab", hint)
    if unit.at:
        raise UserError("BLU717", name, f"cannot run here: {unit.provided or unit.unavailable}")
    raise UserError("BLU717", name, "is a service, which is kept running, and no job", hint)


def outcome_of(seen: JobSeen, error: BlumeError | None) -> Outcome:
    """How the run ended. `error`: what kept it from its start."""
    if error:
        return "failed"
    if seen.state == "ended":
        return "ok" if seen.code == 0 and not seen.lacks and not seen.gone else "failed"
    return "interrupted"


def message_of(seen: JobSeen, error: BlumeError | None) -> str:
    """Why it is not ok; empty where it is."""
    if error:
        return error.message
    if seen.state == "absent":
        return "the controller ended before it was started"
    if seen.state == "lost":
        why = "was ended by hand, or together with the process manager"
    elif seen.code == 0:
        unread = f"could not read what {' and '.join(seen.lacks)} keeps: it is another user's" if seen.lacks else ""
        gone = f"found no folder of what {' and '.join(seen.gone)} keeps" if seen.gone else ""
        return _joined(unread, gone)
    else:
        why = "was ended by a signal" if seen.code == -1 else f"exit code {seen.code}"
    return f"{why}: {seen.words}" if seen.words else why


def conditions(
    database: Database, units: Mapping[str, LocalUnit], seen: Mapping[str, Observed], now: float
) -> Mapping[str, Observed]:
    """What was seen, with what is known of the runs of those that are jobs. `now`: for one that is new."""
    names = [name for name in seen if name in units and units[name].at]
    if not names:
        return seen
    plans, told = jobs.scheduled(database), dict(seen)
    for name in names:
        at = plans[name].coming if name in plans else schedule.coming(units[name].at, now, ())
        told[name] = condition(seen[name], at, jobs.runs(database, name))
    return told


def condition(seen: Observed, at: float, runs: Sequence[JobRun]) -> Observed:
    """One job: one whose last run failed has failed. `at`: when it is due next; `runs`: newest first."""
    if seen.state not in ("running", "scheduled"):
        return seen
    coming = f"next {local_time(at)}"
    newest, last = next(iter(runs), None), next((run for run in runs if run.outcome != "skipped"), None)
    missed = ""
    if newest and newest.outcome == "skipped":
        missed = f"not started for {newest.due.replace('T', ' ')}: {newest.message}"
    if seen.state == "running":
        return replace(seen, reason=_joined(f"since {local_time(seen.since)}", missed, coming))
    if last is None or last.seconds is None:
        return replace(seen, reason=coming)
    took = f"{local_time(last.started)} in {last.seconds:.1f} s"
    if last.outcome == "ok":
        return replace(seen, reason=_joined(coming, missed, f"last ok: {took}"))
    words = f"{last.outcome}: {last.message} ({took})"
    return replace(seen, state="failed", health="unhealthy", reason=_joined(words, missed, coming))


def _joined(*words: str) -> str:
    return "; ".join(word for word in words if word)


def local_time(seconds: float) -> str:
    """By this machine's clock: "2026-11-25 02:00"."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
