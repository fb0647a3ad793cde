"""Sees at once that a service ended, and again when it is back: the kernel tells of the end, nobody polls.

In: what was seen at each look, and the ends of processes. Out: looks at the units that this concerns (their condition
stands in the status within a tenth of a second), lines in the log, and a call for attention where something can be
done: a unit is back that others wait for, or the process manager itself is gone. Starting again is the manager's work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from blumeops.base.errors import BlumeError
from blumeops.engines.local.engine import Observed
from blumeops.engines.local.exits import Exits
from blumeops.engines.local.observe import over_limit
from blumeops.loop.follow_up import FollowUp
from blumeops.loop.revision import Revision
from blumeops.loop.sync import Around, Site, look, no_secrets
from blumeops.loop.vault import reader
from blumeops.status import records

MANAGER = ""
"""The process manager's name among the watched processes: no program has it."""

log = logging.getLogger(__name__)


class Watcher:
    """One event loop's own. `revision`: what is applied; `attend`: called when there may be something to do."""

    def __init__(self, site: Site, revision: Callable[[], Revision | None], attend: Callable[[], None]) -> None:
        self._site, self._revision, self._attend = site, revision, attend
        self._manager = site.engine(no_secrets).manager
        self._exits = Exits(self._ended, self._has_ended)
        self._follow_up = FollowUp()
        self._wake = asyncio.Event()
        self._seen: dict[str, Observed] = {}
        self._ends: dict[str, tuple[str, int, float, str]] = {}
        """By unit: the process and pid that ended, when, and how; until the unit is back."""
        self._kills: dict[str, int] = {}
        """By process: how often its memory was used up, as of the last look."""
        self._news: set[int] = set()
        """Pids that ended since the last look."""

    def saw(self, seen: Mapping[str, Observed], whole: bool) -> None:
        """What a look saw; `whole`: of everything. Its processes are watched from now on."""
        now = asyncio.get_running_loop().time()
        for gone in (self._seen.keys() - seen.keys()) if whole else set():
            del self._seen[gone]
            self._ends.pop(gone, None)
            self._follow_up.forget([gone])
        for name, each in seen.items():
            before = self._seen.get(name)
            if not _settled(each) and (before is None or (before.state, before.health) != (each.state, each.health)):
                self._follow_up.looked(name, False, now)
            self._seen[name] = each
        pids = {each.instance: each.pid for each in self._seen.values() if each.instance and each.pid}
        self._kills |= {process: self._manager.memory_kills(process) for process in pids}
        self._exits.follow({**pids, MANAGER: self._manager.pid()})
        self._wake.set()

    async def run(self) -> None:
        """Look where something happened, until this is cancelled."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._follow_up.wait(clock()))
                self._wake.clear()
                revision = self._revision()
                due = self._follow_up.due(clock())
                if revision and due:
                    gone, self._news = self._news, set()
                    notes = {unit: why for unit, (*_, why) in self._ends.items()}
                    look_at = partial(self._look, revision, Around(sorted(due), gone, notes))
                    self._tell(due, await asyncio.to_thread(look_at), clock())
                else:
                    self._follow_up.forget(due)
        finally:
            self._exits.close()

    def _ended(self, process: str, pid: int) -> None:
        if process == MANAGER:
            self._attend()
            return
        now, revision = asyncio.get_running_loop().time(), self._revision()
        for unit in [name for name, each in self._seen.items() if each.instance == process]:
            over = self._manager.memory_kills(process) > self._kills.get(process, 0)
            why = (
                over_limit(revision.units[unit]) if over and revision and unit in revision.units else "ended by itself"
            )
            self._ends[unit] = (process, pid, now, why)
            self._news.add(pid)
            self._follow_up.begin(unit, now)
        self._wake.set()

    def _has_ended(self, process: str, pid: int) -> bool:
        return self._manager.pid() != pid if process == MANAGER else self._manager.has_ended(process, pid)

    def _look(self, revision: Revision, around: Around) -> dict[str, Observed]:
        """In a thread. A unit that is being changed is left to whoever changes it."""
        try:
            engine = self._site.engine(reader(revision, self._site.stores))
            free = [name for name in around.names if not engine.busy(name)]
            return look(self._site, engine, revision, replace(around, names=free)) if free else {}
        except (
            BlumeError,
            OSError,
        ) as error:  # a change took a file away meanwhile; the look at everything says the rest
            log.warning("%s", error)
            return {}

    def _tell(self, due: set[str], seen: Mapping[str, Observed], now: float) -> None:
        for name in due:
            each = seen.get(name)
            self._follow_up.looked(name, each is not None and _settled(each), now)
            process, pid, when, why = self._ends.get(name, ("", 0, now, ""))
            if each is None or not process:
                continue
            if each.instance != process:  # it was replaced, not lost
                del self._ends[name]
            elif _settled(each) and each.pid != pid:
                log.warning("%s is back after %.1f s", name, now - when)
                del self._ends[name]
                if any(other.state == "waiting" and not other.instance for other in self._seen.values()):
                    self._attend()
            elif pid:
                told = each.reason if each.reason.startswith(why) else f"{why}: {each.reason}" if each.reason else why
                log.warning("%s %s", name, told)
                self._ends[name] = (process, 0, when, why)  # told


def _settled(each: Observed) -> bool:
    return each.state in records.AT_REST or (each.state, each.health) == ("running", "healthy")
