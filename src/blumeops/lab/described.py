"""What lab.yaml and services/*.yaml say, section by section and service by service.

Enters: the lab's folder. Leaves: settings and services of all that is right; a finding for each field that is wrong, so
that one mistake hides no other; and in `broken` what is described, but wrongly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blumeops.base.findings import Finding, Place
from blumeops.lab.files import Files
from blumeops.lab.marks import Document, Mark, shown
from blumeops.lab.model import Service
from blumeops.lab.settings import Settings
from blumeops.lab.validate import validate, validate_what_fits

MOST_TOLD = 1000
"""Mistakes after which no more services are read: nobody mends so many at once."""


class Described(Files):
    """Reads them; `broken`: as in `Lab`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.broken: set[str] = set()

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

    def service(self, name: str, entry: object, document: Document) -> Service | None:
        """One service without the fields that are wrong, so that the checks can say what else is; or None."""
        given = {} if entry is None else entry
        service, wrong, fields = validate_what_fits(Service, given, document, (name,))
        self.findings += wrong
        self.findings += written_otherwise(document, name, "env")
        if not _is_name(name):
            # It becomes host names, objects and files: it must be legal as each of them.
            hint = "use lower-case letters, digits and hyphens, beginning with a letter, 50 at most"
            place = document.place(name, of_key=True)
            self.findings.append(Finding("BLU105", place, shown(name) or '""', "cannot be a service's name", hint))
            service = None
        if wrong or service is None:
            self.broken |= {name, *(f"{name}.{field}" for field in fields)}
        return service


def written_otherwise(document: Document, *path: str) -> list[Finding]:
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
