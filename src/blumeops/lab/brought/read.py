"""A service that says `chart:`, `manifests:` or `role:` is what the lab's files for it say.

In: the service, and the lab's files. Out: those files as they are, and what was read in them. Promised: what is in the
folder is passed on byte for byte, and no link is followed.
"""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding, Place
from blumeops.lab import yaml
from blumeops.lab.brought import manifests
from blumeops.lab.brought.folder import read_folder, wrong_path
from blumeops.lab.brought.model import LITERAL, Brought, Named, Way
from blumeops.lab.brought.references import references
from blumeops.lab.files import Files
from blumeops.lab.marks import Document
from blumeops.lab.model import Service
from blumeops.lab.settings import SecretsSetting

_PARTS = ("tasks", "handlers", "defaults", "vars", "meta")
"""The folders of a role that hold YAML."""


def read(files: Files, name: str, service: Service, way: Way, place: Place, secrets: SecretsSetting) -> Brought | None:
    """What the service `name` brings; None, with findings in `files`, where there is nothing to go on with.

    `place`: where it says so. `secrets`: the lab's, whose vault has the items that an ExternalSecret names.
    """
    path = (service.chart.values or "") if service.chart else str(getattr(service, way))
    if path and (wrong := wrong_path(path)):
        files.findings.append(Finding("BLU150", place, name, wrong))
        return None
    if service.chart:
        return _values(files, name, path, place)
    found = read_folder(files, path, place, name)
    if not found:
        return None
    named, wrong_references = _references(found, path)
    files.findings += wrong_references
    if way == "role":
        documents = _role(files, found, path, place, name)
        return Brought("role", path, found, tuple(named), defaults=tuple(_defaults(documents)))
    read_in = manifests.read(found, path, secrets.vault)
    files.findings += [
        finding
        for finding in read_in.findings
        if finding.code != "BLU523" or not secrets.allows(finding.place.file, LITERAL)
    ]
    if not read_in.objects and not read_in.kustomized and not read_in.findings:
        files.findings.append(Finding("BLU151", place, name, f"there is no manifest in {path}"))
    return Brought(
        "manifests", path, found, (*named, *read_in.secrets), tuple(read_in.objects), tuple(read_in.images),
        read_in.kustomized, tuple(read_in.fetched),
    )  # fmt: skip


def _values(files: Files, name: str, path: str, place: Place) -> Brought | None:
    """A chart's values: a mapping, or nothing at all."""
    if not path:
        return Brought("chart", "")
    text = files.bytes(files.folder / path, path)
    if isinstance(text, Finding):
        files.findings.append(text)
        return None
    document = yaml.read(text, path)
    files.findings += document.findings
    if not isinstance(document.data, dict) and not document.findings:
        files.findings.append(Finding("BLU151", document.place(), path, "must be a mapping: a chart's values"))
    secrets, wrong = references(text, path)
    files.findings += wrong
    return Brought("chart", path, {path: text}, tuple(secrets))


def _references(found: dict[str, bytes], path: str) -> tuple[list[Named], list[Finding]]:
    secrets, wrong = [], []
    for below, text in found.items():
        named, malformed = references(text, f"{path}/{below}")
        secrets += named
        wrong += malformed
    return secrets, wrong


def _role(files: Files, found: dict[str, bytes], path: str, place: Place, name: str) -> dict[str, Document]:
    """The YAML of a role, by path; what Ansible would stumble over before it does anything is found.

    What tags say (`!vault`, `!unsafe`) is Ansible's own.
    """
    if not {"tasks/main.yml", "tasks/main.yaml"} & found.keys():
        message = f"{path} is no role: it has no tasks/main.yml"
        files.findings.append(Finding("BLU157", place, name, message, "name the folder that holds `tasks`"))
    documents = {
        below: yaml.read(text, f"{path}/{below}")
        for below, text in found.items()
        if below.split("/")[0] in _PARTS and below.endswith((".yml", ".yaml"))
    }
    for document in documents.values():
        files.findings += [finding for finding in document.findings if finding.code in ("BLU001", "BLU002")]
    return documents


def _defaults(documents: dict[str, Document]) -> Iterator[str]:
    for below, document in documents.items():
        if below.startswith("defaults/") and isinstance(document.data, dict):
            yield from document.data
