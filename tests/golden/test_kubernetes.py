"""What four labs become in Kubernetes, file by file, and that real programs and schemas take every one of them.

`UPDATE=1 pytest tests/golden/test_kubernetes.py` writes the files anew: read the diff before you commit it.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import kubernetes_validate
import pytest
import yaml

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.render.kubernetes import render
from tests.definitions import published

HERE = Path(__file__).resolve().parent / "kubernetes"
REPOSITORY = HERE.parents[2]
LABS = {
    **{name: REPOSITORY / "labs" / name for name in ("first", "blumeops")},
    **{name: HERE / "labs" / name for name in ("cnpg", "compose")},
}
VERSION = "1.37"

BAD: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "Application": (("spec", "syncPolicy", "automated", "prune"), "yes", "not of type 'boolean'"),
    "Cluster": (("spec", "instances"), 0, "less than the minimum"),
    "ClusterRole": (("rules", 0, "verb"), ["get"], "was unexpected"),
    "ClusterRoleBinding": (("subjects", 0, "kind"), ["ServiceAccount"], "not of type"),
    "ClusterSecretStore": (("spec", "provider", "onepassword", "vaults"), ["lab"], "not of type 'object'"),
    "ConfigMap": (("immutable",), "true", "not of type"),
    "CronJob": (("spec", "concurrencyPolicy"), 1, "not of type"),
    "Database": (("spec", "databaseReclaimPolicy"), "keep", "not one of"),
    "DatabaseRole": (("spec", "login"), 1, "not of type 'boolean'"),
    "Deployment": (("spec", "template", "spec", "containers", 0, "imagee"), "x", "were unexpected|was unexpected"),
    "ExternalSecret": (("spec", "data", 0, "remoteRef", "porperty"), "x", "was unexpected"),
    "Ingress": (("spec", "tls"), {"hosts": ["feed"]}, "not of type"),
    "Job": (("spec", "backoffLimit"), "10", "not of type"),
    "NetworkPolicy": (("spec", "egress", 0, "ports", 0, "protocols"), "UDP", "was unexpected"),
    "PersistentVolume": (("spec", "nfs", "host"), "nas", "was unexpected"),
    "PersistentVolumeClaim": (("spec", "accessModes"), "ReadWriteMany", "not of type"),
    "PodDisruptionBudget": (("spec", "maxUnavaliable"), 1, "was unexpected"),
    "ScheduledBackup": (("spec", "schedule"), 2, "not of type 'string'"),
    "Service": (("spec", "ports", 0, "port"), "http", "not of type"),
    "ServiceAccount": (("automountServiceAccountToken",), "no", "not of type"),
    "StatefulSet": (("spec", "volumeClaimTemplates", 0, "spec", "size"), "1Gi", "was unexpected"),
}
"""A value for each kind of object that no cluster would take, and what is said of it."""


@cache
def rendered(lab: str) -> FileTree:
    """The files of one of LABS."""
    checked = check_folder(LABS[lab])
    assert checked.passed, checked.findings
    return render(checked.passed)


def objects(lab: str) -> Iterator[dict[str, Any]]:
    """Every object of a lab, as the golden files have it."""
    for path in sorted((HERE / lab).rglob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            if each["kind"] != "Kustomization":
                yield each


@cache
def definition(version: str, kind: str) -> dict[str, Any]:
    """The schema of a custom resource; an unknown field is an error, as in a cluster."""
    schema: dict[str, Any] = _strict(published(version, kind))
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    open_ended = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if isinstance(made.get("properties"), dict) and made.get("type") == "object" and not open_ended:
        made["additionalProperties"] = False
    return made


def validate(manifest: dict[str, Any]) -> None:
    """Hold an object against the schema of its kind. Raises jsonschema's ValidationError."""
    if ".k8s.io/" in manifest["apiVersion"] or manifest["apiVersion"] in ("v1", "apps/v1", "batch/v1", "policy/v1"):
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    else:
        schema = definition(manifest["apiVersion"], manifest["kind"])
        jsonschema.Draft202012Validator(schema).validate(manifest)


def kustomize(folder: Path) -> subprocess.CompletedProcess[str]:
    """What the real kubectl builds from a folder."""
    kubectl = Path(sys.executable).parent / "kubectl"
    return subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_becomes_these_files(lab: str) -> None:
    """The rendered tree is the golden one, byte for byte, no file more and none less."""
    tree, folder = rendered(lab), HERE / lab
    if os.environ.get("UPDATE"):
        shutil.rmtree(folder, ignore_errors=True)
        tree.write(folder)
    golden = {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
    assert {path: tree.text(path) for path in tree} == golden


@pytest.mark.parametrize("lab", LABS)
def test_rendering_again_gives_the_same_bytes(lab: str) -> None:
    """Nothing depends on time, chance or the order of a set."""
    checked = check_folder(LABS[lab])
    assert checked.passed
    assert render(checked.passed).digest == rendered(lab).digest


@pytest.mark.parametrize("lab", LABS)
def test_every_object_fits_its_schema(lab: str) -> None:
    """Kubernetes' own schemas for its own kinds, the published definitions for the others; no unknown field."""
    for each in objects(lab):
        validate(each)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_value_is_found(kind: str) -> None:
    """The validation above can fail, for each kind that the golden files have."""
    path, value, words = BAD[kind]
    good = next(each for lab in LABS for each in objects(lab) if each["kind"] == kind and _has(each, path))
    bad = copy.deepcopy(good)
    at: Any = bad
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError, match=words):
        validate(bad)


