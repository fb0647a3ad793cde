"""One sync: bring the site to a revision, or say why not. Every step is safe to repeat.

Independent units are applied at the same time; each waits for what it needs. What is done and how it ended
stands in the history: the intent before the act, the outcome after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.engines.local.engine import LocalEngine, Observed, Outcome, digest_of
from blumeops.forge.repository import Repository
from blumeops.loop.revision import Revision, read_revision
from blumeops.loop.vault import reader, with_generated
from blumeops.plan.compare import Plan, compare, start_order
from blumeops.render.local_unit import LocalUnit
from blumeops.secrets.age import Key
from blumeops.status import records
from blumeops.status.database import Database

Say = Callable[[str], None]
AT_ONCE = 4
_REFUSED_BEFORE = "was refused in this very form before; `blumeops sync` tries it again"


@dataclass
class Site:
    """What a sync works on."""

    repository: Repository
    work: Path
    database: Database
    key: Key
    engine: Callable[[Callable[[str], str]], LocalEngine]
    """An engine that asks the given function for secrets."""
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Synced:
    """How a sync ended. `revision`: the one that was applied, behind the wanted one by generated secrets."""

    revision: str
    ok: bool
    lines: tuple[str, ...] = ()
    """Why it is not ok, most important first."""
    told: bool = False
    """Whether these lines were told already, as they happened."""

    @property
    def news(self) -> tuple[str, ...]:
        """What is still to be told."""
        return () if self.told else self.lines


def sync(
    site: Site, wanted: str, say: Say, known: Revision | None = None, *, retry: bool = False
) -> tuple[Synced, Revision | None]:
    """Bring the site to revision `wanted` of main; `known`: that revision, where the gate has read it already.

    A unit that was refused in the very form that is wanted is left alone, unless `retry` says otherwise: what
    serves in its place is not interrupted by a push that has nothing to do with it.

    Returns how it ended, and the revision whose units are the wanted ones now: None when it was refused whole.
    Never raises BlumeError: that is told, and recorded.
    """
    applied = None
    record = replace(records.site(site.database), name="here", wanted_revision=wanted)
    records.put_site(site.database, record)
    try:
        revision = known or read_revision(site.repository, site.work, wanted)
        if revision.checked is None:
            return _refused(site, revision), None
        revision = with_generated(site.repository, site.work, revision, site.key, say)
        record = replace(record, wanted_revision=revision.name)
        records.put_site(site.database, record)
        applied = revision
        synced = _apply(site, revision, say, retry)
    except BlumeError as error:
        synced = Synced(wanted, False, (str(error),))
    problem = "" if synced.ok else synced.lines[0]
    record = replace(record, problem=problem, revision=synced.revision if synced.ok else record.revision)
    records.put_site(site.database, record)
    return synced, applied


def _refused(site: Site, revision: Revision) -> Synced:
    lines = tuple(str(finding) for finding in revision.findings)
    now = site.clock()
    run = records.begin(site.database, revision.name, now)
    records.end(site.database, run, "refused", "\n".join(lines), now)
    record = records.site(site.database)
    records.put_site(
        site.database, replace(record, problem=f"{revision.name[:8]} does not pass the checks: {lines[0]}")
    )
    return Synced(revision.name, False, lines)


def _apply(site: Site, revision: Revision, say: Say, retry: bool) -> Synced:
    engine = site.engine(reader(revision, site.key))
    plan = compare(revision.units, engine.applied())
    changes = [f"{change.unit}: {change.action}: {effect}" for change in plan.changes for effect in change.effects]
    run = records.begin(site.database, revision.name, site.clock(), changes)
    refused = {} if retry else {name: each for name, each in engine.observe().items() if each.refused}
    for change in plan.changes:  # before the rest: what is gone gives its ports and names to what comes
        if change.action == "remove":
            _step(site, run, change.unit, partial(_remove, engine, change.unit), say)
            records.forget(site.database, change.unit)
    outcomes = _apply_units(site, engine, revision.units, refused, run, say)
    seen = look(site, engine, revision)
    # A program that this machine cannot have is a state, not a failure: the rest of the lab is up.
    bad = [each for name, each in outcomes.items() if not each.ok and seen[name].state != "unavailable"]
    lines = [f"{each.unit}: {each.action}: {each.reason}" for each in bad]
    records.end(site.database, run, "failed" if bad else "applied", "\n".join(lines), site.clock())
    return Synced(revision.name, not bad, tuple(lines), told=True)


def _apply_units(
    site: Site,
    engine: LocalEngine,
    units: Mapping[str, LocalUnit],
    refused: Mapping[str, Observed],
    run: int,
    say: Say,
) -> dict[str, Outcome]:
    """Apply every unit once all that it needs was applied."""
    outcomes: dict[str, Outcome] = {}
    left = start_order(units.values())
    running: dict[Future[Outcome], str] = {}
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="apply") as pool:
        while left or running:
            for name in list(left):
                if all(need in outcomes or need not in units for need in units[name].needs):
                    left.remove(name)
                    before = refused.get(name)
                    if before and before.refused == digest_of(units[name]):
                        outcomes[name] = _as_before(name, before, say)
                        continue
                    running[pool.submit(_apply_unit, site, engine, units[name], run, say)] = name
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                outcomes[running.pop(future)] = future.result()
    return outcomes


def _as_before(name: str, seen: Observed, say: Say) -> Outcome:
    """The outcome of a unit that is left as it is: its wanted form was refused already."""
    if seen.state == "unavailable":
        return Outcome(name, "unavailable", seen.reason)
    say(f"{name}: {_REFUSED_BEFORE}")
    return Outcome(name, "failed", _REFUSED_BEFORE)


def _apply_unit(site: Site, engine: LocalEngine, unit: LocalUnit, run: int, say: Say) -> Outcome:
    return _step(site, run, unit.unit, lambda: engine.apply(unit, say), say)


def _step(site: Site, run: int, unit: str, act: Callable[[], Outcome], say: Say) -> Outcome:
    started = time.monotonic()
    outcome = act()
    seconds = time.monotonic() - started
    if outcome.action != "unchanged":
        result = "ok" if outcome.ok else "failed"
        records.step(site.database, run, unit, outcome.action, seconds, result, outcome.reason)
        reason = f": {outcome.reason}" if outcome.reason else ""
        say(f"{unit}: {outcome.action} in {seconds:.1f} s{reason}")
    return outcome


def _remove(engine: LocalEngine, unit: str) -> Outcome:
    engine.remove(unit)
    return Outcome(unit, "removed")


def look(site: Site, engine: LocalEngine, revision: Revision) -> dict[str, Observed]:
    """Observe every unit and record its condition; the units whose record differed are returned."""
    seen = engine.observe()
    now = site.clock()
    units = [
        records.Unit(
            id=name, kind=unit.app, place=unit.place, state=each.state, health=_health(each), reason=each.reason,
            revision=revision.name, since=now, url=_address(unit, each),
        )
        for name, unit in revision.units.items()
        if (each := seen.get(name)) is not None
    ]  # fmt: skip
    records.put_units(site.database, units)
    return seen


def needs_healing(revision: Revision, seen: Mapping[str, Observed]) -> list[str]:
    """Units whose files were changed by hand, or that do not run though they should."""
    return [
        name
        for name, unit in revision.units.items()
        if (each := seen.get(name)) is not None
        and (each.drift or each.state in ("stopped", "waiting"))
        and each.refused != digest_of(unit)
    ]


def plan_for(engine: LocalEngine, revision: Revision) -> Plan:
    """What a sync to the revision would change."""
    return compare(revision.units, engine.applied())


def _health(seen: Observed) -> records.Health:
    return "healthy" if seen.health == "healthy" else "unhealthy" if seen.health == "unhealthy" else "unknown"


def _address(unit: LocalUnit, seen: Observed) -> str:
    """Where it is found on this machine; empty for what does not run here."""
    if seen.state in records.AT_REST:
        return ""
    return unit.url or next((f"127.0.0.1:{number}" for number in seen.ports.values()), "")
