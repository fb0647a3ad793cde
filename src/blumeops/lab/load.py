"""A folder becomes a Lab and every finding about its text and types.

Enters: the lab's folder (lab.yaml, services/*.yaml, apps/<name>/) and the catalogue. Leaves: a Lab of all that
could be read, always, so that the checks can say the rest at once; findings say what could not.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blumeops.base.errors import UserError
from blumeops.base.findings import Finding, Place
from blumeops.lab import yaml
from blumeops.lab.app import App, AppSource, State
from blumeops.lab.model import Lab, Service, Settings, app_key
from blumeops.lab.validate import validate

CATALOGUE = Path(__file__).parent.parent / "catalogue"


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


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings: list[Finding] = []
        self.documents: dict[str, yaml.Document] = {}
        self.broken: set[str] = set()

    def lab(self) -> Loaded:
        settings = self.settings()
        services, files = self.services()
        apps: dict[str, App] = {}
        app_files: dict[str, dict[str, str]] = {}
        for name, service in services.items():
            key = app_key(name, service)
            if key in apps or key in self.broken:
                continue
            app = self.image_app(name, service, files[name]) if service.image else self.app(key, app_files)
            if app is not None:
                apps[key] = app
        lab = Lab(settings, services, apps, app_files, self.documents, files, frozenset(self.broken))
        return Loaded(lab, tuple(self.findings))

    def settings(self) -> Settings:
        """lab.yaml, each section by itself: one that is wrong does not hide what the others say."""
        document = self.read(self.folder / "lab.yaml", "lab.yaml")
        data = document.data if isinstance(document.data, dict) else {}
        if document.data is not None and not isinstance(document.data, dict):
            self.findings.append(Finding("BLU103", document.place(), "lab.yaml", "must be a mapping"))
        good: dict[str, Any] = {}
        for section, value in data.items():
            if section in ("people", "hosts", "clusters") and isinstance(value, dict):
                good[section] = {}
                for name, entry in value.items():
                    _, wrong = validate(Settings, {"lab": "lab", section: {name: entry}}, document)
                    self.findings += wrong
                    if wrong:
                        self.broken.add(name)
                    else:
                        good[section][name] = entry
                continue
            probe = {section: value} if section == "lab" else {"lab": "lab", section: value}
            _, wrong = validate(Settings, probe, document)
            self.findings += wrong
            if not wrong:
                good[section] = value
        if "lab" not in data and not document.findings:
            self.findings.append(Finding("BLU102", document.place(), "lab", "is missing", "give the lab a name"))
        return Settings.model_validate({"lab": "lab", **good})

    def services(self) -> tuple[dict[str, Service], dict[str, str]]:
        services: dict[str, Service] = {}
        files: dict[str, str] = {}
        for path in sorted((self.folder / "services").glob("*.yaml")):
            file = f"services/{path.name}"
            document = self.read(path, file)
            if document.data is None:
                continue
            if not isinstance(document.data, dict):
                self.findings.append(Finding("BLU103", document.place(), file, "must be a mapping of services"))
                continue
            for name, entry in document.data.items():
                if name in files:
                    first = self.documents[files[name]].place(name, of_key=True)
                    here = document.place(name, of_key=True)
                    self.findings.append(
                        Finding("BLU104", here, name, f"stands here and in {first}", "keep one of the two")
                    )
                    continue
                files[name] = file
                service, wrong = validate(Service, entry if entry is not None else {}, document, (name,))
                self.findings += self.wrong_name(name, document) + wrong
                if service is None or not _is_name(name):
                    self.broken.add(name)
                    service = self.what_is_right(entry, wrong, document)
                if service is not None and _is_name(name):
                    services[name] = service
        return services, files

    def what_is_right(self, entry: object, wrong: list[Finding], document: yaml.Document) -> Service | None:
        """The service without the fields that are wrong, so that the checks can say what else is; or None."""
        if not isinstance(entry, dict):
            return None
        bad = {finding.subject.split(".")[1] for finding in wrong if "." in finding.subject}
        return validate(Service, {key: value for key, value in entry.items() if key not in bad}, document)[0]

    def wrong_name(self, name: str, document: yaml.Document) -> list[Finding]:
        """A service's name becomes host names, objects and files: it must be legal as each of them."""
        if _is_name(name):
            return []
        hint = "use lower-case letters, digits and hyphens, beginning with a letter, 53 at most"
        return [Finding("BLU105", document.place(name, of_key=True), name, "cannot be a service's name", hint)]

    def app(self, name: str, app_files: dict[str, dict[str, str]]) -> App | None:
        """An app of the lab's own, or of the catalogue; None when there is none or it is broken."""
        own = self.folder / "apps" / name
        root, shown = (own, f"apps/{name}") if own.is_dir() else (CATALOGUE / name, f"catalogue/{name}")
        if not (root / "app.yaml").is_file():
            return None
        document = self.read(root / "app.yaml", f"{shown}/app.yaml")
        app, wrong = validate(App, document.data, document)
        self.findings += wrong
        if app is None:
            self.broken.add(name)
            return None
        wanted = {file.template for file in app.files.values() if file.template}
        wanted |= {provide.create.stdin for provide in app.provides.values() if provide.create.stdin}
        app_files[name] = {}
        for file in sorted(wanted):
            text = self.bytes(root / file, f"{shown}/{file}")
            if text is not None:
                app_files[name][file] = text.decode(errors="replace")
        return app

    def image_app(self, name: str, service: Service, file: str) -> App | None:
        """The app that an `image:` service amounts to."""
        image, _, tag = (service.image or "").rpartition(":")
        if not image or "/" in tag:
            image, tag = service.image or "", "latest"
        if service.state is None:
            place = self.documents[file].place(name, of_key=True)
            hint = "write `state: none`, or name its folders: `state: {data: /path/in/the/image}`"
            self.findings.append(Finding("BLU106", place, name, "does not say what state it keeps", hint))
        return App(
            app=name, version=service.version or tag, sources=(AppSource(container=image),), ports=service.ports,
            state=service.state or State(), health=service.health,
        )  # fmt: skip

    def read(self, path: Path, file: str) -> yaml.Document:
        text = self.bytes(path, file)
        document = yaml.read(text, file) if text is not None else yaml.Document(file, None, yaml.Mark(1, 1))
        self.documents[file] = document
        self.findings += document.findings
        return replace(document, findings=())

    def bytes(self, path: Path, file: str) -> bytes | None:
        """A file's content; None, with a finding, when it cannot be read or leads out of its folder."""
        inside = self.folder.resolve() if not file.startswith("catalogue/") else CATALOGUE.resolve()
        if not path.resolve().is_relative_to(inside):
            self.findings.append(Finding("BLU006", Place(file, 1, 1), file, "leads out of the lab's folder"))
            return None
        try:
            with path.open("rb") as opened:
                return opened.read(yaml.MOST_BYTES + 1)
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            self.findings.append(Finding("BLU006", Place(file, 1, 1), file, message))
            return None


def _is_name(name: str) -> bool:
    return (
        0 < len(name) <= 53 and name.isascii() and name[0].isalpha() and name == name.lower()
        and name.replace("-", "").isalnum() and not name.endswith("-")
    )  # fmt: skip
