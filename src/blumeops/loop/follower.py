"""Following a remote: its branch is looked at now and then, at once when it is said to have moved, and on request.

What enters: the revision that is applied (it names the remote), the time, a webhook, `blumeops sync`. What leaves:
`main` of our own forge at the revision of the remote's branch, once that has passed what a push must pass; syncs;
commit statuses; a record for `status`. What the remote sends and the checks refuse is not applied, and not even kept.
A remote that is away is asked again, less and less often; nothing is torn down.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.forge import remote
from blumeops.forge.gate import judge
from blumeops.forge.git import ZERO
from blumeops.forge.history import BRANCH
from blumeops.forge.statuses import State, Status
from blumeops.loop import leaks
from blumeops.loop.controller import Controller
from blumeops.loop.reporter import Reporter
from blumeops.loop.revision import Revision, read_revision
from blumeops.loop.source import Source, source_as_before, source_of
from blumeops.loop.sync import Synced
from blumeops.status import records
from blumeops.status import remote as status

SOON = 10.0
"""Seconds after which a remote that is away is asked again, the first time; then twice as many each time."""
SELDOM = 1800.0
"""The longest wait that comes of that, unless the lab's own `every:` is longer."""
REMEMBERED = 20
"""Commit statuses that are not posted a second time."""
GAP = 1.0
"""Seconds between two looks, however many webhooks come."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found. `well`: the remote answered, and what its branch holds is, or will be, applied here."""

    lines: tuple[str, ...] = ()
    well: bool = True
    refused: bool = False
    moved_to: str = ""
    """The revision that `main` is at now, where it moved."""


