"""Waiting until a site has settled, or cannot: woken by what happens, so that the end is told at once.

In: the controller, whose looks and syncs are news. Out: what is waited for, each time that it changes, and at the end
whether all is well. Promised: it ends within the time that was given, and with the
controller: then nothing is said of the end, and whoever waits asks its successor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from blumeops.loop.controller import Controller
from blumeops.status import jobs, records


async def settling(controller: Controller, within: float | None) -> AsyncIterator[str | bool]:
    """Lines, then whether it has settled. `within`: seconds; None: as long as it takes."""
    clock = asyncio.get_running_loop().time
    end = None if within is None else clock() + within
    told = ""
    while True:
        news = controller.news  # before the look: what happens after it wakes us
        here, units = records.site(controller.site.database), records.units(controller.site.database)
        settled = records.settled(here, units)
        if controller.ending:
            return
        # A job that failed stays so until its next run, and that may be tomorrow's.
        known = jobs.scheduled(controller.site.database)
        rest = [unit for unit in units if not (unit.state == "failed" and unit.id in known)]
        if not controller.busy and (here.problem or records.settled(here, rest)):
            yield settled
            return
        waits = _waits_for(rest, controller.busy)
        if waits != told:
            told = waits
            yield told
        try:
            await asyncio.wait_for(news.wait(), None if end is None else end - clock())
        except TimeoutError:
            yield False
            return


def _waits_for(units: Sequence[records.Unit], busy: bool) -> str:
    found = [
        f"{unit.id} ({unit.state if unit.health != 'unhealthy' else unit.health})" for unit in units
        if unit.state not in records.AT_REST and (unit.state, unit.health) != ("running", "healthy")
    ]  # fmt: skip
    if found:
        return f"waits for {', '.join(found)}"
    return "waits for the end of a sync" if busy else "waits for a sync"
