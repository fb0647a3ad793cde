"""What a look finds wrong, and what is done about it: put back, or only told where the lab says `heal: false`.

In: what was seen. Out: the acts, and their place in the history: the intent with its diff before the act, the outcome
after it. What is found again and again, and cannot be helped, stands there once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from blumeops.engines.local.engine import LocalEngine, Observed, Outcome
from blumeops.loop.revision import Revision
from blumeops.loop.sync import Site, is_left
from blumeops.status import records

log = logging.getLogger(__name__)


class Healer:
    """Remembers what it told of each unit, so that it is told once."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def heal(self, site: Site, engine: LocalEngine, revision: Revision, seen: Mapping[str, Observed]) -> bool:
        """Put back what may be, tell what may not; whether anything was done."""
        acted = False
        for name, unit in revision.units.items():
            each = seen.get(name)
            wrong = _wrong(each)
            if each is None or not wrong:
                self._told.pop(name, None)
                continue
            if is_left(unit, each):
                self._tell(site, engine, revision, each, wrong)
            elif not engine.refuses(unit):
                acted = True
                self._put_back(site, engine, revision, each, wrong)
        return acted

    def _tell(self, site: Site, engine: LocalEngine, revision: Revision, each: Observed, wrong: str) -> None:
        diff = engine.drift(each.unit).splitlines()
        found = [f"{each.unit}: {wrong}", *diff]
        if self._is_new(each.unit, found) and not _is_last(site, each.unit, found):
            log.warning("%s: %s; left so: heal: false", each.unit, "\n".join([wrong, *diff]))
            now = site.clock()
            run = records.begin(site.database, revision.name, now, found)
            records.step(site.database, run, each.unit, "left", 0.0, "ok", "heal: false")
            records.end(site.database, run, "drifted", "", now)

    def _put_back(self, site: Site, engine: LocalEngine, revision: Revision, each: Observed, wrong: str) -> None:
        by_hand = bool(each.drift) or (each.state == "stopped" and bool(each.instance))
        diff = engine.drift(each.unit).splitlines() if each.drift else []
        found = [f"{each.unit}: {wrong}", *diff]
        new = self._is_new(each.unit, found)
        if new:
            log.warning(
                "%s: %s", each.unit, "\n".join([f"{wrong}: {'putting it back' if by_hand else 'trying again'}", *diff])
            )
        clock, began = site.steady_clock(), time.monotonic()
        run = records.begin(site.database, revision.name, clock(), found) if by_hand and new else 0
        outcome = engine.apply(revision.units[each.unit], lambda line: log.info("%s", line))
        if not run and outcome.ok and outcome.action not in ("unchanged", "unavailable"):
            run = records.begin(site.database, revision.name, clock(), found)
        if outcome.ok:  # the same change may be made again
            del self._told[each.unit]
        if run:
            self._record(site, run, outcome, time.monotonic() - began, clock())

    def _record(self, site: Site, run: int, outcome: Outcome, seconds: float, ended: float) -> None:
        # `unchanged`: the address was written anew, and the service never noticed.
        action = "put back" if outcome.action == "unchanged" else outcome.action
        result = "ok" if outcome.ok else "failed"
        records.step(site.database, run, outcome.unit, action, seconds, result, outcome.reason)
        records.end(site.database, run, "healed" if outcome.ok else "failed", outcome.reason, ended)

    def _is_new(self, unit: str, found: Sequence[str]) -> bool:
        text = "\n".join(found)
        new = self._told.get(unit) != text
        self._told[unit] = text
        return new


def _wrong(each: Observed | None) -> str:
    """What is not as described, in words; empty when all is."""
    if each is None:
        return ""
    if each.drift:
        return f"{', '.join(each.drift)} changed by hand"
    if each.state in ("stopped", "waiting") or (each.state == "failed" and not each.instance):
        return each.reason or "does not run"
    return ""


def _is_last(site: Site, unit: str, found: Sequence[str]) -> bool:
    """Whether this is what the history told of the unit last: a new controller begins without memory."""
    for run in records.history(site.database, limit=50):
        if any(step.unit == unit for step in run.steps):
            return run.outcome == "drifted" and list(run.changes) == list(found)
    return False
