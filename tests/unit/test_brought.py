"""What a lab brings itself: references wherever they stand, hostile folders, and nonsense in manifests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blumeops.app import vault
from blumeops.base.site import SiteFolder
from blumeops.lab import yaml
from blumeops.lab.brought import folder
from blumeops.lab.brought.kustomization import Kustomized
from blumeops.lab.brought.references import references
from blumeops.render import ansible, kubernetes
from tests.written import check, passed, said, write

WEB = "web: {cluster: pods, manifests: web, state: none}\n"
ROLE = "web: {host: box, role: web, state: none}\n"
TASKS = "---\n- name: Greet\n  ansible.builtin.debug: {msg: Hello}\n"
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
SERVICES = "services/a.yaml"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("key: op://lab/web/key", ["op://lab/web/key"]),
        ("key: op://Home Lab/web/some key # why", ["op://Home Lab/web/some key"]),
        ("- 'op://Home Lab/web/key'", ["op://Home Lab/web/key"]),
        ("run: op read op://lab/web/key --no-newline", ["op://lab/web/key"]),
        ("X=op://lab/web/section/key", ["op://lab/web/section/key"]),
        ('{{ op_secrets["op://a/b/c"] ~ op_secrets["op://a/b/d"] }}', ["op://a/b/c", "op://a/b/d"]),
        ("# op://vault/item/field", []),
        ("when: \"'op://' in key\"", []),
    ],
)
def test_references_wherever_they_stand(line: str, found: list[str]) -> None:
    """In quotes, as a whole value, or as a word; comments name none."""
    named, wrong = references(f"first\n  {line}\n".encode(), "f")
    assert [each.reference for each in named] == found
    assert wrong == []
    assert all(each.place.line == 2 for each in named)
    assert [each.place.column for each in named][:1] == [3 + line.index("op://")][: len(found)]


@pytest.mark.parametrize(
    "line", ["op://lab/{{ item }}/key", "op://lab/$NAME/key", "op://lab/key", "op://lab/web/otp?attribute=otp"]
)
def test_what_cannot_be_read_beforehand_is_found(line: str) -> None:
    """Put together when it is read, or no reference: nobody could fetch it, and the inventory would not know it."""
    named, (wrong,) = references(f"x: {line}\n".encode(), "f")
    assert named == []
    assert (wrong.code, wrong.place.line, wrong.place.column) == ("BLU501", 1, 4)
    assert line not in str(wrong), "it may be a value"


def test_a_flood_of_wrong_references_is_bounded() -> None:
    """A file of nothing else costs a hundred findings."""
    _, wrong = references(b"op://x\n" * 10_000, "f")
    assert len(wrong) == 100


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../web", "BLU150"), ("/etc", "BLU150"), ("web/../../etc", "BLU150"), (".git", "BLU150"),
        ("argocd/manifests/web", "BLU150"), ("ansible/roles/web", "BLU150"), ("link", "BLU150"), ("lab.yaml", "BLU150"),
        ("web/inner", "BLU150"),
    ],
)  # fmt: skip
def test_only_folders_of_the_lab(tmp_path: Path, path: str, words: str) -> None:
    """Nothing outside, nothing through a link, nothing that is rendered there."""
    lab = write(tmp_path / "lab", {SERVICES: f"web: {{cluster: pods, manifests: {path}, state: none}}\n"})
    (lab / "link").symlink_to("services")
    (lab / "web").mkdir()
    (lab / "web/inner").symlink_to(tmp_path)
    found = check(lab, {SERVICES: f"web: {{cluster: pods, manifests: {path}, state: none}}\n"})
    assert [finding.code for finding in found.findings] == [words]


def test_what_lies_in_a_folder_and_is_no_file(tmp_path: Path) -> None:
    """Links, also to folders and to themselves, pipes and odd names; what is in `.git` is nobody's business."""
    write(tmp_path, {"web/a.yaml": OBJECT, "web/.git/config": "secret", "web/odd name/x": "", "web/sub/b.yaml": OBJECT})
    (tmp_path / "web/self").symlink_to("self")
    (tmp_path / "web/up").symlink_to("..")
    os.mkfifo(tmp_path / "web/pipe")
    codes = {(f.code, f.subject) for f in check(tmp_path, {SERVICES: WEB}).findings}
    assert codes == {
        ("BLU006", "web/self"), ("BLU006", "web/up"), ("BLU006", "web/pipe"), ("BLU150", "web/odd name"),
    }  # fmt: skip