def _has(manifest: Any, path: tuple[str | int, ...]) -> bool:
    """Whether the object has what stands around the value: not each NetworkPolicy has rules."""
    for key in path[:-1]:
        if isinstance(manifest, dict) and key not in manifest:
            return False
        manifest = manifest[key]
    return True


def test_each_kind_has_a_bad_value() -> None:
    """A kind that is new to the golden files has to show that it is validated."""
    assert {each["kind"] for lab in LABS for each in objects(lab)} == set(BAD)


@pytest.mark.parametrize("lab", LABS)
def test_kustomize_builds_each_folder(lab: str) -> None:
    """The real kubectl makes of a folder what a reader of its files sees: every object, and none changed."""
    for folder in sorted((HERE / lab / "argocd" / "manifests").iterdir()):
        built = kustomize(folder)
        assert built.returncode == 0, built.stderr
        read = [
            each
            for path in sorted(folder.glob("*.yaml"))
            for each in yaml.safe_load_all(path.read_text())
            if each["kind"] != "Kustomization"
        ]
        assert sorted(yaml.safe_load_all(built.stdout), key=_identity) == sorted(read, key=_identity)


def _identity(manifest: dict[str, Any]) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def test_a_bad_folder_does_not_build(tmp_path: Path) -> None:
    """kubectl refuses a kustomization that names a file that is not there."""
    shutil.copytree(HERE / "first" / "argocd" / "manifests" / "miniflux", tmp_path, dirs_exist_ok=True)
    (tmp_path / "service.yaml").unlink()
    assert "service.yaml" in kustomize(tmp_path).stderr


def test_one_option_changes_one_line(tmp_path: Path) -> None:
    """Another polling time is one line of the Deployment, and nothing of any other file."""
    shutil.copytree(LABS["first"], tmp_path, dirs_exist_ok=True)
    services = tmp_path / "services" / "services.yaml"
    services.write_text(services.read_text().replace("polling: 60m", "polling: 15m"))
    checked = check_folder(tmp_path)
    assert checked.passed
    before, after = rendered("first"), render(checked.passed)
    changed = [path for path in after if after.files[path] != before.files.get(path)]
    assert changed == ["argocd/manifests/miniflux/deployment.yaml"]
    lines = zip(before.text(changed[0]).splitlines(), after.text(changed[0]).splitlines(), strict=True)
    assert [(old.strip(), new.strip()) for old, new in lines if old != new] == [('value: "60"', 'value: "15"')]


@pytest.mark.parametrize("lab", [lab for lab in LABS if lab != "compose"])  # that has no database to use
def test_a_new_service_leaves_the_others_alone(lab: str, tmp_path: Path) -> None:
    """One more user of the database adds its own files; none of the provider's or of another user's changes."""
    shutil.copytree(LABS[lab], tmp_path, dirs_exist_ok=True)
    (tmp_path / "services" / "more.yaml").write_text(
        f"reader: {{app: miniflux, cluster: {'minikube' if lab == 'blumeops' else 'cluster'}, database: postgresql}}\n"
    )
    checked = check_folder(tmp_path)
    assert checked.passed, checked.findings
    before, after = rendered(lab), render(checked.passed)
    changed = {path for path in {*before, *after} if before.files.get(path) != after.files.get(path)}
    assert "argocd/manifests/reader/database.yaml" in changed
    watchers = {f"argocd/manifests/{name}/configmap.yaml" for name in ("alloy-k8s", "grafana", "prometheus")}
    watchers |= {path.replace("configmap", "statefulset") for path in watchers}
    assert all("/reader" in path for path in changed - {"argocd/README.md"} - watchers), changed


@pytest.mark.parametrize("lab", LABS)
def test_each_file_says_where_it_comes_from(lab: str) -> None:
    """The first line names the file and the service in it, not the line: that would change with others."""
    for path in rendered(lab):
        first = rendered(lab).text(path).splitlines()[0]
        found = re.match(r"argocd/(?:apps|manifests)/([^/.]+)", path)
        if found:
            assert first == f"# Derived from {_origin(LABS[lab], found[1])}: change it there"
        else:
            assert "Derived from lab.yaml: change it there" in first


def _origin(lab: Path, service: str) -> str:
    """The file that describes a service, and its name there, found without the loader."""
    for path in (lab / "compose").glob("*.yaml"):
        for part in yaml.safe_load(path.read_text())["services"]:
            if service in (path.stem, f"{path.stem}-{part}") and (part == path.stem) == (service == path.stem):
                return f"compose/{path.name}, service {part}"
    path = next(p for p in (lab / "services").iterdir() if service in yaml.safe_load(p.read_text()))
    return f"services/{path.name}, service {service}"
