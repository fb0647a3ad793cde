"""The acts of which one unit's change is made: each stands in the record, and may be done again.

In: a site, a unit, and which of its instances an act is about. Out: processes started and ended, numbers taken,
addresses told, state brought back; and the outcome, with the unit's last words, where a form is refused. In which order
they are done is `change`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from blumeops.base.errors import BlumeError, EngineError
from blumeops.engines.local import addresses, health, instance, loaded, ports, ready, snapshots
from blumeops.engines.local.grants import Grants
from blumeops.engines.local.record import Failure, Instance, Record, process_name
from blumeops.engines.local.refusals import refusal
from blumeops.engines.local.resolve import Resolved
from blumeops.engines.local.site import Outcome, Site
from blumeops.render.local_unit import LocalUnit

Action = Literal[
    "unchanged", "recorded", "started", "restarted", "replaced", "reloaded", "rolled back", "failed", "waiting",
    "provided", "unavailable", "scheduled",
]  # fmt: skip


class Acts:
    """On the instances of one unit; the caller holds the unit's lock."""

    def __init__(self, site: Site, unit: LocalUnit, say: Callable[[str], None]) -> None:
        self.site, self.unit, self.say = site, unit, say
        self.record = site.records.read(unit.unit) or Record(wanted=unit)
        self.grants = Grants(site, unit, told=self.record.pending is not None)

    # instances

    def start(self, at: Instance) -> None:
        """Let it run, with its state as its own. Raises EngineError, Unavailable."""
        resolver = self.site.resolver_of(at)
        if resolver.contained:
            resolver.contained.connect()
        ready.give_state(self.site, at.unit, resolver, *at.unit.state)
        self.site.manager.start(at.process)

    def wait(self, at: Instance) -> str:
        """Until it is healthy; else why it is not."""
        probe = self.site.probe(at)
        if probe is None:
            raise EngineError("BLU708", at.process, "is not known to the process manager")
        within = at.unit.health.within if at.unit.health else 30.0
        return health.wait(probe, lambda: self.site.process(at.process), within)

    def switch(self, at: Instance) -> None:
        """Let the proxy's next request go to this instance."""
        addresses.tell(self.site.folders, at)

    def accept(self, new: Instance) -> None:
        """The new one is healthy: from this moment what it writes counts, and nothing of it is taken back."""
        self.keep(serving=new, snapshot=None, reloading=False, refused=None)
        self.switch(new)
        loaded.keep(self.site, new)
        snapshots.discard(self.site.folders, self.unit.unit)

    def bring_back(self, new: Instance) -> None:
        """End the new one, and make the state what it was before. Until that is done, the record says so."""
        assert self.record.snapshot
        self.drop(new.slot)
        self.say(f"{self.unit.unit}: bringing back its state")
        snapshots.bring_back(self.site, new.unit, self.record.snapshot)
        self.keep(snapshot=None)
        snapshots.discard(self.site.folders, self.unit.unit)

    def drop(self, slot: str) -> None:
        """End what is in the slot, and leave nothing of it but what is kept."""
        name = process_name(self.unit.unit, slot)
        if self.site.manager.defined(name):
            self.site.manager.remove(name)
        instance.remove(self.folder(slot))

    def stamps(self, resolved: Resolved) -> dict[str, str]:
        """By which it is seen later that a file was changed by hand."""
        return instance.stamps(resolved.files, instance.stamp_key(self.site.folders.state))

    # numbers

    def numbers(self, old: Instance | None, beside: bool, runs_as: str) -> dict[str, int]:
        """Numbers for a new instance: those that the unit had before where that is possible. `runs_as`: whose rights
        it has where it listens, if they are not ours (the runtime listens for a container)."""
        site, unit = self.site, self.unit
        ours = self._pids(old)
        with site.choosing:
            others = [record for name, record in site.records.all().items() if name != unit.unit]
            avoid = {number for record in others for known in record.ports.values() for number in known}
            held = set(old.ports.values()) if old and ours else set()  # by what runs: others may have the rest
            numbers: dict[str, int] = {}
            for name, port in unit.ports.items():
                ports.require_free(unit.unit, name, port, ours, runs_as)
                if port.fixed is not None:
                    numbers[name] = port.fixed
                    continue
                used = avoid | set(numbers.values()) | (held if beside else set())
                mine = set() if beside else held
                numbers[name] = ports.choose(self.record.ports.get(name, ()), used, mine, port.protocol)
            known = {name: (number, *self._known(name, number)) for name, number in numbers.items()}
            site.folders.shared(site.folders.unit(unit.unit))
            self.keep(ports=known)
        return numbers

    def _known(self, name: str, number: int) -> tuple[int, ...]:
        return tuple(each for each in self.record.ports.get(name, ()) if each != number)[:1]

    def _pids(self, old: Instance | None) -> set[int]:
        """The processes of the old instance: they hold its ports rightly."""
        if old is None:
            return set()
        pid = self.site.process(old.process).pid
        return ports.family(pid) if pid else set()

    def is_fixed(self, old: Instance) -> bool:
        """Whether old and new would want the same port."""
        return any(port.fixed in old.ports.values() for port in self.unit.ports.values() if port.fixed is not None)

    def lost_ports(self, serving: Instance) -> bool:
        """Whether it does not run, and somebody else listens at a number of its own by now: it gets others.

        Raises EngineError `BLU704` for a number that it cannot change.
        """
        if self.site.process(serving.process).pid:
            return False
        for name, port in self.unit.ports.items():
            ports.require_free(self.unit.unit, name, port, (), self.site.folders.runs_as)
        return not all(ports.is_free(serving.ports[name], port.protocol) for name, port in self.unit.ports.items())

    # the record and the outcome

    def done(self, **changes: object) -> None:
        """Nothing of it is under way or refused any more."""
        self.keep(pending=None, reloading=False, refused=None, failed=None, **changes)

    def refused(self, why: str, action: Action, other: BlumeError | None = None) -> Outcome:
        """The new form did not get healthy; `other`: something else went wrong, which is not the form's fault."""
        why, code = self.site.secrets.mask(why), other.code if other else "BLU700"
        failed = Failure(reason=why, at=time.time(), code=code)
        self.keep(refused=None if other else refusal(self.site, self.unit, failed), failed=failed)
        error = type(other)(code, other.subject, why, other.hint) if other else EngineError(code, self.unit.unit, why)
        return Outcome(self.unit.unit, action, why, error)

    def keep(self, **changes: object) -> None:
        """Write it into the record, where it is news."""
        new = self.record.with_(**changes)
        if new != self.record or self.site.records.read(self.unit.unit) is None:
            self.record = self.site.records.write(new)

    def last(self, at: Instance, since: int) -> str:
        """What it printed last, without secrets, as the end of a sentence."""
        lines = health.last_lines(self._log(at), since, mask=self.site.secrets.mask)
        return f"; its log: {lines}" if lines else ""

    def _log(self, at: Instance) -> Path:
        return self.site.folders.log(at.unit.unit, at.slot)

    def folder(self, slot: str) -> Path:
        """The one of an instance."""
        return self.site.folders.instance(self.unit.unit, slot)
