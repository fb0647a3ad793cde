"""A folder of manifests: its objects, the images that they run and the secrets that they ask for.

In: the folder's files. Out: what is in them, as kustomize leaves it, and findings for what is no manifest. Values are
read as YAML 1.2; the files themselves are passed on byte for byte. What a patch changes is not foreseen, but the images
in it are read like others.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from blumeops.base.findings import Finding
from blumeops.lab import yaml
from blumeops.lab.brought.kustomization import Kustomized, is_kustomization, kustomized
from blumeops.lab.brought.model import Image, KubeObject, Named
from blumeops.lab.brought.pods import containers, pods
from blumeops.lab.brought.references import REFERENCE
from blumeops.lab.marks import Document, Mark, shown

STORE = "onepassword"
"""The ClusterSecretStore before the lab's own vaults."""
FIELD = "password"
"""The field of an item that External Secrets takes where none is named, of 1Password."""


@dataclass
class Manifests:
    """What a folder holds."""

    objects: list[KubeObject] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    secrets: list[Named] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    kustomized: bool = False


def read(files: Mapping[str, bytes], folder: str, vault: str) -> Manifests:
    """`files`: by path below `folder`. `vault`: where items lie that an ExternalSecret names."""
    made = Manifests()
    read_files = {
        path: yaml.read_all(text, f"{folder}/{path}")
        for path, text in files.items()
        if path.endswith((".yaml", ".yml", ".json")) or is_kustomization(path)
    }
    made.findings += [finding for documents in read_files.values() for finding in documents[-1].findings]
    deepest_first = sorted(filter(is_kustomization, read_files), key=lambda path: -path.count("/"))
    own = kustomized({path: read_files[path][0] for path in deepest_first}, files)
    made.findings += own.findings
    made.fetched = own.fetched
    made.kustomized = any(posixpath.dirname(path) == "" for path in deepest_first)
    for path, documents in read_files.items():
        if is_kustomization(path):
            continue
        for document in documents:
            for data, mark in _items(document):
                _object(made, own, document, data, mark)
    for each in made.objects:
        made.images += _images(own, each)
        _external(made, each, vault)
    return made


def listed(files: Mapping[str, bytes]) -> list[str]:
    """The files that a kustomization of a plain folder names."""
    hidden = {path for path in files if any(part.startswith(".") for part in path.split("/"))}
    return sorted(path for path in files.keys() - hidden if path.endswith((".yaml", ".yml", ".json")))


def _items(document: Document) -> Iterator[tuple[Any, Mark]]:
    """The object of a document, or those of its List."""
    data, mark = document.data, document.mark
    if data is None:
        return
    items = data.get("items") if isinstance(data, dict) and data.get("kind") == "List" else None
    if isinstance(items, list):
        marks = mark.items["items"].items if isinstance(mark.items, dict) else []
        if isinstance(marks, list):
            yield from zip(items, marks, strict=True)
        return
    yield data, mark


def _object(made: Manifests, own: Kustomized, document: Document, data: Any, mark: Mark) -> None:
    about = data.get("metadata") if isinstance(data, dict) else None
    kind, version = (data.get(key) if isinstance(data, dict) else None for key in ("kind", "apiVersion"))
    whole = isinstance(kind, str) and isinstance(version, str) and isinstance(about, dict)
    name = about.get("name") or about.get("generateName") if isinstance(about, dict) else None
    if not whole or not isinstance(name, str) or not isinstance(about, dict):
        if not made.kustomized:  # beside a kustomization lie patches, values and texts as well
            message = "is no object of Kubernetes: `apiVersion:`, `kind:` and `metadata: {name: …}` are not all there"
            at = Document(document.file, data, mark).place()
            made.findings.append(Finding("BLU151", at, document.file, message))
        return
    namespace = own.namespace or about.get("namespace") or ""
    group = str(version).rpartition("/")[0]
    named = f"{own.prefix}{name}{own.suffix}"
    made.objects.append(KubeObject(str(kind), group, named, str(namespace), data, document.file, mark))


def _images(own: Kustomized, each: KubeObject) -> Iterator[Image]:
    for path, spec in pods(each):
        for inner, container in containers(spec):
            if isinstance(image := container.get("image"), str):
                yield Image(own.image(image), each.place(*path, *inner, "image"))


def _external(made: Manifests, each: KubeObject, vault: str) -> None:
    """The references of an ExternalSecret that asks the lab's own store."""
    spec = each.data.get("spec")
    if each.kind != "ExternalSecret" or not isinstance(spec, dict):
        return
    store = spec.get("secretStoreRef")
    if not isinstance(store, dict) or store.get("name") != STORE:
        return
    data, whole = spec.get("data"), spec.get("dataFrom")
    for place, entry in enumerate(data if isinstance(data, list) else ()):
        remote = entry.get("remoteRef") if isinstance(entry, dict) else None
        if not isinstance(remote, dict):
            continue
        at = each.place("spec", "data", place, "remoteRef")
        reference = f"op://{vault}/{remote.get('key')}/{remote.get('property') or FIELD}"
        if REFERENCE.fullmatch(reference) and str(remote.get("key")).count("/") == 0:
            made.secrets.append(Named(reference, at, "remoteRef"))
        else:
            message = f"{shown(str(remote.get('key')))} and its property are no item and field"
            made.findings.append(
                Finding("BLU501", at, shown(each.name), message, "write an item's title and a field's label")
            )
    for place, _ in enumerate(whole if isinstance(whole, list) else ()):
        message = "takes all that an item has: nobody knows beforehand which secrets those are"
        hint = "name each under `data:`, with its `remoteRef:`"
        at = each.place("spec", "dataFrom", place)
        made.findings.append(Finding("BLU155", at, shown(each.name), message, hint, severity="warning"))
