"""One unit's change, from whatever is there to what is wanted.

The order of acts is the promise. Everything that can be refused (program, secrets, a taken port, the grants,
the initialisation) is asked before anything is stopped. What is begun stands in the record before it is done,
so `_settle` can take back what a killed controller left. An update moves to the unit's other slot; the old
instance stays whole in its own until the new one is healthy, and so does the state that the new one may change:
the old form never starts on what the new one made of it, and what a healthy new form wrote is never taken back.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from blumeops.base.errors import BlumeError, EngineError
from blumeops.engines.local import health, helpers, instance, leftovers, loaded, ready, snapshots
from blumeops.engines.local.acts import Action, Acts
from blumeops.engines.local.folders import SLOTS
from blumeops.engines.local.programs import Program
from blumeops.engines.local.record import Instance
from blumeops.engines.local.resolve import Resolved
from blumeops.engines.local.site import Outcome


class Change(Acts):
    """One `apply` of one unit; the caller holds its lock."""

    def make(self) -> Outcome:
        """Do what is to be done."""
        self._settle()
        self.keep(wanted=self.unit, waits_for="", failed=None)
        missing = ready.missing_need(self.site, self.unit)
        if missing:
            self.keep(waits_for=missing)
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
            and wanted.secret_files == instance.read_files(self.folder(serving.slot) / "secrets")
        )
        if wanted is None or not same_start:
            return self._move(program, "replaced" if self.unit.update == "replace" else "restarted")
        read = not self.record.reloading and wanted.files == instance.read_files(self.folder(serving.slot) / "config")
        if not read or loaded.changed(self.site, serving):
            if self.unit.reload and not program.image and self.site.process(serving.process).pid:
                return self._reload(serving, wanted)
            return self._move(program, "replaced" if self.unit.update == "replace" else "restarted")
        if self.lost_ports(serving):
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
                self.drop(slot)
        if not between:
            snapshots.discard(folders, self.unit.unit)
            if serving:
                self.switch(serving)

    def _resume(self) -> None:
        """A controller was killed between two forms: the new one counts if it is healthy, and has perhaps been for
        long; else the state of the old one comes back before that may start again."""
        new = self.record.pending
        if not self.record.snapshot or not new:
            return
        if self.site.process(new.process).state != "stopped" and not self.wait(new):
            self.accept(new)
            self.drop(next(slot for slot in SLOTS if slot != new.slot))
            return
        self.bring_back(new)

    def _resolve(self, at: Instance, program: Program) -> Resolved | None:
        """The wanted form in the slot and on the ports of `at`; None where its ports do not fit."""
        fits = at.ports.keys() == self.unit.ports.keys() and all(
            port.fixed in (None, at.ports[name]) for name, port in self.unit.ports.items()
        )
        return self.site.resolver(self.unit, at.slot, at.ports, program.image).whole(program) if fits else None

    # the four ways

    def _stay(self, serving: Instance, wanted: Resolved) -> Outcome:
        """The instance is as wanted; it must run and be healthy."""
        action = "unchanged"
        if (stamps := self.stamps(wanted)) != serving.written:  # the site's key is not the one of then
            serving = serving.model_copy(update={"written": stamps})
            self.keep(serving=serving)
        if serving.unit != self.unit or self.grants.told:
            self.grants.make(serving.slot)
        if serving.unit != self.unit:
            serving = serving.model_copy(update={"unit": self.unit})
            self.keep(serving=serving)
            action = "recorded"
        mark = health.size_of(self._log(serving))
        if self.site.process(serving.process).state == "stopped":
            self.grants.make(serving.slot)
            self.say(f"{self.unit.unit}: starting")
            self.start(serving)
            action = "started"
        why = self.wait(serving)
        if why:
            why = f"{why}{self.last(serving, mark)}"
            return self.refused(why, "failed", EngineError("BLU700", self.unit.unit, why))
        if action == "started" or not loaded.is_known(self.site, serving):
            loaded.keep(self.site, serving)
        self.switch(serving)
        self.done()
        return Outcome(self.unit.unit, action)

    def _reload(self, serving: Instance, wanted: Resolved) -> Outcome:
        """New files, read by the running program; the old ones again when it refuses them."""
        folders, folder = self.site.folders, self.folder(serving.slot) / "config"
        resolver = self.site.resolver(self.unit, serving.slot, serving.ports)
        before = instance.read_files(folder)
        self.keep(reloading=True)
        mark = health.size_of(self._log(serving))
        other: BlumeError | None = None
        try:
            granted = self.grants.made()
            instance.write_files(folders, folder, wanted.files)
            self.say(f"{self.unit.unit}: reloading")
            helpers.reload(self.unit, resolver, wanted.spec.env)
            why = self.wait(serving)
            if not why:
                instance.keep_grants(self.folder(serving.slot), granted)
        except BlumeError as error:
            why, other = error.message, None if error.code in ("BLU712", "BLU902") else error
        if not why:
            new = serving.model_copy(update={"unit": self.unit, "written": self.stamps(wanted)})
            loaded.keep(self.site, new)
            self.done(serving=new)
            self.switch(new)
            return Outcome(self.unit.unit, "reloaded")
        why += self.last(serving, mark) + self.grants.again(serving)
        instance.write_files(folders, folder, before)
        try:
            helpers.reload(serving.unit, resolver, wanted.spec.env)
        except BlumeError as error:
            why += f"; and the old files: {error.message}"
        self.keep(reloading=False)
        return self.refused(why, "rolled back", other)

    def _move(self, program: Program, action: Action) -> Outcome:
        """Start the wanted form in the other slot; then end the old one, or go back to it."""
        old = self.record.serving
        beside = old is not None and self.unit.update == "replace" and not self.is_fixed(old)
        # Two forms that run at once share what they keep: there is nothing to go back to.
        keeps = snapshots.needed(old.unit, self.unit) if old and not beside else None
        try:
            new, mark = self._prepare(program, old, beside)
            if keeps:
                snapshots.require_room(self.site.folders, self.unit.unit, keeps)
        except BlumeError:
            with suppress(BlumeError):
                if not self.grants.again(old):
                    self.keep(pending=None)
            raise
        other: BlumeError | None = None
        try:
            if old and not beside:
                self.say(f"{self.unit.unit}: stopping the old one")
                self.site.manager.stop(old.process)
            if keeps:
                self.say(f"{self.unit.unit}: putting its state aside")
                snapshots.take(self.site, self.unit, keeps)
                self.keep(snapshot=keeps)
            self.say(f"{self.unit.unit}: starting {program.version or self.unit.version}")
            self.start(new)
            why = self.wait(new)
            if not why and not keeps:
                self.switch(new)
        except BlumeError as error:
            why, other = error.message, error
        if why:
            return self._back(new, old, f"{why}{self.last(new, mark)}", other)
        self.accept(new)
        if old:
            if beside:
                self.say(f"{self.unit.unit}: draining the old one")
                threading.Event().wait(self.site.drain)
            self.drop(old.slot)
        self.done()
        return Outcome(self.unit.unit, action)

    # parts of a move

    def _prepare(self, program: Program, old: Instance | None, beside: bool) -> tuple[Instance, int]:
        """Everything that can be refused, while the old one serves: ports, files, initialisation, grants."""
        site, unit = self.site, self.unit
        slot = next(slot for slot in SLOTS if not old or slot != old.slot)
        numbers = self.numbers(old, beside, "" if program.image else site.folders.runs_as)
        new = Instance(slot=slot, unit=unit, ports=numbers, program=program.version, image=program.image)
        resolver = site.resolver_of(new)
        if resolver.contained:
            resolver.contained.connect()
        resolved = resolver.whole(program)
        new = new.model_copy(update={"written": self.stamps(resolved)})
        self.keep(pending=new)
        instance.write(resolver.owned, self.folder(slot), resolved)
        self.record = helpers.initialise(unit, resolver, resolved.spec.env, site.records, self.record)
        self.grants.make(slot)
        site.manager.define(resolved.spec)
        return new, health.size_of(resolved.spec.log)

    def _back(self, new: Instance, old: Instance | None, why: str, other: BlumeError | None) -> Outcome:
        """The new one failed: away with it, and the old one serves on exactly as it was."""
        if self.record.snapshot:
            try:
                self.bring_back(new)
            except BlumeError as error:  # nothing is held against the form: the next apply goes on here
                why = f"{why}; and its state is not back yet, so it stays stopped: {error.message}"
                return self.refused(why, "failed", error)
        self.drop(new.slot)
        if old is None:
            self.keep(pending=None)
            return self.refused(why, "failed", other)
        why += self.grants.again(old)
        if self.site.process(old.process).state == "stopped":
            self.say(f"{self.unit.unit}: bringing back {old.unit.version}")
            self.start(old)
            again = self.wait(old)
            if again:
                why += f"; and the old one: {again}"
        self.switch(old)
        self.keep(pending=None)
        return self.refused(why, "rolled back", other)
