"""A real API server takes what is rendered: all of it, without a warning, and a second time it changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from blumeops.checks.check import check_folder
from blumeops.render.kubernetes import render

from .conftest import CRDS
from .control_plane import ControlPlane, control_plane
from .kubectl import Action, Change, Refused, Warned

REPOSITORY = Path(__file__).resolve().parents[2]
LABS = {
    "first": REPOSITORY / "labs" / "first",
    **{name: REPOSITORY / "tests" / "golden" / "kubernetes" / "labs" / name for name in ("cnpg", "compose")},
}


@dataclass(frozen=True)
class Applied:
    """A lab's files, and what the first apply of each did."""

    plane: ControlPlane
    argocd: Path
    changes: list[Change]

    def sources(self) -> list[Path]:
        """What somebody without Argo CD applies too: the Applications, then each service's folder."""
        return [self.argocd / "apps.yaml", self.argocd / "apps", *sorted((self.argocd / "manifests").iterdir())]


@pytest.fixture(scope="module", params=LABS)
def applied(
    request: pytest.FixtureRequest, programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Applied]:
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
        made = Applied(plane, folder / "argocd", [])
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
    """By the objects' fields and by kubectl's own diff, server-side. (How Argo CD compares is not tried here.)"""
    for source in applied.sources():
        assert {change.action for change in applied.plane.apply(source)} == {Action.UNCHANGED}, source.name
        assert applied.plane.differs(source) == "", source.name


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