class Follower:
    """See the module. `state`: the site's state folder."""

    def __init__(self, controller: Controller, state: Path, clock: Callable[[], float] = time.time) -> None:
        self.controller = controller
        self.site = controller.site
        self.state = state
        self.clock = clock
        self.record = status.read(state)
        self.reporter = Reporter(self._posted)
        self._source: tuple[str, Source | None] = ("", None)
        self._wake = asyncio.Event()
        self._looking = asyncio.Lock()
        self._given_up = threading.Event()
        self._telling: set[asyncio.Task[None]] = set()
        controller.synced = self._synced
        controller.site.publish = self.publish

    # what others ask

    def wake(self) -> None:
        """The remote is said to have moved: look soon. Many calls make one look."""
        self._wake.set()

    def closed(self) -> str:
        """Why our own forge takes no push: once a remote has answered, that is where to push to."""
        if self.record.url and self.record.seen:
            return f"this lab follows {self.record.url}, branch {self.record.branch}: push there"
        return ""

    async def webhook_secret(self) -> str:
        """What the remote signs its webhooks with; empty where none is named."""
        # What the last look found: nobody without the secret makes us do more than compare.
        source = self._source[1] if self._source[0] else await asyncio.to_thread(self._source_now)
        return source.webhook if source else ""

    def publish(self, revision: Revision, commit: str) -> bool:
        """Push our own `commit`, made on `revision`, to the remote that the revision names; False where it names none.
        Raises Unavailable `BLU624`."""
        source = self._of(revision)
        if source is None:
            return False
        remote.push(self.site.repository, source.remote, commit)
        return True

    async def look(self, *, again: bool = False) -> Look | None:
        """Look at the remote now; None where none is followed. `again`: also at what was refused before."""
        async with self._looking:
            source = await asyncio.to_thread(self._source_now)
            if source is None:
                self._forget()
                return None
            found = await asyncio.to_thread(self._look, source, again)
            for line in found.lines if found.moved_to or found.refused or not found.well else ():
                log.info("%s", line)
            if found.moved_to:
                self._report(source, found.moved_to, "pending", "checked; it is being applied")
                self.controller.want(found.moved_to)
            elif found.refused:
                errors = [line for line in found.lines if line.startswith("refused: ")][-1:]
                said = "; ".join([*errors, *self.record.findings[:1]])
                self._report(source, self.record.refused, "failure", said)
            return found

    async def run(self, stop: asyncio.Event) -> None:
        """Look, and look again, until `stop`."""
        posting = asyncio.create_task(self.reporter.run(stop))
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._given_up.set())
        failures = 0
        try:
            while not stop.is_set():
                self._wake.clear()
                found = await self._look_safely()
                source = self._source[1]
                delay = None if found is None or source is None else source.every
                if found and not found.well:
                    delay = min(SOON * 2**failures, max(SELDOM, delay or 0))
                    failures = min(failures + 1, 20)
                elif found:
                    failures = 0
                await asyncio.wait({stopping}, timeout=GAP)
                waking = asyncio.create_task(self._wake.wait())
                await asyncio.wait({stopping, waking}, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
        finally:
            self._given_up.set()
            stopping.cancel()
            await posting

    async def _look_safely(self) -> Look | None:
        try:
            return await self.look()
        except BlumeError as error:
            log.warning("%s", error)
        except Exception:
            log.exception("looking at the remote failed")
        return Look(well=False)

    # what is known

    def _source_now(self) -> Source | None:
        """What the newest revision of `main` says; what was followed before where that cannot be read. None before
        the first revision."""
        head = self.site.repository.head() or ""
        applied = self.controller.applied
        if not head:
            return None
        if self._source[0] != head:
            known = applied if applied and applied.name == head else None
            revision = known or read_revision(self.site.repository, self.site.work, head)
            self._source = (head, self._of(revision))
        return self._source[1]

    def _of(self, revision: Revision) -> Source | None:
        found = source_of(revision, self.site.stores, self.state)
        if found is None and revision.checked is None and self.record.url:
            record = self.record
            found = source_as_before(
                record.url, record.branch, record.token, revision, self.site.stores, self.state
            )  # fmt: skip
        return replace(found, remote=replace(found.remote, given_up=self._given_up)) if found else None

    def _forget(self) -> None:
        if self.record.url:
            self._keep(status.Followed(), ())

    def _keep(self, record: status.Followed, reported: tuple[str, ...] | None = None) -> None:
        # A look takes its time: what was posted meanwhile is not forgotten.
        record = replace(record, reported=self.record.reported if reported is None else reported)
        if record != self.record:
            self.record = record
            status.write(self.state, record)

    # one look, in a thread

    def _look(self, source: Source, again: bool) -> Look:
        record = self.record
        if (record.url, record.branch) != (source.remote.url, source.remote.branch):
            record = status.Followed(source.remote.url, source.remote.branch, source.token_reference)
        try:
            return self._compare(source, replace(record, token=source.token_reference), again)
        except BlumeError as error:
            problem = f"{error}; {source.problem}" if source.problem else str(error)
            since = record.since if record.problem else self.clock()
            self._keep(replace(record, problem=problem, since=since))
            return Look((f"{problem}; what runs, runs on",), well=False)

    def _compare(self, source: Source, record: status.Followed, again: bool) -> Look:
        theirs, main = remote.head(self.site.repository, source.remote), self.site.repository.head()
        record = replace(record, looked=self.clock())
        if theirs is None:
            return self._wrong(record, f"it has no branch {source.remote.branch}: push it there", keep_seen=True)
        if theirs == main:
            self._well(replace(record, seen=theirs))
            return Look((f"{source.remote.branch} of {source.remote.url} is at {theirs[:8]}, as is ours",))
        if theirs == record.refused and not again:
            self._well(record, refused=record.refused, findings=record.findings)
            return Look((*record.findings, f"refused before: {theirs[:8]}"), refused=True)
        with remote.fetched(self.site.repository, source.remote) as (revision, env):
            return self._judged(source, record, revision, main, env)

    def _judged(
        self, source: Source, record: status.Followed, revision: str, main: str | None, env: dict[str, str]
    ) -> Look:
        branch = source.remote.branch
        if main and not record.seen and self.site.repository.follows(main, revision):
            return self._wrong(record, f"its {branch} is behind ours ({revision[:8]}, not {main[:8]}): push there")
        lines = [f"{branch} of {source.remote.url} is at {revision[:8]}"]
        updates = [(main or ZERO, revision, BRANCH)]
        judged = judge(self.site.repository, updates, env, self.controller.examine, leaks.searcher(self.site.work))
        accepted = False
        while True:
            try:
                lines.append(next(judged))
            except StopIteration as end:
                accepted = end.value is True
                break
        if not accepted:
            findings = tuple(line for line in lines[1:] if not line.startswith("refused: "))[:100]
            now = self.clock()
            run = records.begin(self.site.database, revision, now)
            records.end(self.site.database, run, "refused", "\n".join(lines[1:]), now)
            self._well(replace(record, seen=revision), refused=revision, findings=findings)
            return Look(tuple(lines), refused=True)
        remote.keep(self.site.repository, env)
        note = ""
        if main and not self.site.repository.follows(revision, main):
            note = f"{branch} was rewound or rewritten: ours left {main[:8]}, which it does not hold"
            lines.append(f"note: {note}")
        self.site.repository.advance(revision, main)
        self._well(replace(record, seen=revision, note=note))
        return Look(tuple(lines), moved_to=revision)

    def _well(self, record: status.Followed, refused: str = "", findings: tuple[str, ...] = ()) -> None:
        self._keep(replace(record, problem="", since=0.0, refused=refused, findings=findings))

    def _wrong(self, record: status.Followed, problem: str, *, keep_seen: bool = False) -> Look:
        since = record.since if record.problem else self.clock()
        seen = record.seen if keep_seen else ""
        self._keep(replace(record, problem=problem, since=since, seen=seen, refused="", findings=()))
        return Look((f"{record.url}: {problem}",), well=False)

    # what is said of it elsewhere

    def _synced(self, wanted: str, result: Synced, seconds: float) -> None:
        """Called on the event loop after each sync."""
        if result.revision != self._source[0]:
            self.wake()  # another revision may name another remote
        told = asyncio.create_task(self._tell(wanted, result, seconds))
        self._telling.add(told)
        told.add_done_callback(self._telling.discard)

    async def _tell(self, wanted: str, result: Synced, seconds: float) -> None:
        source = await asyncio.to_thread(self._source_now)
        if source is None:
            return
        for revision in dict.fromkeys((result.revision, wanted)):
            if result.ok:
                self._report(source, revision, "success", f"applied in {seconds:.1f} s")
            else:
                self._report(source, revision, "failure", f"not applied whole: {result.lines[0]}")

    def _report(self, source: Source, revision: str, state: State, description: str) -> None:
        if source.api and source.remote.token and f"{revision} {state}" not in self.record.reported:
            self.reporter.report(source.api, source.remote.token, Status(revision, state, description))

    def _posted(self, posted: Status) -> None:
        others = [each for each in self.record.reported if not each.startswith(posted.revision)]
        try:
            self._keep(self.record, (*others[-REMEMBERED:], f"{posted.revision} {posted.state}"))
        except BlumeError as error:
            log.warning("%s", error)
