"""Jobs: each runs at its time, or when somebody asks; one run of a job at a time.

In: the jobs of the revision that is applied, the clock, and the ends of processes, of which the kernel tells. Out: runs
in the status, each written down before it is started and ended once. A run belongs to the process manager: a controller
that comes after a killed one finds it by its token, follows it to its end, and starts no due time again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from blumeops.base.errors import BlumeError, EngineError
from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.exits import Exits
from blumeops.engines.local.health import size_of
from blumeops.engines.local.job import JobSeen
from blumeops.loop import schedule
from blumeops.loop.job_runs import Under, job_of, local_time, message_of, outcome_of
from blumeops.loop.revision import Revision
from blumeops.loop.sync import Around, Site, look, no_secrets
from blumeops.loop.vault import reader
from blumeops.render.local_unit import LocalUnit
from blumeops.status import jobs
from blumeops.telemetry.logs import Log

LONGEST = 30.0
"""Seconds until the clock is looked at again: nobody tells us that somebody has set it."""
AGAIN = 2.0
"""Seconds until what could not be learnt or written about an end is tried again."""
LINES_EVERY = 0.2

log = logging.getLogger(__name__)


class Jobs:
    """One event loop's own. `revision`: what is applied; `syncing`: whether that is being changed at the moment."""

    def __init__(self, site: Site, revision: Callable[[], Revision | None], syncing: Callable[[], bool]) -> None:
        self._site, self._revision, self._syncing = site, revision, syncing
        self._wake = asyncio.Event()
        self._exits = Exits(self._ended, site.engine(no_secrets).manager.has_ended)
        self._under: dict[str, Under] = {}
        """By job: the run that goes on."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._found = False
        """Whether the runs that an earlier controller left were looked for."""

    def wake(self) -> None:
        """There may be something to do: a sync has ended."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Start what is due, until `stop`. What runs then goes on, and the next controller finds it."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                pause = LONGEST
                revision = self._revision()
                if revision and not self._syncing():
                    try:
                        pause = await self._look(revision)
                    except BlumeError as error:  # a full disk, a damaged status: the look at everything says the rest
                        log.warning("jobs: %s", error)
                waking = asyncio.create_task(self._wake.wait())
                await asyncio.wait({waking, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
        finally:
            stopping.cancel()
            for task in self._tasks:
                task.cancel()
            self._exits.close()

    async def start(self, name: str) -> Under:
        """Start a run now, because somebody asks. Raises UserError `BLU717`, EngineError `BLU716`, Unavailable."""
        revision = self._revision()
        if revision is None or not self._found:
            raise EngineError("BLU718", name, "cannot run yet: the lab is coming up", "blumeops status --wait")
        return await self._start(revision, job_of(revision.units, name), "")

    async def follow(self, under: Under) -> AsyncIterator[str]:
        """The lines that it prints, without its secrets, until it has ended."""
        revision = self._revision()
        assert revision is not None  # it was begun, or found, under one
        mask = await asyncio.to_thread(self._engine(revision).job_mask, under.unit)
        log = Log(under.unit.unit, self._log_of(under.unit))
        with closing(log):
            log.begin(under.since)
            while True:
                ended = under.over.is_set()
                for line in await asyncio.to_thread(log.news):
                    yield mask(line)
                if ended:
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(under.over.wait(), LINES_EVERY)
            if rest := log.rest():
                yield mask(rest)

    def _log_of(self, unit: LocalUnit) -> Path:
        return self._site.engine(no_secrets).job_log(unit.unit)

    # what is due

    async def _look(self, revision: Revision) -> float:
        """Start what is due now; returns the seconds until it is to be looked at again."""
        if not self._found:
            await self._find(revision)
            self._found = True
        now = self._site.clock()
        units = [unit for unit in revision.units.values() if unit.at and not unit.provided and not unit.unavailable]
        pause = LONGEST
        for unit, due, coming in await asyncio.to_thread(self._owed, units, now):
            pause = min(pause, max(0.05, coming - now))
            if due and unit.unit in self._under:
                await asyncio.to_thread(self._skip, unit, due)
            elif due:
                self._go(self._start_due(revision, unit, due))
        return pause

    def _owed(self, units: list[LocalUnit], now: float) -> list[tuple[LocalUnit, str, float]]:
        """For each job the due time for which a run is owed, if there is one, and when the next one comes."""
        database = self._site.database
        known, found = jobs.scheduled(database), []
        if gone := known.keys() - {unit.unit for unit in units}:
            jobs.forget(database, gone)
        for unit in units:
            plan, done = jobs.schedule(database, unit.unit, unit.at, now), jobs.done(database, unit.unit)
            coming = schedule.coming(unit.at, now, done)
            if coming != plan.coming:
                jobs.put_coming(database, unit.unit, coming)
            found.append((unit, schedule.due(unit.at, now, plan.since, done), coming))
        if any(coming != known[unit.unit].coming if unit.unit in known else True for unit, _, coming in found):
            self._show([unit.unit for unit in units])
        return found

    def _skip(self, unit: LocalUnit, due: str) -> None:
        why = f"the run of {local_time(self._under[unit.unit].run.started)} still went on"
        jobs.skip(self._site.database, unit.unit, due, self._site.clock(), why)
        log.warning("%s: not started for %s: %s", unit.unit, due, why)
        self._show([unit.unit])

    async def _start_due(self, revision: Revision, unit: LocalUnit, due: str) -> None:
        with suppress(BlumeError):  # it is in the log and, where that can be written, in the status
            await self._start(revision, unit, due)

    # one run

    async def _start(self, revision: Revision, unit: LocalUnit, due: str) -> Under:
        """Begin a run. What hinders it is raised, and is its end."""
        if unit.unit in self._under:
            raise EngineError("BLU716", unit.unit, "runs already", f"watch it: blumeops logs --follow {unit.unit}")
        engine = self._engine(revision)
        run = jobs.JobRun(0, unit.unit, secrets.token_hex(8), due, self._site.clock(), None, "running", None, "")
        # Before anything is waited for: whoever else asks meanwhile is told that it runs.
        under = self._under[unit.unit] = Under(run, unit, size_of(engine.job_log(unit.unit)))
        try:
            begun = await asyncio.to_thread(jobs.begin, self._site.database, unit.unit, run.token, due, run.started)
        except BlumeError as error:
            del self._under[unit.unit]
            log.warning("%s: %s", unit.unit, error)
            raise
        under.run = begun
        log.info("%s: starting%s", unit.unit, f" for {due}" if due else "")
        await self._begin(engine, under)
        return under

    async def _begin(self, engine: LocalEngine, under: Under) -> None:
        """Start the process of a run that is written down."""
        try:
            seen = await asyncio.to_thread(
                engine.start_job, under.unit, under.run.token, lambda line: log.info("%s", line)
            )
        except BlumeError as error:
            await self._finish(under, JobSeen("absent", ""), error)
            raise
        self._watch(under, seen)
        await asyncio.to_thread(self._show, [under.unit.unit])

    def _watch(self, under: Under, seen: JobSeen) -> None:
        under.process, under.pid = seen.process, seen.pid
        self._exits.follow({each.process: each.pid for each in self._under.values() if each.pid})
        limit = under.unit.run_seconds
        if limit and under.ending is None:
            left = under.run.started + limit - self._site.clock()
            end = asyncio.get_running_loop().call_later
            under.ending = end(min(max(0.0, left), limit), lambda: self._go(self._too_long(under)))
        if not seen.pid:  # it has ended already
            self._ended(seen.process, 0)

    def _ended(self, process: str, pid: int) -> None:
        for under in [each for each in self._under.values() if (each.process, each.pid) == (process, pid)]:
            under.pid = 0
            self._go(self._result(under))

    async def _too_long(self, under: Under) -> None:
        """Its time is over: end it. That it has ended comes as with any other."""
        revision = self._revision()
        if revision and not under.over.is_set():
            under.late = True
            try:
                await asyncio.to_thread(self._engine(revision).stop_job, under.unit.unit)
            except BlumeError as error:  # the manager could not be asked: it runs on, and is ended later
                log.warning("%s: %s", under.unit.unit, error)
                again = asyncio.get_running_loop().call_later
                under.ending = again(AGAIN, lambda: self._go(self._too_long(under)))

    async def _result(self, under: Under) -> None:
        """Its process is gone: learn how, and write it down."""
        revision = self._revision()
        assert revision is not None  # a run is begun, or found, under one
        try:
            result = self._engine(revision).job_result
            seen = await asyncio.to_thread(result, under.unit, under.run.token, under.since)
        except BlumeError as error:
            log.warning("%s: %s", under.unit.unit, error)
            seen = JobSeen("running", under.process)
        if seen.state == "running":  # the manager has not noticed, or could not be asked
            asyncio.get_running_loop().call_later(AGAIN, self._watch, under, seen)
            return
        await self._finish(under, seen)

    async def _finish(self, under: Under, seen: JobSeen, error: BlumeError | None = None) -> None:
        if under.ending:
            under.ending.cancel()
        outcome, message = outcome_of(seen, error), message_of(seen, error)
        if under.late and outcome != "ok":
            outcome, message = "failed", f"took longer than {under.unit.run_seconds or 0:g} s, and was ended"
        name, now = under.unit.unit, self._site.clock()
        try:
            await asyncio.to_thread(jobs.end, self._site.database, under.run, outcome, seen.code, message, now)
        except BlumeError as wrong:  # the manager knows the result as long as no other run begins
            log.warning("%s: %s", name, wrong)
            asyncio.get_running_loop().call_later(AGAIN, lambda: self._go(self._finish(under, seen, error)))
            return
        under.run = replace(under.run, outcome=outcome, code=seen.code, message=message, ended=now)
        del self._under[name]
        under.over.set()
        log.log(
            logging.INFO if outcome == "ok" else logging.WARNING,
            "%s: %s after %.1f s%s", name, outcome, under.run.seconds, f": {message}" if message else "",
        )  # fmt: skip
        await asyncio.to_thread(self._show, [name])

    # after another controller

    async def _find(self, revision: Revision) -> None:
        """Take up the runs whose end is not known, and those that the status lost."""
        engine, database = self._engine(revision), self._site.database
        for run in await asyncio.to_thread(jobs.unfinished, database):
            unit = revision.units.get(run.unit)
            if unit is None or not unit.at:
                why = "it was taken out of the lab meanwhile"
                await asyncio.to_thread(jobs.end, database, run, "interrupted", None, why, self._site.clock())
                continue
            await self._take_up(engine, Under(run, unit))
        for unit in revision.units.values():
            token = await asyncio.to_thread(engine.running_job, unit.unit) if unit.at else ""
            if token and unit.unit not in self._under:
                run = await asyncio.to_thread(jobs.begin, database, unit.unit, token, "", self._site.clock())
                await self._take_up(engine, Under(run, unit))

    async def _take_up(self, engine: LocalEngine, under: Under) -> None:
        name, run = under.unit.unit, under.run
        if name in self._under:  # a look before this one took it up, and then could not go on
            return
        seen = await asyncio.to_thread(engine.job_seen, name, run.token)
        self._under[name] = under
        log.info("%s: the run of %s is %s", name, run.due or "somebody who asked", seen.state)
        if seen.state == "absent" and run.due:  # written down, and not begun: it is owed
            with suppress(BlumeError):
                await self._begin(engine, under)
        elif seen.state == "absent":
            await self._finish(under, seen)
        else:
            self._watch(under, seen)

    def _show(self, names: list[str]) -> None:
        """Let the status say how these jobs are. In a thread."""
        revision = self._revision()
        if revision:
            with suppress(BlumeError):
                look(self._site, self._engine(revision), revision, Around(names))

    def _engine(self, revision: Revision) -> LocalEngine:
        return self._site.engine(reader(revision, self._site.stores))

    def _go(self, act: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._went)

    def _went(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("jobs: a bug", exc_info=task.exception())
