"""Kustomizations of a folder: what they name, and what they do to names, namespaces and images.

In: their documents, and the paths of the folder's files. Out: what `manifests` needs to see the objects as they end
up, what is fetched from elsewhere, and findings. https://kubectl.docs.kubernetes.io/references/kustomize/
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from blumeops.base.findings import Finding
from blumeops.lab.marks import Document, shown

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_LISTS = ("resources", "bases", "components", "crds", "configurations", "generators", "transformers")
_REMOTE = re.compile(r"[a-z][a-z0-9+]*://|git@|[\w-]+(\.[\w-]+)+/.*(//|\?ref=|\?version=)|github\.com/|gitlab\.com/")


@dataclass
class Kustomized:
    """What all kustomizations of one folder do together; a later one wins, as the outermost does."""

    namespace: str = ""
    prefix: str = ""
    suffix: str = ""
    images: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def image(self, image: str) -> str:
        """An image as its `images:` leave it."""
        name, _, _ = image.partition("@")
        bare, colon, tag = name.rpartition(":")
        bare = bare if colon and "/" not in tag else name
        change = self.images.get(bare)
        if change is None:
            return image
        new = str(change.get("newName", bare))
        if change.get("digest"):
            return f"{new}@{change['digest']}"
        if "newTag" in change:
            return f"{new}:{change['newTag']}"
        return new + image[len(bare) :]


def is_kustomization(path: str) -> bool:
    """Whether the file at `path` is one, by its name."""
    return posixpath.basename(path) in NAMES


def kustomized(documents: Mapping[str, Document], paths: Collection[str]) -> Kustomized:
    """`documents`: by path below the folder, outermost last; `paths`: the files of the folder."""
    made = Kustomized()
    for path, document in documents.items():
        data = document.data
        if not isinstance(data, dict):
            made.findings.append(Finding("BLU151", document.place(), document.file, "must be a mapping"))
            continue
        made.namespace = str(data.get("namespace") or made.namespace)
        made.prefix = str(data.get("namePrefix") or "") + made.prefix
        made.suffix += str(data.get("nameSuffix") or "")
        for change in _mappings(data.get("images")):
            made.images[str(change.get("name"))] = change
        for keys, named in _named(data):
            _look(made, path, document, keys, named, paths)
        for place, chart in enumerate(_mappings(data.get("helmCharts"))):
            name = f"the chart {shown(str(chart.get('name')))}"
            made.fetched.append(name)
            made.findings.append(_elsewhere(document, ("helmCharts", place), name))
        made.findings += _values(document)
    return made


def _named(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The paths that a kustomization names, each with where it says so."""
    for key in _LISTS:
        for place, each in enumerate(_list(data.get(key))):
            if isinstance(each, str) and "\n" not in each:
                yield (key, place), each
    for key in ("patches", "replacements"):
        for place, each in enumerate(_mappings(data.get(key))):
            if isinstance(each.get("path"), str):
                yield (key, place, "path"), each["path"]
    for place, each in enumerate(_list(data.get("patchesStrategicMerge"))):
        if isinstance(each, str) and "\n" not in each:
            yield ("patchesStrategicMerge", place), each
    for key in ("configMapGenerator", "secretGenerator"):
        for place, each in enumerate(_mappings(data.get(key))):
            for kind in ("files", "envs"):
                for position, file in enumerate(_list(each.get(kind))):
                    yield (key, place, kind, position), str(file).rpartition("=")[2]


def _look(
    made: Kustomized, path: str, document: Document, keys: tuple[str | int, ...], named: str, paths: Collection[str]
) -> None:
    """One path of a kustomization: below the folder and there, or from elsewhere."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), named))
    if target in paths or any(each.startswith(f"{target}/") for each in paths):
        return
    if _REMOTE.match(named):
        made.fetched.append(shown(named))
        made.findings.append(_elsewhere(document, keys, shown(named)))
    elif target.startswith(("..", "/")):
        message, hint = f"{shown(named)} leads out of the folder", "put what it needs into the folder"
        made.findings.append(Finding("BLU152", document.place(*keys), document.file, message, hint))
    elif target != ".":
        message = f"there is no {shown(named)} in the folder"
        made.findings.append(Finding("BLU152", document.place(*keys), document.file, message, "mend the path"))


def _elsewhere(document: Document, keys: tuple[str | int, ...], what: str) -> Finding:
    message = f"{what} is fetched when it is applied: nobody has read what is in it"
    hint = "put the files themselves there"
    return Finding("BLU152", document.place(*keys), document.file, message, hint, severity="warning")


def _values(document: Document) -> Iterator[Finding]:
    """Values of secrets that a generator would make Secrets of."""
    for place, generator in enumerate(_mappings(document.data.get("secretGenerator"))):
        for kind in ("literals", "files", "envs", "env"):
            if generator.get(kind):
                hint = "let an ExternalSecret bring it, or name it in the service's `secrets:`"
                at = document.place("secretGenerator", place, kind, of_key=True)
                yield Finding("BLU523", at, document.file, "makes a Secret of values in Git", hint)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]
