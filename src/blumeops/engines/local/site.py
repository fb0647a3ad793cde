"""What every part of the local engine works with at one site, and what an `apply` comes to."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from blumeops.base.errors import BlumeError, Unavailable
from blumeops.engines.local import health
from blumeops.engines.local.folders import Folders
from blumeops.engines.local.manager import Process, ProcessManager, ProcessSpec
from blumeops.engines.local.programs import Programs
from blumeops.engines.local.programs.image import Image
from blumeops.engines.local.record import Instance, Records
from blumeops.engines.local.resolve import Resolver, Secrets
from blumeops.render.local_unit import LocalUnit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an `apply` came to. `rolled back`: the new form failed and the old one serves; `failed`: nothing new
    serves (what served before is untouched); `recorded`: only what needs no restart was different."""

    unit: str
    action: str
    reason: str = ""
    error: BlumeError | None = None

    @property
    def ok(self) -> bool:
        """Whether the unit is as wanted."""
        return self.action not in ("rolled back", "failed", "waiting")


@dataclass(frozen=True)
class Site:
    """What all changes share."""

    folders: Folders
    manager: ProcessManager
    secrets: Secrets
    programs: Programs
    records: Records
    drain: float
    choosing: threading.Lock = field(default_factory=threading.Lock)

    def port_of(self, unit: str, port: str) -> int:
        """Where another unit listens. Raises Unavailable `BLU709` while it does not run."""
        record = self.records.read(unit)
        if record is None or record.serving is None or port not in record.serving.ports:
            raise Unavailable("BLU709", unit, f"does not run, so its port {port} is not known")
        return record.serving.ports[port]

    def provider(self, unit: str) -> tuple[Instance, ProcessSpec]:
        """Another unit as it serves. Raises Unavailable `BLU709` while it does not run."""
        record = self.records.read(unit)
        at = record.serving if record else None
        spec = self.manager.defined(at.process) if at else None
        if at is None or spec is None:
            raise Unavailable("BLU709", unit, "does not run, and what it provides is needed")
        return at, spec

    def resolver(self, form: LocalUnit, slot: str, numbers: dict[str, int], image: Image | None = None) -> Resolver:
        """For one instance. `image`: what it runs, as a container."""
        return Resolver(self.folders, self.secrets, form, slot, numbers, self.port_of, image)

    def resolver_of(self, at: Instance) -> Resolver:
        """For one that is there."""
        return self.resolver(at.unit, at.slot, at.ports, at.image)

    def probe(self, at: Instance) -> health.Probe | None:
        """The health check of an instance, or None when the manager does not know it."""
        spec = self.manager.defined(at.process)
        if spec is None:
            return None
        check = at.unit.health
        resolver = self.resolver_of(at)
        command = resolver.words(check.command) if check else ()
        if resolver.contained and command:
            command = resolver.contained.inside(command)
        return health.Probe(check, at.ports, command, spec, contained=at.image is not None)

    def process(self, name: str) -> Process:
        """How a program is."""
        return self.manager.states().get(name, Process("stopped"))
