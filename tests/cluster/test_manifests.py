"""A real API server takes what is rendered: all of it, without a warning, and a second time it changes nothing.

CloudNativePG's defaulting webhooks are asked too. What is then there is what was rendered, field by field, and Argo CD
shows no object as drifted: its own code compares. (Argo CD's is of version 3.1: of the later ones the part that
compares cannot be had as a Go module. The published definitions are of the versions that tests/definitions.py names.)
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.checks.check import check_folder
from blumeops.render.kubernetes import render
from tests.definitions import differences

from .conftest import CRDS
from .control_plane import ControlPlane, Objects, control_plane
from .drift import Operator, add_operator, drifted
from .kubectl import Action, Change, Refused, Warned

REPOSITORY = Path(__file__).resolve().parents[2]
LABS = {
    "first": REPOSITORY / "labs" / "first",
    **{name: REPOSITORY / "tests" / "golden" / "kubernetes" / "labs" / name for name in ("cnpg", "compose")},
}
CHANGED = {
    "Application": ("spec.syncPolicy.automated.prune", False),
    "Cluster": ("spec.probes.liveness.isolationCheck.enabled", False),
    "Deployment": ("spec.replicas", 5),
    "ExternalSecret": ("spec.refreshInterval", "2h0m0s"),
    "StatefulSet": ("spec.template.spec.enableServiceLinks", True),
}
"""A field of a kind, and a value that nobody rendered."""

_LOOKED_AFTER = {"metadata": {"finalizers": ["example.org/looked-after"], "annotations": {"example.org/seen": "yes"}}}
WRITTEN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ("ClusterSecretStore", "Database", "DatabaseRole", "ExternalSecret", "Ingress", "Service"), _LOOKED_AFTER
    ),
    "Application": {"operation": {"initiatedBy": {"automated": True}}},
    "PersistentVolumeClaim": {"spec": {"volumeName": "pvc-of-a-provisioner"}},
}
"""What operators and controllers write into objects of a kind, as External Secrets, Tailscale's operator, CloudNativePG
and Argo CD do."""


@dataclass(frozen=True)
class Applied:
    """A lab's files, and what the first apply of each did."""

    plane: ControlPlane
    argocd: Path
    changes: list[Change]
    operator: Operator | None
    """CloudNativePG's, where its source can be had."""

    def sources(self) -> list[Path]:
        """What somebody without Argo CD applies too: the Applications, then each service's folder."""
        return [self.argocd / "apps.yaml", self.argocd / "apps", *sorted((self.argocd / "manifests").iterdir())]

    @cached_property
    def objects(self) -> list[Objects]:
        """Everything that was applied, as it was rendered and as it is now."""
        return self.plane.objects(*self.sources())


@pytest.fixture(scope="module", params=LABS)
def applied(
    request: pytest.FixtureRequest, programs: dict[str, Path], drift_programs: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Applied]:  # fmt: skip
    """A lab, applied once to a control plane of its own: labs have namespaces of the same names.

    Each namespace asks for the `restricted` Pod Security Standard and warns of what is not within.
    """
    if not CRDS.is_dir():
        pytest.skip("the published custom resource definitions are not here: expected in ../shared/crds")
    checked = check_folder(LABS[request.param])
    assert checked.passed
    folder = tmp_path_factory.mktemp(request.param)
    render(checked.passed).write(folder)
    with control_plane(programs) as plane:
        plane.install_crds(CRDS)
        operator = add_operator(plane, drift_programs["cnpg-webhook"]) if drift_programs else None
        made = Applied(plane, folder / "argocd", [], operator)
        names = {"argocd", *(path.name for path in (folder / "argocd" / "manifests").iterdir())}
        plane.apply("\n---\n".join(_namespace(name) for name in sorted(names)))
        for source in made.sources():
            made.changes.extend(plane.apply(source))
        yield made


def _namespace(name: str) -> str:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def test_every_object_is_taken(applied: Applied) -> None:
    """Nothing is refused and nothing is warned of (the fixture would have failed); each object is new."""
    assert {change.action for change in applied.changes} == {Action.CREATED}
    assert {"Application", "Deployment", "StatefulSet", "ExternalSecret"} <= {change.kind for change in applied.changes}


def test_a_second_time_changes_nothing(applied: Applied) -> None:
    """By the objects' fields and by kubectl's own diff, server-side."""
    for source in applied.sources():
        assert {change.action for change in applied.plane.apply(source)} == {Action.UNCHANGED}, source.name
        assert applied.plane.differs(source) == "", source.name


def test_what_is_there_is_what_was_rendered(applied: Applied) -> None:
    """Each custom resource, field by field: neither the API server nor a webhook has to add anything to it.

    But for two parts of a Cluster, which the operator chooses by its version, its settings and PostgreSQL's version.
    """
    compared = [each for each in applied.objects if _custom(each.described)]
    assert {"Application", "ExternalSecret"} <= {each.described["kind"] for each in compared}
    for each in compared:
        said = differences(each.described, _settled(each.live))
        asked = applied.operator and each.described["kind"] == "Cluster"
        assert [one.partition(":")[0] for one in said] == (["+ spec.monitoring", "+ spec.postgresql"] if asked else [])


