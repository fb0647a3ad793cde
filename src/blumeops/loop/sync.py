"""One sync: bring the site to a revision, or say why not. Every step is safe to repeat.

Independent units are applied at the same time; each waits for what it needs. What is done and how it ended
stands in the history: the intent before the act, the outcome after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from blumeops.base.errors import BlumeError, Unavailable
from blumeops.base.findings import Finding, errors
from blumeops.engines.local.engine import LocalEngine, Observed, Outcome, digest_of
from blumeops.forge.repository import Repository
from blumeops.loop import audience, job_runs, pages
from blumeops.loop.admission import hindrances
from blumeops.loop.revision import Revision, read_revision
from blumeops.loop.vault import reader, with_generated
from blumeops.plan.compare import Plan, compare, start_order
from blumeops.render.local_unit import LocalUnit
from blumeops.secrets.stores import Stores
from blumeops.status import records
from blumeops.status.database import Database

Say = Callable[[str], None]
AT_ONCE = 4
_LEFT = "was changed by hand, and is left so (heal: false); `blumeops sync` puts it back"
_REFUSED_BEFORE = "was refused in this very form before; `blumeops sync` tries it again"


@dataclass
class Site:
    """What a sync works on."""

    lab: str
    repository: Repository
    work: Path
    database: Database
    stores: Stores
    engine: Callable[[Callable[[str], str]], LocalEngine]
    """An engine that asks the given function for secrets."""
    clock: Callable[[], float] = time.time
    saw: Callable[[Mapping[str, Observed], bool], object] = lambda seen, whole: None
    """Told what each look saw, and whether it was one at everything; from the thread that looked."""
    publish: Callable[[Revision, str], bool] | None = None
    """Takes our own commit on a revision to the remote that is followed; False where none is."""

    def steady_clock(self) -> Callable[[], float]:
        """A clock that says the time now, and from then on goes evenly, however the wall clock is set: what began and
        ended by it took as long as it says."""
        began, since = self.clock(), time.monotonic()
        return lambda: began + time.monotonic() - since


@dataclass(frozen=True, slots=True)
class Synced:
    """How a sync ended. `revision`: the one that was applied, behind the wanted one by generated secrets."""

    revision: str
    ok: bool
    lines: tuple[str, ...] = ()
    """Why it is not ok, most important first."""
    failed: tuple[str, ...] = ()
    """The units that were not brought to their new form."""
    away: bool = False
    """Whether something did not answer, so that it is worth trying again."""
    told: bool = False
    """Whether these lines were told already, as they happened."""

    @property
    def news(self) -> tuple[str, ...]:
        """What is still to be told."""
        return () if self.told else self.lines


def sync(
    site: Site,
    wanted: str,
    say: Say,
    known: Revision | None = None,
    *,
    retry: bool = False,
    restore: bool = False,
) -> tuple[Synced, Revision | None]:
    """Bring the site to revision `wanted` of main; `known`: that revision, where the gate has read it already.

    A unit that was refused in the very form that is wanted is left alone, unless `retry` says otherwise: what
    serves in its place is not interrupted by a push that has nothing to do with it. In the same way one that was
    changed by hand and says `heal: false` is left as it is, unless `restore` says otherwise or it is to be another.

    Returns how it ended, and the revision whose units are the wanted ones now: None when it was refused whole.
    Raises EngineError `BLU910` when the status database is damaged; every other error is told, and recorded.
    """
    applied = None
    try:
        site.stores.forget()
        record = replace(records.site(site.database), name="here", wanted_revision=wanted)
        records.put_site(site.database, record)
        try:
            revision = _admitted(site, known or read_revision(site.repository, site.work, wanted))
            revision = _admitted(
                site, with_generated(site.repository, site.work, revision, site.stores, say, site.publish)
            )
            record = replace(record, wanted_revision=revision.name)
            records.put_site(site.database, record)
            applied = revision
            audience.keep(site.database.path.parent, revision)
            synced = _apply(site, revision, say, retry, restore)
        except NotAdmitted as refusal:
            synced = _refused(site, wanted, refusal.findings)
        except BlumeError as error:
            synced = Synced(wanted, False, (str(error),), away=isinstance(error, Unavailable))
        problem = "" if synced.ok else synced.lines[0]
        record = replace(record, problem=problem, revision=synced.revision if synced.ok else record.revision)
        records.put_site(site.database, record)
    except BlumeError as error:  # the status itself cannot be written: a full disk
        if error.code == "BLU910":  # it is damaged
            raise
        synced = Synced(wanted, False, (str(error),))
    return synced, applied


class NotAdmitted(Exception):
    """This site cannot take the revision: the findings say why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(f"{len(findings)} findings")
        self.findings = findings


def _admitted(site: Site, revision: Revision) -> Revision:
    """The revision, when nothing stands in its way. Raises NotAdmitted: what is not whole is never applied."""
    found = errors(hindrances(revision, site.lab, site.stores, site.engine(no_secrets).applied()))
    if found or revision.checked is None:
        raise NotAdmitted(found)
    return revision


