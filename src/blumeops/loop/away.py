"""What a sync could not ask (the vault, say) is asked again, less and less often, and status says since when.

In: how each sync ended. Out: whether it is time for another one. What runs is not touched meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf

from blumeops.base.errors import BlumeError
from blumeops.loop.sync import Site, Synced
from blumeops.status import records

SOON, SELDOM = 10.0, 600.0
"""Seconds until the next try: the first time, and at most."""


@dataclass
class Away:
    """`clock`: monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    since: float = 0.0
    """Of the wall clock: for people."""
    again: float = inf

    @property
    def pause(self) -> float:
        """Seconds until it is time; infinite when nothing is away."""
        return max(self.again - self.clock(), 0.0)

    def due(self) -> bool:
        """Whether to try again now; true once a time."""
        if self.clock() < self.again:
            return False
        self.again = inf
        return True

    def note(self, site: Site, result: Synced) -> Synced:
        """Take in how a sync ended; what is told of it says since when something is away, in the status too."""
        if not result.away:
            self.failures, self.again = 0, inf
            return result
        if not self.failures:
            self.since = site.clock()
        seconds = min(SOON * 2.0**self.failures, SELDOM)
        self.failures, self.again = min(self.failures + 1, 20), self.clock() + seconds
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        problem = f"{result.lines[0]}; away since {since}, tried again in {seconds:.0f} s; what runs, runs on"
        with suppress(BlumeError):  # a full disk: it is told all the same
            records.put_site(site.database, replace(records.site(site.database), problem=problem))
        return replace(result, lines=(problem, *result.lines[1:]))
