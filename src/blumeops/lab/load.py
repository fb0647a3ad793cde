"""A folder becomes a Lab and every finding about its text and types.

Enters: the lab's folder (lab.yaml, services/*.yaml, apps/<name>/, policy.hujson, dashboards/) and the catalogue.
Leaves: a Lab of all that could be read, always, so that the checks can say the rest at once; findings say what
could not.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.findings import Finding, Place
from blumeops.lab import dashboards, locked
from blumeops.lab.app import App
from blumeops.lab.brought.model import Brought, Way, way_of
from blumeops.lab.described import Described, written_otherwise
from blumeops.lab.files import CATALOGUE
from blumeops.lab.model import Lab, Member, Service, app_key
from blumeops.lab.settings import Settings
from blumeops.lab.unnamed import own_app
from blumeops.lab.validate import validate

COMPOSE_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*\.ya?ml")
POLICY = "policy.hujson"
DASHBOARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Loaded:
    """A lab as far as it could be read, and what could not."""

    lab: Lab
    findings: tuple[Finding, ...]


def load(folder: Path) -> Loaded:
    """Read the lab in `folder`. Raises UserError `BLU005` when there is no lab.yaml in it."""
    if not (folder / "lab.yaml").is_file():
        raise UserError("BLU005", str(folder), "is no lab: there is no lab.yaml in it", "name one with --lab DIR")
    with _no_garbage_collection():
        return _Reader(folder).lab()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of small values and no cycles among them: collecting while reading triples the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Reader(Described):
    """Reads the rest as well: apps, Compose files, what the lab brings itself."""

    def lab(self) -> Loaded:
        settings = self.settings()
        services, files = self.services()
        apps: dict[str, App] = {}
        members = self.composed(settings, services, files, apps)
        app_files: dict[str, dict[str, str]] = {}
        brought: dict[str, Brought] = {}
        for name, service in services.items():
            if (way := way_of(service)) and (found := self.own(name, service, way, files[name], settings)):
                brought[name] = found
            key = app_key(name, service)
            if key in apps or f"apps/{key}" in self.broken or service.compose:
                continue
            app = self.own_app(name, service, files[name]) if key[0] == "=" else self.app(key, app_files)
            if app is not None:
                apps[key] = app
        policy, own = self.policy(), dict(self.dashboards())
        broken = frozenset(self.broken)
        lab = Lab(
            settings, services, apps, app_files, self.documents, files, policy, broken, members, own, brought,
            locked.read(self),
        )  # fmt: skip
        return Loaded(lab, tuple(self.findings))

    def policy(self) -> bytes | None:
        """The policy that the lab brings itself; what it says is for the checks."""
        if not os.path.lexists(self.folder / POLICY):
            return None
        found = self.bytes(self.folder / POLICY, POLICY)
        if isinstance(found, Finding):
            self.findings.append(found)
            return None
        return found

    def dashboards(self) -> Iterator[tuple[str, str]]:
        """By name: Grafana's own words, passed on as they are."""
        for path in sorted((self.folder / "dashboards").glob("*.json")):
            file = f"dashboards/{path.name}"
            found = self.bytes(path, file)
            if isinstance(found, Finding):
                self.findings.append(found)
                continue
            try:
                if not DASHBOARD.fullmatch(path.stem):
                    raise ValueError("is called by more than letters, digits, - and _")
                yield path.stem, dashboards.read(found)
            except ValueError as error:
                hint = "save it in Grafana as JSON, and put that file there"
                self.findings.append(Finding("BLU109", Place(file, 1, 1), file, str(error), hint))

    def app(self, name: str, app_files: dict[str, dict[str, str]]) -> App | None:
        """An app of the lab's own, or of the catalogue; None when there is none or it is broken."""
        own = self.folder / "apps" / name
        root, kept = (own, f"apps/{name}") if own.is_dir() else (CATALOGUE / name, f"catalogue/{name}")
        if not os.path.lexists(root / "app.yaml"):
            return None
        document = self.read(root / "app.yaml", f"{kept}/app.yaml")
        if document.data is None and document.findings:
            self.broken.add(f"apps/{name}")
            return None
        app, wrong = validate(App, document.data if document.data is not None else {}, document)
        wrong += written_otherwise(document, "env")
        if app is not None and app.samples and root == own:
            hint = "put the file there by hand, or by the program's `init:`"
            wrong.append(Finding("BLU103", document.place("samples"), "samples", "are the catalogue's alone", hint))
        if app is not None and app.app != name:
            message = f"must be {name!r}, as its folder is called, not {app.app!r}"
            wrong.append(Finding("BLU103", document.place("app"), "app", message))
        self.findings += wrong
        if app is None or wrong:
            self.broken.add(f"apps/{name}")
            return None
        wanted = {file.template for file in app.files.values() if file.template}
        wanted |= {provide.create.stdin for provide in app.provides.values() if provide.create.stdin}
        app_files[name] = {file: self.text(root / file, f"{kept}/{file}") for file in sorted(wanted)}
        return app

    def composed(
        self, settings: Settings, services: dict[str, Service], files: dict[str, str], apps: dict[str, App]
    ) -> dict[str, Member]:
        """The services of every Compose file, put among `services`, `files` and `apps`."""
        members: dict[str, Member] = {}
        for name, service in list(services.items()):
            if service.compose is None:
                continue
            place = self.documents[files[name]].place(name, "compose")
            if not COMPOSE_FILE.fullmatch(service.compose):
                message = "must be a file of the lab like compose/name.yaml"
                self.findings.append(Finding("BLU140", place, name, message))
                self.broken.add(f"{name}.compose")
                continue
            from blumeops.lab import compose  # few labs have one

            document = self.documents.get(service.compose) or self.read(self.folder / service.compose, service.compose)
            parts, wrong = compose.read(name, service, document, place, settings.secrets.vault)
            self.findings += wrong
            if not parts:
                self.broken.add(f"{name}.compose")
            for part in parts:
                if part.name in files and part.name != name:
                    message = f"its part would be called {part.name}, which is a service"
                    self.findings.append(Finding("BLU104", place, name, message, "call that otherwise"))
                    continue
                services[part.name], apps[app_key(part.name, part.service)] = part.service, part.app
                files.setdefault(part.name, files[name])
                members[part.name] = part.member
        return members

    def own(self, name: str, service: Service, way: Way, file: str, settings: Settings) -> Brought | None:
        """What the lab brings itself for a service."""
        from blumeops.lab.brought import read  # few labs bring anything

        found = read.read(self, name, service, way, self.documents[file].place(name, way), settings.secrets)
        if found is None:
            self.broken.add(f"{name}.{way}")
        return found

    def own_app(self, name: str, service: Service, file: str) -> App:
        """The app of a service that names none; of that, nobody else says what it keeps."""
        if service.state is None and f"{name}.state" not in self.broken:
            place = self.documents[file].place(name, of_key=True)
            hint = "write `state: none`, or name its folders: `state: {data: /path/of/it}`"
            self.findings.append(Finding("BLU106", place, name, "does not say what state it keeps", hint))
        return own_app(name, service)
