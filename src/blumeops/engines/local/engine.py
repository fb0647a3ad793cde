"""The local engine: units as processes of this machine. The front door; everything about one unit's change
is in `change`, everything about looking in `observe`.

In: `LocalUnit`s, a process manager, a store of secrets, programs. Out: running services, an `Outcome` each,
and what is seen of them. Promised: `apply` converges from any point at which an earlier one was cut off; what
served goes on serving when the new form does not get healthy; what is kept is deleted by `prune` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.engines.local import addresses, drift, helpers, instance, job, kept, leftovers
from blumeops.engines.local.change import Change
from blumeops.engines.local.daemon import must_be_nameable
from blumeops.engines.local.folders import SLOTS, Folders, service_account
from blumeops.engines.local.job import JobSeen
from blumeops.engines.local.kept import Kept
from blumeops.engines.local.manager import ProcessManager
from blumeops.engines.local.observe import Observed, observe
from blumeops.engines.local.programs import Programs
from blumeops.engines.local.record import Record, Records, digest_of, process_name
from blumeops.engines.local.refusals import failed, still_refused
from blumeops.engines.local.resolve import Secrets
from blumeops.engines.local.site import Outcome, Site
from blumeops.engines.local.supervisor import Supervisor
from blumeops.render.local_unit import LocalUnit
from blumeops.secrets.masks import Masks

__all__ = ["LocalEngine", "Observed", "Outcome", "digest_of", "local_engine"]

Say = Callable[[str], None]


class LocalEngine:
    """See the module. `drain`: seconds that a replaced instance gets to finish its requests."""

    def __init__(
        self, folders: Folders, manager: ProcessManager, secrets: Callable[[str], str], programs: Programs,
        drain: float = 5.0, masks: Masks | None = None,
    ) -> None:  # fmt: skip
        self.folders = folders
        self.manager = manager
        known = Secrets(secrets, masks)
        self._site = Site(folders, manager, known, programs, Records(folders.state / "units"), drain)

    def apply(self, unit: LocalUnit, say: Say) -> Outcome:
        """Make the unit so, and wait until it is healthy. Never raises BlumeError: that is in the outcome."""
        try:
            self.folders.prepare()
            self.folders.shared(self.folders.unit(unit.unit))
            with self._site.records.locked(unit.unit):
                self._site.records.mend(unit.unit)
                if unit.provided or unit.unavailable:
                    return self._note(unit)
                self.manager.ensure_running()
                if unit.kind == "job":
                    before = self._site.records.read(unit.unit)
                    if before and (before.serving or before.pending):  # it was a service
                        self._end(unit.unit)
                    return job.note(self._site, unit, say)
                return Change(self._site, unit, say).make()
        except BlumeError as error:
            return failed(self._site, unit, error)

    def start_job(self, unit: LocalUnit, token: str, say: Say) -> JobSeen:
        """Start the run with this token, unless it was already. Raises EngineError, Unavailable: then none runs."""
        self.folders.prepare()
        self.folders.shared(self.folders.unit(unit.unit))
        try:
            with self._site.records.locked(unit.unit):
                return job.start(self._site, unit, token, say)
        except BlumeError as error:
            raise type(error)(error.code, error.subject, self._site.secrets.mask(error.message), error.hint) from error

    def job_log(self, unit: str) -> Path:
        """What its runs print, one behind another; older ones beside it."""
        return self.folders.log(unit, job.SLOT)

    def job_mask(self, unit: LocalUnit) -> Callable[[str], str]:
        """Takes its secrets out of a whole line that the job printed; all of it while the store cannot tell them."""
        return job.mask(self._site, unit)

    def job_seen(self, unit: str, token: str) -> JobSeen:
        """What became of that run."""
        return job.seen(self._site, unit, token)

    def job_result(self, unit: LocalUnit, token: str, since: int) -> JobSeen:
        """The same of a run that has ended; what it left running is ended. `since`: where its log began."""
        return job.result(self._site, unit, token, since)

    def running_job(self, unit: str) -> str:
        """The token of the run that goes on; empty where none does."""
        return job.running_token(self._site, unit)

    def stop_job(self, unit: str) -> None:
        """End the run that goes on."""
        job.stop(self._site, unit)

    def observe(self, around: Collection[str] | None = None, ended: Collection[int] = ()) -> dict[str, Observed]:
        """Every unit that was ever applied and not removed, as it is now. `around`: only these, those that use them
        and what all of them need; `ended`: pids that are known to be gone, whatever the manager says yet."""
        return observe(self._site, around, ended)

    def busy(self, unit: str) -> bool:
        """Whether the unit is being changed at this moment."""
        return self._site.records.busy(unit)

    def drift(self, unit: str) -> str:
        """What was changed by hand in the files of the instance that serves, as a unified diff without secrets;
        empty where nothing was, or where it cannot be told."""
        record = self._site.records.read(unit)
        return drift.shown(self._site, record.serving) if record and record.serving else ""

    def applied(self) -> dict[str, LocalUnit]:
        """What runs, in the form that serves; a unit that never got healthy is not in it."""
        records = self._site.records.all()
        return {name: form for name, record in records.items() if (form := serving_form(record))}

    def compared(self) -> dict[str, LocalUnit]:
        """What a plan begins with: what runs, and what was asked for and cannot be had here, of which nothing changes
        as long as it is described in the same way."""
        records = self._site.records.all()
        return {name: form for name, record in records.items() if (form := serving_form(record) or lacking(record))}

    def contained(self) -> dict[str, bool]:
        """Of each unit that serves, whether it runs from an image."""
        records = self._site.records.all()
        return {name: record.serving.image is not None for name, record in records.items() if record.serving}

    def known(self) -> set[str]:
        """Every unit of which there is something to take away by `remove`, whether it serves, ever did, or not."""
        return self._site.records.known()

    def refuses(self, unit: LocalUnit) -> bool:
        """Whether this very form was refused, with the very secrets and addresses that it would be given now:
        another `apply` would only interrupt what serves. Never raises BlumeError."""
        record = self._site.records.all().get(unit.unit)
        return record is not None and still_refused(self._site, unit, record.refused)

    def stop(self, unit: str) -> None:
        """Stop it; its record stays, and the next `apply` starts it again."""
        for name in (process_name(unit, slot) for slot in SLOTS):
            if self.manager.defined(name):
                self.manager.stop(name)

    def stop_all(self, order: Iterable[str]) -> None:
        """Stop these units one after another, then all that is left and the manager, whatever is wrong with them."""
        for unit in order:
            with suppress(BlumeError):
                self.stop(unit)
        self.manager.shutdown()
        for record in self._site.records.all().values():
            self._disconnect(record)
        self.folders.clear_short()

    def remove(self, unit: str) -> None:
        """Stop it and forget it. Its state folders, its databases and its logs stay: `kept` tells of them."""
        with self._site.records.locked(unit):
            self._end(unit)
            kept.note(self._site, unit)
            self._site.records.forget(unit)

    def kept(self) -> dict[str, Kept]:
        """What is kept of units that are no more, by unit."""
        return kept.kept(self._site)

    def prune(self, unit: str) -> None:
        """Delete for good what is kept of a unit that is no more. Raises EngineError `BLU750`, `BLU751` and
        Unavailable `BLU709`; what is left then is kept, and may be pruned again."""
        with self._site.records.locked(unit):
            kept.prune(self._site, unit)

    def _disconnect(self, record: Record | None) -> None:
        """Take a container's network away, once nobody uses it any more."""
        for at in (record.serving, record.pending) if record else ():
            inside = self._site.resolver_of(at).contained if at else None
            if inside:
                inside.disconnect()

    def _end(self, unit: str) -> None:
        record = self._site.records.all().get(unit)
        leftovers.end_marked(helpers.mark(self.folders, unit))
        for slot in SLOTS:
            self.manager.remove(process_name(unit, slot))
            instance.remove(self.folders.instance(unit, slot))
        self._disconnect(record)
        addresses.forget(self.folders, unit)

    def _note(self, unit: LocalUnit) -> Outcome:
        """A unit of which nothing runs: an earlier form that did is ended."""
        before = self._site.records.all().get(unit.unit)
        self._end(unit.unit)
        self._site.records.write(Record(wanted=unit))
        if unit.provided and before == Record(wanted=unit):
            return Outcome(unit.unit, "unchanged")
        return Outcome(unit.unit, "provided" if unit.provided else "unavailable", unit.provided or unit.unavailable)


def serving_form(record: Record) -> LocalUnit | None:
    """The form of the unit that is in force."""
    nothing_runs = record.wanted.provided or record.wanted.unavailable or record.wanted.kind == "job"
    return record.wanted if nothing_runs else record.serving.unit if record.serving else None


def lacking(record: Record) -> LocalUnit | None:
    """The form whose program cannot be had here."""
    why = record.refused
    return record.wanted if why and why.code == "BLU701" and why.digest == digest_of(record.wanted) else None


def local_engine(
    state: Path,
    secrets: Callable[[str], str],
    programs: Programs,
    drain: float = 5.0,
    shares: Mapping[str, Path] | None = None,
    masks: Masks | None = None,
) -> LocalEngine:
    """The engine for one state folder, with supervisor as its manager. `secrets` gives the value behind an
    `op://` reference; `shares`: folders of this machine that stand in for shares of the lab; `masks`: the values that
    no message shows, which several engines share: a log has lines of those of yesterday."""
    must_be_nameable(state.absolute())
    folders = Folders(state.absolute(), service_account(), shares or {})
    folders.prepare()
    return LocalEngine(folders, Supervisor(folders.state / "manager", folders), secrets, programs, drain, masks)