@pytest.fixture(scope="module")
def argocd(drift_programs: dict[str, Path]) -> Path:
    """Argo CD's comparison, as a program."""
    if not drift_programs:
        pytest.skip("the source of Argo CD's comparison cannot be had")
    return drift_programs["argocd-diff"]


def test_argocd_finds_no_drift(applied: Applied, argocd: Path) -> None:
    """Of no object, of whatever kind, with all that the API server, webhooks and controllers added meanwhile."""
    assert drifted(applied.plane, argocd, applied.objects) == {}


def test_argocd_finds_no_drift_after_others_wrote(applied: Applied, argocd: Path) -> None:
    """One object of a kind: with finalizers, bound to a volume, being synced, written whole by an operator's types."""
    free = [each for each in applied.objects if "volumeName" not in each.described.get("spec", {})]
    touched = [
        each for each in {each.described["kind"]: each for each in free}.values() if each.described["kind"] in WRITTEN
    ]
    for each in touched:
        kind, about = each.described["kind"], each.described["metadata"]
        where = ["-n", about["namespace"]] if "namespace" in about else []
        patch = json.dumps(WRITTEN[kind])
        writes = ["--field-manager=manager", "--type=merge", "-p", patch]
        applied.plane.kubectl("patch", kind, about["name"], *where, *writes).must()
        if kind.startswith("Database") and applied.operator:
            (patched,) = applied.plane.objects(json.dumps(each.described))
            text = json.dumps(applied.operator.written_back(patched.live))
            applied.plane.kubectl("replace", "--field-manager=manager", "-f", "-", input=text).must()
    now = applied.plane.objects(*(json.dumps(each.described) for each in touched))
    assert [differences(old.live, new.live) for old, new in zip(touched, now, strict=True)].count([]) == 0
    assert drifted(applied.plane, argocd, now) == {}


def test_a_drift_is_found(applied: Applied, argocd: Path) -> None:
    """The tests above can fail: one field of one object of a kind, which somebody changed in the cluster."""
    wanted, changed = {}, []
    for kind, (path, value) in CHANGED.items():
        for each in [one for one in applied.objects if one.described["kind"] == kind][:1]:
            changed.append(copy.deepcopy(each))
            *above, last = path.split(".")
            functools.reduce(dict.__getitem__, above, changed[-1].live)[last] = value
            wanted[f"{kind} {each.described['metadata']['name']}"] = path
    found = drifted(applied.plane, argocd, changed)
    assert found.keys() == wanted.keys()
    assert all(any(path in said for said in found[about]) for about, path in wanted.items())


def _custom(manifest: dict[str, Any]) -> bool:
    """Whether a published definition says what it is."""
    group = manifest["apiVersion"].rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def _settled(live: dict[str, Any]) -> dict[str, Any]:
    """An object without what only the API server, and the status of which only controllers, write."""
    written = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
    metadata = {key: value for key, value in live["metadata"].items() if key not in written}
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}


def test_every_pod_is_let_in(applied: Applied) -> None:
    """The controllers make the pods of each workload, which an enforced standard would refuse."""
    for change in applied.changes:
        if change.kind in ("Deployment", "StatefulSet", "Job"):
            found = json.loads(
                applied.plane.kubectl("get", change.kind, change.name, "-n", change.namespace, "-o", "json").must()
            )
            labels = found["spec"]["template"]["metadata"]["labels"]
            applied.plane.kubectl(
                "wait", "--for=create", "pod", "-l", ",".join(f"{key}={value}" for key, value in labels.items()),
                "-n", change.namespace, "--timeout=30s",
            ).must()  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("runAsNonRoot: true", "runAsNonRoot: false", Warned, "runAsNonRoot"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", Warned, "allowPrivilegeEscalation"),
        ("failureThreshold:", "failureTreshold:", Refused, "field not declared in schema"),
        ("name: tmp\n              mountPath", "name: temp\n              mountPath", Refused, "Not found"),
    ],
)
def test_a_bad_workload_is_found(applied: Applied, old: str, new: str, error: type[Exception], words: str) -> None:
    """The tests above can fail: one word of a Deployment that they took, changed."""
    path = next(path for path in sorted(applied.argocd.rglob("deployment.yaml")))
    text = path.read_text()
    assert old in text
    with pytest.raises(error, match=words):
        applied.plane.apply(text.replace(old, new, 1).replace("metadata:\n  name: ", "metadata:\n  name: bad-", 1))


def test_a_bad_custom_resource_is_found(applied: Applied) -> None:
    """The published definitions are enforced: a role that PostgreSQL keeps for itself, a policy that is none."""
    text = next(path for path in sorted(applied.argocd.rglob("externalsecret.yaml"))).read_text()
    with pytest.raises(Refused, match="mergePolicy"):
        applied.plane.apply(text.replace("mergePolicy: Replace", "mergePolicy: Both"))
