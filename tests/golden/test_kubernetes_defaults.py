"""What an API server would fill in of the custom resources that are rendered, or leave out: nothing.

So what is in the cluster equals what is in Git, field by field, however Argo CD compares them. The definitions are of
the versions that tests/definitions.py names; a newer one may fill in more, which these tests say.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.render.kubernetes import render
from tests.definitions import differences, published, stored
from tests.golden.test_kubernetes import LABS, objects
from tests.written import passed

BROUGHT = Path(__file__).resolve().parent / "brought" / "rendered" / "argocd"
OWN = {"kustomize.config.k8s.io"}
"""Groups that are files for a program, and no objects of a cluster."""

BAD: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "Application": (("spec", "syncPolicy", "automated", "purge"), True, "- spec.syncPolicy.automated.purge: True"),
    "Cluster": (("spec", "replicationSlots"), {}, "+ spec.replicationSlots.updateInterval: 30"),
    "ClusterSecretStore": (("spec", "provider", "onepassword", "vault"), "lab", "- spec.provider.onepassword.vault"),
    "Database": (("spec", "extensions"), [{"name": "hstore"}], "+ spec.extensions[0].ensure: 'present'"),
    "DatabaseRole": (("spec", "connectionLimit"), None, "! spec.connectionLimit: None -> -1"),
    "ExternalSecret": (
        ("spec", "data", 0, "sourceRef"),
        {"generatorRef": {"kind": "UUID", "name": "a"}},
        "+ spec.data[0].sourceRef.generatorRef.apiVersion",
    ),
    "ScheduledBackup": (("spec", "method"), None, "! spec.method: None -> 'barmanObjectStore'"),
}
"""A value for each kind that an API server would not leave as it is, and what is then different."""

VARIANTS = {
    "instances": ("{instances: 3, postgresql: {parameters: {shared_buffers: 256MB}}}", {"Cluster"}),
    "volumes": ("{backup: {volumeSnapshot: {className: fast}}}", {"Cluster", "ScheduledBackup"}),
    "plugins": ("{plugins: [{name: a.example.org, isWALArchiver: true}, {name: b}]}", {"Cluster", "ScheduledBackup"}),
}
"""What a service's own block may say of a database, and the kinds of objects that it then is."""
LAB = """\
lab: small
hosts:
  box: {os: linux, role: compute}
  nas: {os: dsm, role: storage, address: 192.0.2.20, shares: {kept: {path: /kept, by: [ssh]}}}
clusters: {pods: {host: box}}
backup: {to: nas/kept, at: "03:30"}
"""


@cache
def customs() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Every custom resource of the golden labs that is ours: with its lab, kind and name."""
    found = [(lab, each) for lab in LABS for each in objects(lab)]
    found += [("brought", each) for each in _brought()]
    return tuple((f"{lab}: {each['kind']} {each['metadata']['name']}", each) for lab, each in found if _custom(each))


def _brought() -> Iterator[dict[str, Any]]:
    """What is beside the files that a lab brings: those are passed on as they are."""
    for path in sorted(BROUGHT.rglob("*.yaml")):
        if "own" not in path.parts:
            yield from yaml.safe_load_all(path.read_text())


def _custom(manifest: dict[str, Any]) -> bool:
    group = manifest["apiVersion"].rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io") and group not in OWN


def test_nothing_is_filled_in_or_left_out() -> None:
    """Each custom resource of all labs is stored as it was rendered."""
    said = {about: found for about, each in customs() if (found := differences(each, stored(each)))}
    assert said == {}


@pytest.mark.parametrize(("own", "kinds"), VARIANTS.values(), ids=VARIANTS)
def test_a_database_that_a_block_changes(own: str, kinds: set[str], tmp_path: Path) -> None:
    """With more instances, or a way of backup, the rest of it is still said whole."""
    services = f"cloudnative-pg: {{cluster: pods}}\npostgresql: {{cluster: pods, kubernetes: {{spec: {own}}}}}\n"
    tree = render(passed(tmp_path, {"lab.yaml": LAB, "services/all.yaml": services}))
    files = [path for path in tree if path.startswith("argocd/manifests/postgresql/")]
    found = [each for path in files for each in yaml.safe_load_all(tree.text(path)) if _custom(each)]
    assert {each["kind"] for each in found} == kinds
    for each in found:
        assert differences(each, stored(each)) == []


@pytest.mark.parametrize("own", ["{backup: later, plugins: {name: a}}", "{backup: [1], plugins: [a]}"])
def test_a_block_that_fits_no_schema_is_passed_on(own: str, tmp_path: Path) -> None:
    """What a person wrote is nothing to fill in; the cluster refuses it, in its own words."""
    services = f"cloudnative-pg: {{cluster: pods}}\npostgresql: {{cluster: pods, kubernetes: {{spec: {own}}}}}\n"
    tree = render(passed(tmp_path, {"services/all.yaml": services}))
    spec = yaml.safe_load(tree.text("argocd/manifests/postgresql/cluster.yaml"))["spec"]
    assert {key: spec[key] for key in ("backup", "plugins")} == yaml.safe_load(own)


@pytest.mark.parametrize("kind", BAD)
def test_what_would_be_changed_is_found(kind: str) -> None:
    """The tests above can fail, for each kind: a field not said, one in a list, a null, a name that is none."""
    path, value, words = BAD[kind]
    bad = copy.deepcopy(next(each for _, each in customs() if each["kind"] == kind))
    at: Any = bad
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert any(each.startswith(words) for each in differences(bad, stored(bad)))


def test_each_kind_has_such_a_value() -> None:
    """A kind that is new to the golden files has to show that it is compared."""
    assert {each["kind"] for _, each in customs()} == set(BAD)


def test_every_kind_is_defined() -> None:
    """No kind is left out because nobody published it."""
    for _, each in customs():
        assert published(each["apiVersion"], each["kind"])["properties"]["spec"]
