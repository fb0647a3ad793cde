"""The controller: one process for one site. Events come in (a push, a request, the time to look); syncs go out.

Only the newest wanted revision is kept: one that arrives during a sync is next, and what stood between is
superseded. Syncs run one at a time in a thread; the event loop only waits, serves and passes lines on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import suppress

from blumeops.base.errors import BlumeError
from blumeops.base.findings import Finding, errors, in_order
from blumeops.engines.local.engine import Observed
from blumeops.forge.repository import Repository
from blumeops.lab.settings import Gitops
from blumeops.loop import rollback
from blumeops.loop.admission import hindrances, rotated, unconsented
from blumeops.loop.away import Away
from blumeops.loop.healing import Healer
from blumeops.loop.revision import Revision, read_revision
from blumeops.loop.sync import Say, Site, Synced, look, no_secrets, plan_for, sync
from blumeops.loop.vault import reader
from blumeops.loop.wanted import Job
from blumeops.loop.watcher import Watcher
from blumeops.plan.compare import Plan
from blumeops.plan.exposure import exposure, exposure_lines
from blumeops.status import records

DAMAGED = "BLU910"
"""The status database cannot be used: this process ends, and its successor sets the file aside and begins anew."""
LOOK_EVERY = 10.0
"""Seconds between two looks at everything: drift is promised to be seen within 30."""

log = logging.getLogger(__name__)


class Controller:
    """See the module."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.applied: Revision | None = None
        self._next: Job | None = None
        self._current: Job | None = None
        self._wake = asyncio.Event()
        self._away = Away()
        self._examined: Revision | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._healer = Healer()
        self.looked = site.clock()
        """When everything was looked at last; at first, when the controller began."""
        self.synced: Callable[[str, Synced, float], None] = lambda *_: None
        """Told of each sync that ended: the wanted revision, how, after how many seconds."""
        self.at_rest: Callable[[], None] = lambda: None
        """Called when a sync has ended."""
        self.news = asyncio.Event()
        """Set when there is something new to see in the status; then there is another one."""
        self.ending = False

    @property
    def syncing(self) -> bool:
        """Whether a sync is under way."""
        return self._current is not None

    @property
    def busy(self) -> bool:
        """Whether a sync is under way, or about to be."""
        return self._next is not None or self._current is not None

    # what comes in

    def want(self, revision: str, *, retry: bool = False, restore: bool = False) -> Job:
        """Ask for a revision; the job that brings it. `retry`: also what was refused in this form before; `restore`:
        also what was changed by hand and says `heal: false`."""
        for job in (self._next, self._current):
            if job and job.revision == revision and not job.over and job.retry >= retry and job.restore >= restore:
                return job
        waiting, self._next = self._next, Job(revision, retry=retry, restore=restore)
        if waiting:
            told = asyncio.create_task(waiting.supersede(revision))
            self._telling.add(told)
            told.add_done_callback(self._telling.discard)
        self._wake.set()
        return self._next

    def pushed(self) -> None:
        """A push ended, whoever was there to see it: what is on main now is wanted."""
        head = self.site.repository.head()
        if head and head != records.site(self.site.database).wanted_revision:
            self.want(head)

    async def follow(self, revision: str) -> AsyncIterator[str]:
        """The lines about `revision` until it has settled: what `git push` prints."""
        async for line in self.want(revision).follow():
            yield line

    def examine(
        self, repository: Repository, old: str | None, new: str, env: Mapping[str, str]
    ) -> Generator[str, None, bool]:
        """The push gate: findings and, when none refuses it, the plan. Runs in the gate's thread."""
        revision = read_revision(repository, self.site.work, new, env)
        engine = self.site.engine(no_secrets)
        found = hindrances(revision, self.site.lab, self.site.stores, engine.applied())
        told = in_order([*revision.findings, *found])
        yield from map(str, told)
        if revision.checked is None or errors(told):
            yield refusal(told)
            return False
        fresh = rotated(self.applied, revision, self.site.stores) if self.applied else {}
        yield from plan_lines(plan_for(engine, revision), fresh)
        if self.applied and self.applied.checked:
            changes = exposure(self.applied.checked, revision.checked)
            yield from (f"access: {line}" for line in exposure_lines(changes))
        if old and (unsaid := unconsented(repository, self._read(repository, old), revision, env)):
            yield from map(str, unsaid)
            yield refusal(unsaid)
            return False
        if self.applied and self.applied.checked:
            before, after = self.applied.checked.lab.settings.here, revision.checked.lab.settings.here
            if before.forge != after.forge:
                yield f"note: the forge moves to port {after.forge} at the next `blumeops up`"
            if before.dns != after.dns:
                yield f"note: the DNS of its names moves to port {after.dns} at the next `blumeops up`"
        yield from remote_lines(self.applied, revision)
        self._examined = revision
        return True

    def _read(self, repository: Repository, revision: str) -> Revision:
        """What main holds: most often it is applied, and read already."""
        if self.applied and self.applied.name == revision:
            return self.applied
        return read_revision(repository, self.site.work, revision)

    async def roll_back(self, target: str) -> AsyncIterator[str | bool]:
        """Go back to revision `target`: lines until it has settled, then whether it is applied whole."""
        try:
            back = await asyncio.to_thread(rollback.prepare, self.site, target)
            for finding in back.findings:
                yield str(finding)
            if back.revision.checked is None or errors(back.findings):
                yield refusal(back.findings)
                yield False
                return
            for line in [*plan_lines(back.plan, {}), *rollback.caution(back)]:
                yield line
            job = await self.bring(back.revision, back.parent)
        except BlumeError as error:
            yield f"refused: {error}"
            yield False
            return
        yield f"main moves from {back.parent[:8]} to {job.revision[:8]}, which has the files of {target[:8]}"
        async for line in job.follow():
            yield line
        yield bool(job.result and job.result.ok)

    async def bring(self, revision: Revision, parent: str) -> Job:
        """Let main move from `parent` to a commit of our own, read and judged already; the job that applies it.

        The branch of a remote that is followed moves first: main is never ahead of it. Raises EngineError `BLU602`,
        Unavailable `BLU624`.
        """
        new = await asyncio.to_thread(self._land, revision, parent)
        self._examined = revision
        return self.want(new, retry=True)

    def _land(self, revision: Revision, parent: str) -> str:
        if self.site.publish:
            self.site.publish(self.applied or revision, revision.name)
        return self.site.repository.advance(revision.name, parent)

    # what goes out

    async def run(self, stop: asyncio.Event) -> None:
        """Sync what is wanted and look at what runs, until `stop`. A sync under way is finished first."""
        for run in records.mark_interrupted(self.site.database, self.site.clock()):
            log.warning("the sync of %s was interrupted; it is done again", run.revision[:8])
        head = self.site.repository.head()
        if head:
            self.want(head, retry=True)
        loop = asyncio.get_running_loop()
        watcher = Watcher(self.site, lambda: self.applied, self._wake.set)

        def saw(seen: Mapping[str, Observed], whole: bool) -> None:
            watcher.saw(seen, whole)
            self._tell_news()

        self.site.saw = lambda seen, whole: loop.call_soon_threadsafe(saw, seen, whole)
        watching = asyncio.create_task(watcher.run())
        try:
            await self._serve(stop, watching)
        finally:
            self.ending = True
            self._tell_news()
            self.site.saw = lambda seen, whole: None
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    def _tell_news(self) -> None:
        before, self.news = self.news, asyncio.Event()
        before.set()

    async def _serve(self, stop: asyncio.Event, watching: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            if watching.done():  # a bug: what it met is for the log, and this process starts anew
                watching.result()
            waking = asyncio.create_task(self._wake.wait())
            pause = min(LOOK_EVERY, self._away.pause)
            await asyncio.wait({waking, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            waking.cancel()
            self._wake.clear()
            if stop.is_set():
                return
            if await asyncio.to_thread(self.site.engine(no_secrets).manager.ensure_running):
                # The process manager was killed, and with its successor came a successor of this process.
                log.warning("the process manager was gone; it is back, and this controller makes way for its own")
                stop.set()
                return
            if self._away.due() and not self._next and (head := self.site.repository.head()):
                self.want(head)
            if self._next:
                await self._sync()
            elif self.applied:
                await asyncio.to_thread(self._look, self.applied)

    async def _sync(self) -> None:
        job, self._next = self._next, None
        assert job is not None
        self._current = job
        loop = asyncio.get_running_loop()
        started = loop.time()

        def say(line: str) -> None:
            if not line.endswith("\r"):  # how far it is: of use to whoever waits
                log.info("%s", line)
            asyncio.run_coroutine_threadsafe(job.tell(line), loop)

        damage = None
        try:
            result = await asyncio.to_thread(self._sync_in_thread, job, say)
        except BlumeError as error:
            damage, result = error, Synced(job.revision, False, (str(error),))
        except Exception as error:
            log.exception("the sync of %s failed", job.revision)
            result = Synced(job.revision, False, (f"BLU799 sync: a bug: {type(error).__name__}; see the log",))
        seconds = loop.time() - started
        await job.tell(*_summary(job.revision, result, seconds))
        async with job.changed:
            job.result = result
            job.changed.notify_all()
        self._current = None
        self._tell_news()
        self.synced(job.revision, result, seconds)
        self.at_rest()
        if damage:
            raise damage

    def _sync_in_thread(self, job: Job, say: Say) -> Synced:
        # What is on main counts: generated secrets, or a push during the sync before, may have moved it.
        revision = self.site.repository.head() or job.revision
        examined, self._examined = self._examined, None
        known = examined if examined and examined.name == revision else None
        result, applied = sync(self.site, revision, say, known, retry=job.retry, restore=job.restore)
        self.applied = applied or self.applied
        return self._away.note(self.site, result)

    def _look(self, applied: Revision) -> None:
        """See how everything is; what was changed by hand or stopped is put back."""
        try:
            engine = self.site.engine(reader(applied, self.site.stores))
            if self._healer.heal(self.site, engine, applied, look(self.site, engine, applied)):
                look(self.site, engine, applied)
            self.looked = self.site.clock()
        except BlumeError as error:
            log.warning("%s", error)
            if error.code == DAMAGED:
                raise


def plan_lines(plan: Plan, fresh: Mapping[str, Sequence[str]]) -> list[str]:
    """A plan in a person's words, a line an effect. `fresh`: by unit, the secrets that have a new value."""
    count = len({change.unit for change in plan.changes} | fresh.keys())
    if not count:
        return ["plan: nothing that runs changes"]
    lines = [f"plan: {count} {'unit changes' if count == 1 else 'units change'}"]
    lines += [f"  {unit}: restart: a new value of {each}" for unit, found in fresh.items() for each in found]
    for change in plan.changes:
        lines += [f"  {change.unit}: {change.action}: {effect}" for effect in change.effects]
    return lines


def refusal(findings: Sequence[Finding]) -> str:
    """The last line about what is refused."""
    count = len(errors(findings))
    return f"refused: {count} {'error' if count == 1 else 'errors'}; what runs is untouched"


def remote_lines(before: Revision | None, after: Revision) -> list[str]:
    """What changes about the remote that is followed: whoever pushes this hands the lab to another repository."""
    old, new = (each.checked.lab.settings.gitops if each and each.checked else Gitops() for each in (before, after))
    if (old.url, old.branch) == (new.url, new.branch):
        return []
    if new.url is None:
        return [f"note: the lab does not follow {old.url} any more: from then on push to the forge of this site"]
    instead = f", instead of {old.url}, branch {old.branch}" if old.url else ", and its own forge takes no pushes"
    return [f"note: from then on the lab follows {new.url}, branch {new.branch}{instead}"]


def _summary(wanted: str, result: Synced, seconds: float) -> list[str]:
    if not result.ok:
        return [*result.news, f"failed after {seconds:.1f} s: {wanted[:8]} is not applied whole; see blumeops status"]
    lines = [f"applied {wanted[:8]} in {seconds:.1f} s"]
    if result.revision != wanted:
        lines.append(f"main is now {result.revision[:8]}, with the secrets that were generated: git pull")
    return lines
