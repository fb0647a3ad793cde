"""What is seen of every unit now: its process, its health, what was changed by hand, and why it is so.

Looking changes nothing. All health checks are asked at the same time, each for at most two seconds.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from blumeops.base.errors import BlumeError
from blumeops.engines.local import drift, health
from blumeops.engines.local.folders import SLOTS
from blumeops.engines.local.manager import Ends, Process
from blumeops.engines.local.record import Failure, Instance, Record, digest_of, process_name
from blumeops.engines.local.refusals import still_refused
from blumeops.engines.local.resolve import references_of
from blumeops.engines.local.site import Site
from blumeops.lab.quantities import size_text
from blumeops.render.local_unit import LocalUnit

State = Literal["running", "starting", "stopped", "failed", "waiting", "provided", "scheduled", "unavailable"]


@dataclass(frozen=True, slots=True)
class Observed:
    """One unit. `health`: "healthy", "unhealthy", or "" where nothing runs. `digest`: of the form that serves
    (empty: none does); `refused`: of the wanted form, if it was refused with what it would be given now; `drift`:
    files that were changed by hand, and `running configuration` where it runs with another than it had loaded."""

    unit: str
    state: State
    health: str = ""
    reason: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    instance: str = ""
    pid: int = 0
    digest: str = ""
    refused: str = ""
    since: float = 0.0
    drift: tuple[str, ...] = ()
    hint: str = ""
    """The command that gets what cannot be had."""


def observe(site: Site, around: Collection[str] | None = None, ended: Collection[int] = ()) -> dict[str, Observed]:
    """By unit. Never raises for a unit that is ill: that is what it tells. `around`: these units, those that use them
    and what all of them need; None: all. `ended`: pids that are gone, though the manager may not have noticed."""
    records = site.records.all()
    if around is not None:
        records = {name: records[name] for name in _neighbours(records, around)}
    processes = {
        name: Process("crashed", 0, each.since, ended=time.time(), ends=each.ends) if each.pid in ended else each
        for name, each in site.manager.states().items()
    }
    with ThreadPoolExecutor(max_workers=min(32, len(records) + 1)) as pool:
        seen = dict(
            zip(records, pool.map(lambda record: _look(site, record, processes), records.values()), strict=True)
        )
    return {name: _explained(each, records[name], seen) for name, each in seen.items()}


def over_limit(unit: LocalUnit) -> str:
    """What is said of a unit that the kernel ended for its memory."""
    return f"was killed: it used more memory than its limit of {size_text(unit.memory or 0)}"


def _neighbours(records: Mapping[str, Record], around: Collection[str]) -> list[str]:
    """The names of `around`, of those that use them and of what all of them need."""
    needs = {name: set(record.wanted.needs) for name, record in records.items()}
    wanted = {name for name in records if name in around or needs[name] & set(around)}
    wanted = wanted.union(*(needs[name] for name in wanted))
    return [name for name in records if name in wanted]


def _look(site: Site, record: Record, processes: dict[str, Process]) -> Observed:
    wanted, name = record.wanted, record.wanted.unit
    if wanted.provided:
        return Observed(name, "provided", reason=wanted.provided, digest=digest_of(wanted))
    if wanted.unavailable:
        return Observed(name, "unavailable", reason=wanted.unavailable, digest=digest_of(wanted))
    refused = digest_of(wanted) if still_refused(site, wanted, record.refused) else ""
    failure = record.failed or record.refused
    refusal = site.secrets.mask(failure.reason) if failure else ""
    if wanted.kind == "job":
        return _job(record, failure, refusal, refused, processes)
    at = record.serving
    if at is None:
        if record.waits_for:
            return Observed(name, "waiting", reason=f"waits for {record.waits_for}", refused=refused)
        if record.pending and site.records.busy(name):  # what a killed or failed change left is not starting
            return Observed(name, "starting", instance=record.pending.process)
        if failure and failure.code == "BLU701":
            return Observed(name, "unavailable", reason=refusal, refused=refused, hint=failure.hint)
        return Observed(name, "failed" if failure else "stopped", reason=refusal, refused=refused)
    process = processes.get(at.process, Process("stopped"))
    if process.state == "stopped" and failure and not record.refused:  # it should run, and could not be started
        return Observed(name, "failed", reason=refusal, digest=digest_of(at.unit), drift=drift.of(site, at))
    why = _why_not(site, at) if process.pid else ""
    young = process.state == "starting" and why and at.unit.health
    state: State = (
        "failed" if process.state == "crashed" else "stopped" if not process.pid else "starting" if young else "running"
    )
    reason = why or (f"an update {'was refused' if record.refused else 'failed'}: {refusal}" if refusal else "")
    if state == "failed":
        over = site.manager.out_of_memory(at.process)
        words = "" if over else _last_words(site, at, process.ended)
        again = f", {again}" if (again := _again(process.ends)) else ""
        reason = f"{over_limit(at.unit) if over else 'ended by itself'}{again}{words and f': {words}'}"
    elif process.pid and (again := _again(process.ends)):
        words = _last_words(site, at, until=process.ends.log)
        reason = "; ".join([*([reason] if reason else []), f"ended {again}{words and f', last: {words}'}"])
    changed = drift.of(site, at)
    if not reason and changed:
        reason = f"{', '.join(changed)} changed by hand{'' if at.unit.heal else '; left so: heal: false'}"
    elif not reason and state == "stopped" and not at.unit.heal:
        reason = "was stopped by hand; left so: heal: false"
    return Observed(
        name, state, ("unhealthy" if why else "healthy") if process.pid else "", reason, at.ports, at.process,
        process.pid, digest_of(at.unit), refused, process.since, changed,
    )  # fmt: skip


def _job(record: Record, failure: Failure | None, why: str, refused: str, processes: Mapping[str, Process]) -> Observed:
    """A job between its runs, or in one. How its last run ended is not of this moment, and not told here."""
    name, digest = record.wanted.unit, digest_of(record.wanted)
    if failure:
        state: State = "unavailable" if failure.code == "BLU701" else "failed"
        return Observed(name, state, reason=why, digest=digest, refused=refused, hint=failure.hint)
    process = processes.get(process_name(name, SLOTS[0]), Process("stopped"))
    if process.pid:
        return Observed(name, "running", "healthy", pid=process.pid, digest=digest, since=process.since)
    return Observed(name, "scheduled", digest=digest)


def _again(ends: Ends) -> str:
    """How often it ended lately, and what that costs it, in words; empty for a single end, which says little."""
    if ends.count < 2:
        return ""
    wait = f", and waits {ends.waits:g} s before it starts again" if ends.waits else ""
    return f"{ends.count} times within {ends.within / 60:g} minutes{wait}"


def _last_words(site: Site, at: Instance, ended: float = 0.0, until: int = 0) -> str:
    """What it printed when it ended, without the secrets that it has; nothing while the store cannot tell them.
    `until`: the size of its log then, where it has been started again; its last line is enough then."""
    try:
        for reference in references_of(at.unit):
            site.secrets(reference)
    except BlumeError:
        return ""
    log, count = site.folders.log(at.unit.unit, at.slot), 1 if until else 3
    return health.last_lines(log, count=count, mask=site.secrets.mask, ended=ended, until=until)


def _why_not(site: Site, at: Instance) -> str:
    try:
        probe = site.probe(at)
        return site.secrets.mask(health.ask(probe)) if probe else "is not known to the process manager"
    except BlumeError as error:
        return error.message


def _explained(each: Observed, record: Record, seen: dict[str, Observed]) -> Observed:
    """A unit that is ill because one that it needs is ill says so."""
    if each.state in ("running", "starting", "failed") and each.health != "healthy" and record.serving:
        for need in record.serving.unit.needs:
            if need in seen and seen[need].health != "healthy" and seen[need].state != "provided":
                changes = {name: getattr(each, name) for name in each.__slots__}
                return Observed(**changes | {"state": "waiting", "reason": f"waits for {need}"})
    return each
