"""One wanted revision on its way: who asked for it follows its lines to the end.

In: lines and the result, from the sync. Out: every line from the first on, to any number of followers, whenever they
come. Promised: a follower's end is the job's end, also when a newer revision takes its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from blumeops.loop.sync import Synced


@dataclass
class Job:
    """One wanted revision, and what is told about it."""

    revision: str
    retry: bool = False
    restore: bool = False
    lines: list[str] = field(default_factory=list)
    result: Synced | None = None
    superseded_by: str = ""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def over(self) -> bool:
        return self.result is not None or bool(self.superseded_by)

    async def tell(self, *lines: str) -> None:
        """Add lines, and wake whoever follows."""
        async with self.changed:
            self.lines += lines
            self.changed.notify_all()

    async def supersede(self, by: str) -> None:
        """End it before it began: a newer revision takes its place."""
        await self.tell(f"superseded by {by[:8]}, which was pushed meanwhile")
        async with self.changed:
            self.superseded_by = by
            self.changed.notify_all()

    async def follow(self) -> AsyncIterator[str]:
        """Every line from the first on, until the job is over."""
        shown = 0
        while not (self.over and shown == len(self.lines)):
            async with self.changed:
                while not (self.over or len(self.lines) > shown):
                    await self.changed.wait()
                news = self.lines[shown:]
            for line in news:
                yield line
            shown += len(news)
