"""A Compose file becomes services of the lab, one for each of its own: https://github.com/compose-spec/compose-spec.

Enters: the service that names the file, and the file's document. Leaves: `Part`s (a service and the app that it
amounts to), and findings for all that is not understood. The part that is routed has the service's own name, the
others `NAME-PART`. What another program would do silently (mount a folder of the host, build, run privileged) is
refused; what has no meaning here (labels, logging, networks: all parts are in one) is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from blumeops.base.findings import Finding, Place
from blumeops.lab.app import App, Health, SecretSpec
from blumeops.lab.compose.entry import INSTEAD, LEAST_START, Entries
from blumeops.lab.compose.values import Draft
from blumeops.lab.fields import Name
from blumeops.lab.marks import Document, shown
from blumeops.lab.model import Member, Service

MOST = 50


@dataclass(frozen=True)
class Part:
    """One service of the file."""

    name: str
    service: Service
    app: App
    member: Member


def read(name: str, service: Service, document: Document, place: Place, vault: str) -> tuple[list[Part], list[Finding]]:
    """The parts of the Compose file of the service `name`, the routed one first. `place`: where the service names
    the file; `vault`: where secrets lie that it does not say itself."""
    reader = _File(name, service, document, place, vault)
    return reader.parts(), reader.findings


class _File(Entries):
    """The whole file."""

    def __init__(self, name: str, service: Service, document: Document, place: Place, vault: str) -> None:
        super().__init__(name, service, document, place)
        self.vault = vault

    def parts(self) -> list[Part]:
        data = self.document.data
        services = data.get("services") if isinstance(data, dict) else None
        if not isinstance(services, dict) or not services or len(services) > MOST:
            if data is not None or not self.document.findings:
                self.find("BLU140", "is no Compose file: it has no `services:`", of=())
            return []
        for section in data:
            if section not in ("services", "volumes", "networks", "version", "name") and not section.startswith("x-"):
                self.find("BLU141", f"`{shown(section)}:` is not understood", INSTEAD.get(section, ""), of=(section,))
        self.volumes(data.get("volumes"))
        drafts = [self.draft(alias, entry) for alias, entry in services.items()]
        whole = [draft for draft in drafts if draft is not None]
        if len(whole) != len(drafts):
            return []
        self.shared(whole)
        main = self.routed(whole)
        names = {
            draft.alias: self.name if draft is main else f"{self.name}-{draft.alias.lower().replace('_', '-')}"
            for draft in whole
        }
        made = [self.part(draft, names, draft is main) for draft in sorted(whole, key=lambda draft: draft is not main)]
        return [part for part in made if part is not None]

    def volumes(self, volumes: Any) -> None:
        """Volumes are folders of the state: another driver would keep them elsewhere."""
        for name, volume in (volumes or {}).items() if isinstance(volumes, dict) else ():
            if isinstance(volume, dict) and volume.keys() - {"name", "labels", "driver"}:
                self.find("BLU142", "is kept by a driver or elsewhere", "leave it plain", of=("volumes", name))

    def shared(self, drafts: list[Draft]) -> None:
        """What two parts keep together would be snapshotted and restored under one of them alone."""
        owners: dict[str, str] = {}
        for draft in drafts:
            for folder in draft.app["state"].folders:
                if folder in owners:
                    message = f"the volume {folder} is also {owners[folder]}'s"
                    self.find("BLU142", message, "give each its own", of=("services", draft.alias, "volumes"))
                owners.setdefault(folder, draft.alias)

    def routed(self, drafts: list[Draft]) -> Draft:
        """The part that people open: which has the port `http` of the service, or the only one with a port."""
        wanted = self.service.ports.get("http")
        open_ = [draft for draft in drafts if any(port.protocol == "tcp" for port in draft.ports.values())]
        if wanted is not None:
            having = [draft for draft in open_ if wanted.port in draft.ports]
            if having:
                having[0].ports[wanted.port] = wanted
                return having[0]
            message = f"no part of {self.document.file} has the port {wanted.port} among its `ports:`"
            self.findings.append(Finding("BLU144", self.place, self.name, message, "name one that is there"))
        elif len(open_) > 1 or any(len(draft.ports) > 1 for draft in open_):
            numbers = sorted({number for draft in open_ for number in draft.ports})
            message = f"several ports could be its page: {', '.join(map(str, numbers))}"
            self.findings.append(Finding("BLU144", self.place, self.name, message, "write `ports: {http: NUMBER}`"))
        return open_[0] if open_ else drafts[0]

    def part(self, draft: Draft, names: Mapping[str, str], main: bool) -> Part | None:
        needs = []
        for alias in self.needed(draft):
            place = self.document.place("services", draft.alias, "depends_on")
            if alias in names:
                needs.append((names[alias], place))
            else:
                self.findings.append(
                    Finding("BLU140", place, draft.alias, f"depends on {shown(alias)}, which is not there")
                )
        name = names[draft.alias]
        if not self.fits(Name, name):
            self.find("BLU140", f"would be called {name}, which is no name of a service", of=("services", draft.alias))
        ports = {self.port_name(number, main): port for number, port in draft.ports.items()}
        health = draft.app.get("health")
        if health is None and main and "http" in ports and self.service.health is None:
            health = Health.model_validate({"tcp": "http", "within": f"{LEAST_START}s"})
        secrets = {secret: self.reference(secret) for secret in sorted(draft.secrets)}
        try:
            made = {"app": name, "ports": ports, "secrets": dict.fromkeys(secrets, SecretSpec()), "health": health}
            made["internet"] = True  # nobody said what its programs call
            app = App.model_validate(draft.app | made)
        except ValidationError as error:  # a `{{` that is no lookup, for one
            self.find("BLU140", f"cannot be run: {error.errors()[0]['msg'][:200]}", of=("services", draft.alias))
            return None
        mounts = {mount: self.service.mounts[mount] for mount in draft.mounts}
        member = Member(
            self.name, self.document.file, draft.alias, tuple(needs), draft.mounts, self.aliases(draft),
        )  # fmt: skip
        if main:
            own = {"secrets": secrets, "mounts": mounts, "ports": {}, "env": {}}
            return Part(name, self.service.model_copy(update=own), app, member)
        service = Service(
            host=self.service.host, cluster=self.service.cluster, compose=self.service.compose, secrets=secrets,
            mounts=mounts, internet=self.service.internet,
        )  # fmt: skip
        return Part(name, service, app, member)

    def port_name(self, number: int, main: bool) -> str:
        wanted = self.service.ports.items() if main else ()
        named = next((name for name, port in wanted if port.port == number), None)
        single = main and "http" not in self.service.ports
        return named or ("http" if single else f"port-{number}")

    def reference(self, secret: str) -> str:
        return self.service.secrets.get(secret) or f"op://{self.vault}/{self.name}/{secret.replace('_', '-')}"
