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
from typing import Any

from blumeops.base.errors import UserError
from blumeops.base.findings import Finding, Place
from blumeops.lab import dashboards, locked
from blumeops.lab.app import App
from blumeops.lab.brought.model import Brought, Way, way_of
from blumeops.lab.files import CATALOGUE, Files
from blumeops.lab.marks import Document, Mark, shown
from blumeops.lab.model import Lab, Member, Service, Settings, app_key
from blumeops.lab.unnamed import own_app
from blumeops.lab.validate import validate, validate_what_fits

MOST_TOLD = 1000
"""Mistakes after which no more services are read: nobody mends so many at once."""
COMPOSE_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*\.ya?ml")
POLICY = "policy.hujson"
DASHBOARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Loaded:
    """A lab as far as it could be read, and what could not."""

    lab: Lab
    findings: tuple[Finding, ...]


def find_lab(start: Path) -> Path:
    """The folder with lab.yaml: `start` or the nearest one above it. Raises UserError `BLU005`."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "lab.yaml").is_file():
            return folder
    raise UserError("BLU005", str(start), "is no lab: there is no lab.yaml here or above", "name one with --lab DIR")


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


class _Reader(Files):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.broken: set[str] = set()

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

    def settings(self) -> Settings:
        """lab.yaml, each section by itself: one that is wrong does not hide what the others say."""
        document = self.read(self.folder / "lab.yaml", "lab.yaml")
        if document.data is None and document.findings:
            self.broken |= {f"{section}:" for section in Settings.model_fields}
            return Settings(lab="lab")
        data = document.data if isinstance(document.data, dict) else {}
        if document.data is not None and data is not document.data:
            self.findings.append(Finding("BLU103", document.place(), "lab.yaml", "must be a mapping of sections"))
        good: dict[str, Any] = {}
        for section, value in data.items():
            if section in ("people", "hosts", "clusters") and isinstance(value, dict):
                good[section] = {name: entry for name, entry in value.items() if self.entry(section, name, entry)}
                continue
            probe = {section: value} if section == "lab" else {"lab": "lab", section: value}
            _, wrong = validate(Settings, probe, document)
            self.findings += wrong
            if wrong:
                self.broken.add(f"{section}:")
            else:
                good[section] = value
        if "lab" not in data:
            self.findings.append(Finding("BLU102", document.place(), "lab", "is missing", "give the lab a name"))
        return Settings.model_validate({"lab": "lab", **good})

    def entry(self, section: str, name: str, entry: object) -> bool:
        """Whether one person, host or cluster is right."""
        _, wrong = validate(Settings, {"lab": "lab", section: {name: entry}}, self.documents["lab.yaml"])
        self.findings += wrong
        if wrong:
            self.broken.add(name)
        return not wrong

    def services(self) -> tuple[dict[str, Service], dict[str, str]]:
        services: dict[str, Service] = {}
        files: dict[str, str] = {}
        for path in sorted((self.folder / "services").glob("[!.]*.y*ml")):
            file = f"services/{path.name}"
            if path.suffix != ".yaml" or shown(file) != file:
                message, hint = "is not read", "give it a plain name that ends in .yaml"
                self.findings.append(Finding("BLU007", Place(shown(file), 1, 1), shown(file), message, hint))
                continue
            document = self.read(path, file)
            if document.data is None:
                self.broken |= {"services:"} if document.findings else set()
                continue
            if not isinstance(document.data, dict):
                self.broken.add("services:")
                self.findings.append(Finding("BLU103", document.place(), file, "must be a mapping of services"))
                continue
            for name, entry in document.data.items():
                if len(self.findings) > MOST_TOLD:
                    place = document.place(name, of_key=True)
                    self.findings.append(Finding("BLU002", place, file, "has more mistakes than are told at once"))
                    self.broken.add("services:")
                    return services, files
                if name in files:
                    first = self.documents[files[name]].place(name, of_key=True)
                    here = document.place(name, of_key=True)
                    message = f"stands here and in {first}"
                    self.findings.append(Finding("BLU104", here, shown(name), message, "keep one of the two"))
                    continue
                files[name] = file
                service = self.service(name, entry, document)
                if service is not None:
                    services[name] = service
        return services, files

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

    def service(self, name: str, entry: object, document: Document) -> Service | None:
        """One service without the fields that are wrong, so that the checks can say what else is; or None."""
        given = {} if entry is None else entry
        service, wrong, fields = validate_what_fits(Service, given, document, (name,))
        self.findings += wrong
        self.findings += _written_otherwise(document, name, "env")
        if not _is_name(name):
            # It becomes host names, objects and files: it must be legal as each of them.
            hint = "use lower-case letters, digits and hyphens, beginning with a letter, 50 at most"
            place = document.place(name, of_key=True)
            self.findings.append(Finding("BLU105", place, shown(name) or '""', "cannot be a service's name", hint))
            service = None
        if wrong or service is None:
            self.broken |= {name, *(f"{name}.{field}" for field in fields)}
        return service

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
        wrong += _written_otherwise(document, "env")
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


def _written_otherwise(document: Document, *path: str) -> list[Finding]:
    """Numbers among the texts at `path` that would not be passed on as they are written: `022` is the number 22."""
    mark: Mark | None = document.mark
    values = document.data
    for part in path:
        mark = mark.step(part) if mark else None
        values = values.get(part) if isinstance(values, dict) else None
    if mark is None or not isinstance(values, dict) or not isinstance(mark.items, dict):
        return []
    return [
        Finding(
            "BLU103", document.place(*path, key), shown(".".join((*path, key))),
            f"{shown(inner.written)} is read as the number {shown(str(values[key]))}", "quote it",
        )
        for key, inner in mark.items.items()
        if inner.written
    ]  # fmt: skip


def _is_name(name: str) -> bool:
    return (
        0 < len(name) <= 50 and name.isascii() and name[0].isalpha() and name == name.lower()
        and name.replace("-", "").isalnum() and not name.endswith("-")
    )  # fmt: skip
