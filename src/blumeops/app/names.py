"""Wiring of the DNS responder: the names of the revision that is applied, served on a port of the controller's process.

A port that is taken is a warning in status and log, and is tried again: the site does without until it is free.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from blumeops.base.errors import BlumeError, EngineError
from blumeops.facts.derive import HERE_DOMAIN
from blumeops.loop.controller import Controller
from blumeops.loop.revision import Revision, read_revision
from blumeops.loop.sync import Site
from blumeops.names import serve
from blumeops.names.zone import Zone, with_labels
from blumeops.status import records, warnings

AGAIN = 5.0
"""Seconds until a port that was taken is tried again."""

log = logging.getLogger(__name__)


class Names:
    """Answers from what is applied at the moment of the question. `applied`: None while nobody knows."""

    def __init__(self, applied: Callable[[], Revision | None], clock: Callable[[], float]) -> None:
        self._applied = applied
        self._clock = clock
        self._revision: Revision | None = None
        self._zone = Zone(HERE_DOMAIN, frozenset(), 0)

    def zone(self) -> Zone | None:
        """The names of the proxy's routes: under each of them it has an answer, if only that the service is down."""
        revision = self._applied()
        if revision is not None and revision is not self._revision and revision.checked:
            labels = (route.label for route in revision.checked.facts.routes)
            self._zone = with_labels(self._zone, labels, int(self._clock()))
            self._revision = revision
        return self._zone if self._revision else None

    def answer(self, wire: bytes, over: Literal["udp", "tcp"]) -> bytes | None:
        """The answer to a question; None: silence."""
        # At the first question: a site whose names nobody asks does not pay for it, nor does the start of any other.
        from blumeops.names.answer import answer

        return answer(self.zone(), wire, over)


async def serve_names(site: Site, state: Path, controller: Controller, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop`. Never raises because of the port."""
    asked = asyncio.create_task(asyncio.to_thread(_applied_before, site))
    names = Names(lambda: controller.applied or (asked.result() if asked.done() else None), site.clock)
    told = ""
    while not stop.is_set():
        try:
            with serve.doors(port) as (udp, tcp):
                if told:
                    log.info("port %d is free: names are answered by DNS again", port)
                told = ""
                _warn(state, told)
                await serve.serve(udp, tcp, names.answer, stop)
        except EngineError as error:
            if str(error) != told:
                told = str(error)
                log.warning("%s", told)
            _warn(state, told)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), AGAIN)
    await asked


def _warn(state: Path, text: str) -> None:
    others = {about: other for about, other in warnings.read(state).items() if about != "dns"}
    try:
        warnings.write(state, others | ({"dns": text} if text else {}))
    except BlumeError as error:  # a full disk: the log has it
        log.warning("%s", error)


def _applied_before(site: Site) -> Revision | None:
    """What a controller before this one applied: its services run on, and their names are answered at once."""
    try:
        name = records.site(site.database).revision
        return read_revision(site.repository, site.work, name) if name else None
    except BlumeError as error:
        log.warning("%s", error)
        return None