def test_too_many_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told once, and nothing more is read."""
    monkeypatch.setattr(folder, "MOST_FILES", 3)
    monkeypatch.setattr(folder, "MOST_FOLDERS", 3)
    files = {f"web/{number}/a.yaml": OBJECT for number in range(5)}
    (many,) = said(tmp_path, {SERVICES: WEB, **files})
    assert "more than 3 folders" in many
    (many,) = said(tmp_path / "flat", {SERVICES: WEB, **{f"web/{number}.yaml": OBJECT for number in range(5)}})
    assert "more than 3 files" in many


def test_a_bomb_in_a_manifest(tmp_path: Path) -> None:
    """Aliases that expand to more than anybody reads, over all documents of a file together."""
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for one, other in zip("abcdef", "bcdefg", strict=True):
        bomb += f"{other}: &{other} [{', '.join([f'*{one}'] * 10)}]\n"
    (found,) = said(tmp_path, {SERVICES: WEB, "web/a.yaml": OBJECT, "web/b.yaml": f"{OBJECT}---\n{bomb}"})
    assert found.startswith("web/b.yaml")
    assert "BLU002" in found


def test_each_document_has_its_own_anchors_and_places() -> None:
    """An alias does not reach into the next document; lines are those of the file."""
    one, two = yaml.read_all(b"a: &x 1\nb: *x\n---\nc: {d: 2}\n", "f")
    assert (one.data, two.data, two.place("c", "d").line) == ({"a": 1, "b": 1}, {"c": {"d": 2}}, 4)
    (wrong,) = yaml.read_all(b"a: &x 1\n---\nb: *x\n", "f")
    assert (wrong.data, wrong.findings[0].code) == (None, "BLU001")
    assert [each.data for each in yaml.read_all(b"", "f")] == [None]


@pytest.mark.parametrize(
    ("change", "image", "becomes"),
    [
        ({"newTag": "2"}, "reg:5000/app", "reg:5000/app:2"), ({"newTag": "2"}, "reg:5000/app:1", "reg:5000/app:2"),
        ({"newName": "b"}, "reg:5000/app:1", "b:1"),
        ({"digest": "sha256:0"}, "reg:5000/app:1", "reg:5000/app@sha256:0"),
        ({}, "other:1", "other:1"),
    ],
)  # fmt: skip
def test_images_as_a_kustomization_leaves_them(change: dict[str, str], image: str, becomes: str) -> None:
    """https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/"""
    assert Kustomized(images={"reg:5000/app": change}).image(image) == becomes


def test_names_and_namespaces_as_a_kustomization_leaves_them(tmp_path: Path) -> None:
    """A prefix makes the Service that others look for; a namespace that is set there is that of every object."""
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: eb, namespace: kube-system}\nspec: {ports: [{port: 80}]}\n"
    )
    files = {
        SERVICES: "web: {cluster: pods, manifests: web, state: none, ports: {http: 80}}\n", "web/service.yaml": service,
        "web/kustomization.yaml": "namespace: web\nnamePrefix: w\nresources: [service.yaml]\n",
    }  # fmt: skip
    assert said(tmp_path, files) == []


def test_a_role_may_hold_anything(tmp_path: Path) -> None:
    """Bytes that are no text, and YAML with Ansible's own tags, are passed on."""
    files: dict[str, str | bytes] = {
        SERVICES: ROLE, "web/tasks/main.yml": TASKS, "web/files/logo.png": b"\x89PNG\xff\x00",
        "web/vars/main.yml": "---\nkey: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n",
    }  # fmt: skip
    tree = ansible.render(passed(tmp_path, files))
    assert tree.files["ansible/roles/web/files/logo.png"] == b"\x89PNG\xff\x00"


