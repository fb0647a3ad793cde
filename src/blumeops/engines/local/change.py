"""One unit's change, from whatever is there to what is wanted.

The order of acts is the promise. Everything that can be refused (program, secrets, a taken port, the grants,
the initialisation) is asked before anything is stopped. What is begun stands in the record before it is done,
so `settle` can take back what a killed controller left. An update moves to the unit's other slot; the old
instance stays whole in its own until the new one is healthy, and so does the state that the new one may change:
the old form never starts on what the new one made of it, and what a healthy new form wrote is never taken back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from blumeops.base.errors import BlumeError, EngineError
from blumeops.engines.local import addresses, health, helpers, instance, leftovers, ports, ready, snapshots
from blumeops.engines.local.grants import Grants
from blumeops.engines.local.programs import Program
from blumeops.engines.local.record import SLOTS, Failure, Instance, Record, process_name
from blumeops.engines.local.refusals import refusal
from blumeops.engines.local.resolve import Resolved
from blumeops.engines.local.site import Outcome, Site
from blumeops.render.local_unit import LocalUnit

Action = Literal[
    "unchanged", "recorded", "started", "restarted", "replaced", "reloaded", "rolled back", "failed", "waiting",
    "provided", "unavailable", "scheduled",
]  # fmt: skip


class Change:
    """One `apply` of one unit; the caller holds the unit's lock."""

    def __init__(self, site: Site, unit: LocalUnit, say: Callable[[str], None]) -> None:
        self.site, self.unit, self.say = site, unit, say
        self.record = site.records.read(unit.unit) or Record(wanted=unit)
        self.grants = Grants(site, unit, told=self.record.pending is not None)

    def make(self) -> Outcome:
        """Do what is to be done."""
        self._settle()
        self._keep(wanted=self.unit, waits_for="", failed=None)
        missing = ready.missing_need(self.site, self.unit)
        if missing:
            self._keep(waits_for=missing)
            return Outcome(self.unit.unit, "waiting", f"waits for {missing}")
        self._resume()
        program = ready.program(self.site, self.unit, self.say)
        ready.folders(self.site, self.unit, program, first=self.record.serving is None)
        serving = self.record.serving
        if serving is None:
            return self._move(program, "started")
        wanted = self._resolve(serving, program)
        same_start = (
            wanted is not None
            and serving.program == program.version
            and wanted.spec == self.site.manager.defined(serving.process)
            and wanted.secret_files == instance.read_files(self._folder(serving.slot) / "secrets")
        )
        if wanted is None or not same_start:
            return self._move(program, "replaced" if self.unit.update == "replace" else "restarted")
        if self.record.reloading or wanted.files != instance.read_files(self._folder(serving.slot) / "config"):
            if self.unit.reload and not program.image and self.site.process(serving.process).pid:
                return self._reload(serving, wanted)
            return self._move(program, "replaced" if self.unit.update == "replace" else "restarted")
        if self._ports_lost(serving):
            return self._move(program, "restarted")
        return self._stay(serving, wanted)

    # before

    def _settle(self) -> None:
        """Take back what an earlier change left half done: every instance but the one that serves, and but one that
        may have changed the state, on which `_resume` decides."""
        serving, pending, folders = self.record.serving, self.record.pending, self.site.folders
        between = pending if self.record.snapshot else None
        if pending:
            leftovers.end_marked(helpers.mark(folders, self.unit.unit))
        for slot in SLOTS:
            if not any(each and each.slot == slot for each in (serving, between)):
                self._drop(slot)
        if not between:
            snapshots.discard(folders, self.unit.unit)
            if serving:
                self._switch(serving)

    def _resume(self) -> None:
        """A controller was killed between two forms: the new one counts if it is healthy, and has perhaps been for
        long; else the state of the old one comes back before that may start again."""
        new = self.record.pending
        if not self.record.snapshot or not new:
            return
        if self.site.process(new.process).state != "stopped" and not self._wait(new):
            self._accept(new)
            self._drop(next(slot for slot in SLOTS if slot != new.slot))
            return
        self._bring_back(new)

    def _start(self, at: Instance) -> None:
        resolver = self.site.resolver_of(at)
        if resolver.contained:
            resolver.contained.connect()
        ready.give_state(self.site, at.unit, resolver, *at.unit.state)
        self.site.manager.start(at.process)

    def _resolve(self, at: Instance, program: Program) -> Resolved | None:
        """The wanted form in the slot and on the ports of `at`; None where its ports do not fit."""
        fits = at.ports.keys() == self.unit.ports.keys() and all(
            port.fixed in (None, at.ports[name]) for name, port in self.unit.ports.items()
        )
        return self.site.resolver(self.unit, at.slot, at.ports, program.image).whole(program) if fits else None

    def _ports_lost(self, serving: Instance) -> bool:
        """Whether it does not run, and somebody else listens at a number of its own by now: it gets others.

        Raises EngineError `BLU704` for a number that it cannot change.
        """
        if self.site.process(serving.process).pid:
            return False
        for name, port in self.unit.ports.items():
            ports.require_free(self.unit.unit, name, port, (), self.site.folders.runs_as)
        return not all(ports.is_free(serving.ports[name], port.protocol) for name, port in self.unit.ports.items())

    # the four ways

    def _stay(self, serving: Instance, wanted: Resolved) -> Outcome:
        """The instance is as wanted; it must run and be healthy."""
        action = "unchanged"
        if (stamps := self._stamps(wanted)) != serving.written:  # the site's key is not the one of then
            serving = serving.model_copy(update={"written": stamps})
            self._keep(serving=serving)
        if serving.unit != self.unit or self.grants.told:
            self.grants.make(serving.slot)
        if serving.unit != self.unit:
            serving = serving.model_copy(update={"unit": self.unit})
            self._keep(serving=serving)
            action = "recorded"
        mark = health.size_of(self._log(serving))
        if self.site.process(serving.process).state == "stopped":
            self.grants.make(serving.slot)
            self.say(f"{self.unit.unit}: starting")
            self._start(serving)
            action = "started"
        why = self._wait(serving)
        if why:
            why = f"{why}{self._last(serving, mark)}"
            return self._refused(why, "failed", EngineError("BLU700", self.unit.unit, why))
        self._switch(serving)
        self._done()
        return Outcome(self.unit.unit, action)

    def _reload(self, serving: Instance, wanted: Resolved) -> Outcome:
        """New files, read by the running program; the old ones again when it refuses them."""
        folders, folder = self.site.folders, self._folder(serving.slot) / "config"
        resolver = self.site.resolver(self.unit, serving.slot, serving.ports)
        before = instance.read_files(folder)
        self._keep(reloading=True)
        mark = health.size_of(self._log(serving))
        other: BlumeError | None = None
        try:
            granted = self.grants.made()
            instance.write_files(folders, folder, wanted.files)
            self.say(f"{self.unit.unit}: reloading")
            helpers.reload(self.unit, resolver, wanted.spec.env)
            why = self._wait(serving)
            if not why:
                instance.keep_grants(self._folder(serving.slot), granted)
        except BlumeError as error:
            why, other = error.message, None if error.code in ("BLU712", "BLU902") else error
        if not why:
            new = serving.model_copy(update={"unit": self.unit, "written": self._stamps(wanted)})
            self._done(serving=new)
            self._switch(new)
            return Outcome(self.unit.unit, "reloaded")
        why += self._last(serving, mark) + self.grants.again(serving)
        instance.write_files(folders, folder, before)
        try:
            helpers.reload(serving.unit, resolver, wanted.spec.env)
        except BlumeError as error:
            why += f"; and the old files: {error.message}"
        self._keep(reloading=False)
        return self._refused(why, "rolled back", other)

    def _move(self, program: Program, action: Action) -> Outcome:
        """Start the wanted form in the other slot; then end the old one, or go back to it."""
        old = self.record.serving
        beside = old is not None and self.unit.update == "replace" and not self._fixed(old)
        # Two forms that run at once share what they keep: there is nothing to go back to.
        keeps = snapshots.needed(old.unit, self.unit) if old and not beside else None
        try:
            new, mark = self._prepare(program, old, beside)
            if keeps:
                snapshots.require_room(self.site.folders, self.unit.unit, keeps)
        except BlumeError:
            with suppress(BlumeError):
                if not self.grants.again(old):
                    self._keep(pending=None)
            raise
        other: BlumeError | None = None
        try:
            if old and not beside:
                self.say(f"{self.unit.unit}: stopping the old one")
                self.site.manager.stop(old.process)
            if keeps:
                self.say(f"{self.unit.unit}: putting its state aside")
                snapshots.take(self.site, self.unit, keeps)
                self._keep(snapshot=keeps)
            self.say(f"{self.unit.unit}: starting {program.version or self.unit.version}")
            self._start(new)
            why = self._wait(new)
            if not why and not keeps:
                self._switch(new)
        except BlumeError as error:
            why, other = error.message, error
        if why:
            return self._back(new, old, f"{why}{self._last(new, mark)}", other)
        self._accept(new)
        if old:
            if beside:
                self.say(f"{self.unit.unit}: draining the old one")
                threading.Event().wait(self.site.drain)
            self._drop(old.slot)
        self._done()
        return Outcome(self.unit.unit, action)

    def _stamps(self, resolved: Resolved) -> dict[str, str]:
        return instance.stamps(resolved.files, instance.stamp_key(self.site.folders.state))

    # parts of a move

    def _prepare(self, program: Program, old: Instance | None, beside: bool) -> tuple[Instance, int]:
        """Everything that can be refused, while the old one serves: ports, files, initialisation, grants."""
        site, unit = self.site, self.unit
        slot = next(slot for slot in SLOTS if not old or slot != old.slot)
        numbers = self._ports(old, beside, "" if program.image else site.folders.runs_as)
        new = Instance(slot=slot, unit=unit, ports=numbers, program=program.version, image=program.image)
        resolver = site.resolver_of(new)
        if resolver.contained:
            resolver.contained.connect()
        resolved = resolver.whole(program)
        new = new.model_copy(update={"written": self._stamps(resolved)})
        self._keep(pending=new)
        instance.write(resolver.owned, self._folder(slot), resolved)
        self.record = helpers.initialise(unit, resolver, resolved.spec.env, site.records, self.record)
        self.grants.make(slot)
        site.manager.define(resolved.spec)
        return new, health.size_of(resolved.spec.log)

    def _ports(self, old: Instance | None, beside: bool, runs_as: str) -> dict[str, int]:
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
            self._keep(ports=known)
        return numbers

    def _known(self, name: str, number: int) -> tuple[int, ...]:
        return tuple(each for each in self.record.ports.get(name, ()) if each != number)[:1]

    def _pids(self, old: Instance | None) -> set[int]:
        """The processes of the old instance: they hold its ports rightly."""
        if old is None:
            return set()
        pid = self.site.process(old.process).pid
        return ports.family(pid) if pid else set()

    def _fixed(self, old: Instance) -> bool:
        """Whether old and new would want the same port."""
        return any(port.fixed in old.ports.values() for port in self.unit.ports.values() if port.fixed is not None)

    def _back(self, new: Instance, old: Instance | None, why: str, other: BlumeError | None) -> Outcome:
        """The new one failed: away with it, and the old one serves on exactly as it was."""
        if self.record.snapshot:
            try:
                self._bring_back(new)
            except BlumeError as error:  # nothing is held against the form: the next apply goes on here
                why = f"{why}; and its state is not back yet, so it stays stopped: {error.message}"
                return self._refused(why, "failed", error)
        self._drop(new.slot)
        if old is None:
            self._keep(pending=None)
            return self._refused(why, "failed", other)
        why += self.grants.again(old)
        if self.site.process(old.process).state == "stopped":
            self.say(f"{self.unit.unit}: bringing back {old.unit.version}")
            self._start(old)
            again = self._wait(old)
            if again:
                why += f"; and the old one: {again}"
        self._switch(old)
        self._keep(pending=None)
        return self._refused(why, "rolled back", other)

    def _accept(self, new: Instance) -> None:
        """The new one is healthy: from this moment what it writes counts, and nothing of it is taken back."""
        self._keep(serving=new, snapshot=None, reloading=False, refused=None)
        self._switch(new)
        snapshots.discard(self.site.folders, self.unit.unit)

    def _bring_back(self, new: Instance) -> None:
        """End the new one, and make the state what it was before. Until that is done, the record says so."""
        assert self.record.snapshot
        self._drop(new.slot)
        self.say(f"{self.unit.unit}: bringing back its state")
        snapshots.bring_back(self.site, new.unit, self.record.snapshot)
        self._keep(snapshot=None)
        snapshots.discard(self.site.folders, self.unit.unit)

    def _wait(self, at: Instance) -> str:
        probe = self.site.probe(at)
        if probe is None:
            raise EngineError("BLU708", at.process, "is not known to the process manager")
        within = at.unit.health.within if at.unit.health else 30.0
        return health.wait(probe, lambda: self.site.process(at.process), within)

    def _switch(self, at: Instance) -> None:
        """Let the proxy's next request go to this instance."""
        addresses.tell(self.site.folders, at)

    def _drop(self, slot: str) -> None:
        name = process_name(self.unit.unit, slot)
        if self.site.manager.defined(name):
            self.site.manager.remove(name)
        instance.remove(self._folder(slot))

    def _done(self, **changes: object) -> None:
        self._keep(pending=None, reloading=False, refused=None, failed=None, **changes)

    def _refused(self, why: str, action: Action, other: BlumeError | None = None) -> Outcome:
        """The new form did not get healthy; `other`: something else went wrong, which is not the form's fault."""
        why, code = self.site.secrets.mask(why), other.code if other else "BLU700"
        failed = Failure(reason=why, at=time.time(), code=code)
        self._keep(refused=None if other else refusal(self.site, self.unit, failed), failed=failed)
        error = type(other)(code, other.subject, why, other.hint) if other else EngineError(code, self.unit.unit, why)
        return Outcome(self.unit.unit, action, why, error)

    def _keep(self, **changes: object) -> None:
        new = self.record.with_(**changes)
        if new != self.record or self.site.records.read(self.unit.unit) is None:
            self.record = self.site.records.write(new)

    def _last(self, at: Instance, since: int) -> str:
        lines = health.last_lines(self._log(at), since, mask=self.site.secrets.mask)
        return f"; its log: {lines}" if lines else ""

    def _log(self, at: Instance) -> Path:
        return self.site.folders.log(at.unit.unit, at.slot)

    def _folder(self, slot: str) -> Path:
        return self.site.folders.instance(self.unit.unit, slot)