def no_secrets(reference: str) -> str:
    """For an engine that is only asked what runs."""
    raise AssertionError(f"nothing here needs a secret, not even {reference}")


def _refused(site: Site, revision: str, findings: Sequence[Finding]) -> Synced:
    lines = tuple(str(finding) for finding in findings)
    now = site.clock()
    run = records.begin(site.database, revision, now)
    records.end(site.database, run, "refused", "\n".join(lines), now)
    return Synced(revision, False, lines)


def _apply(site: Site, revision: Revision, say: Say, retry: bool, restore: bool) -> Synced:
    engine = site.engine(reader(revision, site.stores))
    plan = compare(revision.units, engine.compared(), engine.contained())
    changes = [f"{change.unit}: {change.action}: {effect}" for change in plan.changes for effect in change.effects]
    clock = site.steady_clock()
    run = records.begin(site.database, revision.name, clock(), changes)
    before = engine.observe() if not retry or not all(unit.heal for unit in revision.units.values()) else {}
    left = (
        set() if restore else {name for name, unit in revision.units.items() if is_left(unit, before.get(name), retry)}
    )
    refused = {} if retry else {name: each for name, each in before.items() if each.refused}
    # Before the rest, so that what is gone gives its ports and names to what comes. Not only what serves: a unit
    # that never got healthy, and what a killed controller had begun, are in the engine's inventory too.
    leaving = [change.unit for change in plan.changes if change.action == "remove"]
    leaving += sorted(engine.known() - revision.units.keys() - set(leaving))
    for name in leaving:
        _step(site, run, name, partial(_remove, engine, name), say)
    outcomes = _apply_units(site, engine, revision.units, refused, left, run, say)
    seen = look(site, engine, revision)
    # A program that this machine cannot have is a state, not a failure: the rest of the lab is up.
    bad = [each for name, each in outcomes.items() if not each.ok and seen[name].state != "unavailable"]
    lines = [f"{each.unit}: {each.action}: {each.reason}" for each in bad]
    records.end(site.database, run, "failed" if bad else "applied", "\n".join(lines), clock())
    return Synced(revision.name, not bad, tuple(lines), tuple(each.unit for each in bad), told=True)


def _apply_units(
    site: Site,
    engine: LocalEngine,
    units: Mapping[str, LocalUnit],
    refused: Mapping[str, Observed],
    by_hand: Collection[str],
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
                    if name in by_hand:
                        say(f"{name}: {_LEFT}")
                        outcomes[name] = Outcome(name, "left", _LEFT)
                        continue
                    before = refused.get(name)
                    if before and engine.refuses(units[name]):
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


@dataclass(frozen=True, slots=True)
class Around:
    """What a look at some units is about: their names, pids that are known to be gone, and by unit what is known of
    it besides, to be told as long as it is not well."""

    names: Collection[str]
    gone: Collection[int] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


def look(site: Site, engine: LocalEngine, revision: Revision, around: Around | None = None) -> dict[str, Observed]:
    """Observe every unit, or some and those that these concern, and record their condition; what was seen is
    returned."""
    seen = engine.observe(around.names, around.gone) if around else engine.observe()
    notes = around.notes if around else {}
    now = site.clock()
    shown = job_runs.conditions(site.database, revision.units, seen, now)
    units = [
        records.Unit(
            id=name, kind=unit.app, place=unit.place, state=each.state, health=_health(each),
            reason=_reason(each, notes.get(name, "")),
            revision=revision.name, since=now, url=_address(unit, each),
        )
        for name, unit in revision.units.items()
        if (each := shown.get(name)) is not None
    ]  # fmt: skip
    if around is None:
        for old in {unit.id for unit in records.units(site.database)} - revision.units.keys():
            records.forget(site.database, old)
    records.put_units(site.database, units)
    pages.keep(engine.folders.pages, site.database, revision.units, seen, around is None)
    site.saw({name: each for name, each in seen.items() if name in revision.units}, around is None)
    return seen


def is_left(unit: LocalUnit, seen: Observed | None, starting: bool = False) -> bool:
    """Whether the unit was changed by hand, and the lab wants that to be left. `starting`: the site begins, so that
    what does not run was not stopped by hand."""
    if seen is None or unit.heal or not seen.instance or seen.digest != digest_of(unit):
        return False
    return bool(seen.drift) or (seen.state == "stopped" and not starting)


def plan_for(engine: LocalEngine, revision: Revision) -> Plan:
    """What a sync to the revision would change."""
    return compare(revision.units, engine.compared(), engine.contained())


def _reason(seen: Observed, note: str) -> str:
    if not note or seen.health == "healthy" or seen.reason.startswith(note):
        return seen.reason
    return f"{note}; {seen.reason}" if seen.reason else note


def _health(seen: Observed) -> records.Health:
    return "healthy" if seen.health == "healthy" else "unhealthy" if seen.health == "unhealthy" else "unknown"


def _address(unit: LocalUnit, seen: Observed) -> str:
    """Where it is found on this machine; empty for what does not run here."""
    if seen.state in records.AT_REST:
        return ""
    return unit.url or next((f"127.0.0.1:{number}" for number in seen.ports.values()), "")