@pytest.mark.parametrize(
    ("spec", "level"),
    [
        ({"hostNetwork": True}, "privileged"),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/dev/dri"}}]}, "privileged"),
        ({"containers": [{"securityContext": {"privileged": True}}]}, "privileged"),
        ({"containers": [{"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}]}, "privileged"),
        ({"containers": [{"ports": [{"hostPort": 80}]}]}, "privileged"),
        ({"containers": [{"securityContext": {"capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}}}]}, "baseline"),
    ],
)
def test_the_namespace_lets_its_pods_start(tmp_path: Path, spec: dict[str, Any], level: str) -> None:
    """The strictest standard that does, by what the manifests ask for."""
    spec = {**spec, "containers": [{"name": "a", "image": "a:1", **each} for each in spec.get("containers", [{}])]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    tree = kubernetes.render(passed(tmp_path, {SERVICES: WEB, "web/pod.json": json.dumps(pod)}))
    assert f"pod-security.kubernetes.io/enforce: {level}\n" in tree.text("argocd/apps/web.yaml")


def test_rights_at_the_api_server_open_the_way_to_it(tmp_path: Path) -> None:
    """Pods that are bound to a role there would ask in vain otherwise: everything else is closed."""
    binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: web}\n"
    for files, asks in (({}, False), ({"web/b.yaml": binding}, True)):
        checked = passed(tmp_path, {SERVICES: WEB, "web/a.yaml": OBJECT, **files})
        text = kubernetes.render(checked).text("argocd/manifests/web/networkpolicy.yaml")
        assert ("web asks the API server" in text) is asks


def test_the_store_is_told_what_a_file_names(tmp_path: Path) -> None:
    """`secret check` finds the reference of a template at its line, and the store's own that it names is in use."""
    files = {SERVICES: ROLE, "web/tasks/main.yml": TASKS, "web/templates/a.j2": "x\n{{ op_secrets['op://lab/a/b'] }}\n"}
    lab = write(tmp_path / "lab", files)
    read = vault.read(SiteFolder(tmp_path / "state"), "small", lab, None)
    (found,) = vault.findings(read, SiteFolder(tmp_path / "state"), None)
    assert (found.code, str(found.place), found.severity) == ("BLU516", "web/templates/a.j2:2:16", "warning")
    assert "web.role needs it" in found.message


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
KEYS = (
    "apiVersion", "kind", "metadata", "spec", "items", "containers", "image", "volumes", "volumeMounts", "env", "data",
    "dataFrom", "secretStoreRef", "remoteRef", "name", "namespace", "ports", "resources", "images", "secretGenerator",
    "securityContext", "capabilities", "add", "persistentVolumeClaim", "hostPath", "patches", "helmCharts",
)  # fmt: skip
KINDS = ("List", "Secret", "Service", "ExternalSecret", "Pod", "StatefulSet", "Kustomization")
NESTED = st.recursive(
    VALUES | st.sampled_from(KINDS) | st.just("onepassword"),
    lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(what=NESTED, kind=st.sampled_from(KINDS), spec=NESTED, kustomized=st.booleans())
def test_nonsense_ends_in_findings(tmp_path: Path, what: Any, kind: str, spec: Any, kustomized: bool) -> None:
    """Whatever stands in a manifest or kustomization: findings, or a lab that renders; never an error of ours."""
    whole = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}
    documents = "---\n".join(json.dumps(each) + "\n" for each in (whole, what))
    kustomization = {"web/kustomization.yaml": json.dumps(what)} if kustomized else {"web/kustomization.yaml": "{}"}
    found = check(tmp_path, {SERVICES: WEB, "web/a.yaml": documents, **kustomization})
    if found.passed:
        kubernetes.render(found.passed)


def test_another_chart_of_a_part_of_the_cluster_keeps_what_is_around_it(tmp_path: Path) -> None:
    """The store before Connect stands beside whichever chart brings Connect."""
    chart = "{name: connect, repository: 'https://charts.example.org'}"
    text = f"onepassword-connect: {{app: onepassword-connect, cluster: pods, chart: {chart}, version: 2.0.3}}\n"
    tree = kubernetes.render(passed(tmp_path, {SERVICES: text}))
    assert "kind: ClusterSecretStore" in tree.text("argocd/manifests/onepassword-connect/clustersecretstore.yaml")
    application = tree.text("argocd/apps/onepassword-connect.yaml")
    assert "https://charts.example.org" in application
    assert 'targetRevision: "2.0.3"' in application
