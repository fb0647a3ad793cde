"""Commit statuses on their way: the newest word about each revision is posted, again and again until it is taken.

Nothing waits for it. What could not be posted when the controller ends is said again after its next start, for the
revision that is applied then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from blumeops.base.errors import BlumeError, Unavailable
from blumeops.forge.api import Api
from blumeops.forge.statuses import Status, post

MOST_WAITING = 50
PATIENCE = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds before each new attempt; then it is given up."""

log = logging.getLogger(__name__)


class Reporter:
    """A queue of one word a revision, oldest revision first. `posted` is told of each that was taken."""

    def __init__(self, posted: Callable[[Status], None], patience: tuple[float, ...] = PATIENCE) -> None:
        self._posted = posted
        self._patience = patience
        self._waiting: dict[str, tuple[Api, str, Status]] = {}
        self._wake = asyncio.Event()

    def report(self, api: Api, token: str, status: Status) -> None:
        """Say it soon, instead of what is still waiting to be said of this revision."""
        self._waiting[status.revision] = (api, token, status)
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Post until `stop`."""
        stopping = asyncio.create_task(stop.wait())
        attempt = 0
        try:
            while not stop.is_set():
                self._wake.clear()
                delay = None
                if self._waiting:
                    revision, (api, token, status) = next(iter(self._waiting.items()))
                    again = await self._post(api, token, status, attempt)
                    if again:
                        delay = self._patience[attempt]
                        attempt += 1
                    else:
                        attempt = 0
                        if self._waiting.get(revision, (None, "", None))[2] is status:
                            del self._waiting[revision]
                        delay = 0.0
                waking = asyncio.create_task(self._wake.wait())
                # While an attempt rests, news waits for it too: what is away is not asked more often for that.
                others = {stopping} if delay else {stopping, waking}
                await asyncio.wait(others, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
        finally:
            stopping.cancel()

    async def _post(self, api: Api, token: str, status: Status, attempt: int) -> bool:
        """Whether it is worth another attempt."""
        try:
            await asyncio.to_thread(post, api, token, status)
        except Unavailable as error:
            last = attempt >= len(self._patience)
            log.warning("%s%s", error, "; it is given up" if last else "")
            return not last
        except BlumeError as error:
            log.warning("%s", error)
            return False
        log.info("commit status of %s: %s, %s", status.revision[:8], status.state, status.short)
        self._posted(status)
        return False
