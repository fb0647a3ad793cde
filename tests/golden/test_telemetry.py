"""What the example lab becomes for Prometheus, Alloy, Loki and Grafana, file by file, as each program finds them.

`UPDATE=1 pytest tests/golden/test_telemetry.py` writes the files anew: read the diff before you commit it. (That the
programs themselves take them, tests/engines/telemetry shows.)
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.render import ansible, kubernetes, local
from blumeops.render.local_unit import FolderPart

HERE = Path(__file__).resolve().parent / "telemetry"
LABS = HERE.parents[2] / "labs"
READERS = ("alloy-k8s", "grafana", "loki", "prometheus")


def found(lab: str) -> dict[str, str]:
    """The files of collectors, stores and Grafana: `SITE/SERVICE/FILE`."""
    checked = check_folder(LABS / lab).passed
    assert checked
    files = {}
    clusters, hosts, units = kubernetes.render(checked), ansible.render(checked), local.units(local.render(checked))
    for name in READERS:
        for key, text in _data(clusters, name).items():
            files[f"cluster/{name}/{key}"] = text
    for path in hosts:
        if path.startswith("ansible/roles/alloy/templates/config"):
            files[f"host/alloy/{Path(path).name}"] = hosts.text(path)
    for name, parts in units["prometheus"].files.items() if "prometheus" in units else ():
        said = [f"<{part.folder}/{part.name}>" if isinstance(part, FolderPart) else str(part) for part in parts]
        files[f"here/prometheus/{name}"] = "".join(said)
    return files


def _data(tree: FileTree, name: str) -> dict[str, str]:
    path = f"argocd/manifests/{name}/configmap.yaml"
    read: dict[str, str] = yaml.safe_load(tree.text(path))["data"] if path in tree.files else {}
    return read


@pytest.mark.parametrize("lab", ["blumeops", "first"])
def test_a_lab_becomes_these_files(lab: str) -> None:
    """None more, none less, byte by byte; a lab that watches nothing has none."""
    made, kept = found(lab), HERE / lab
    assert made == found(lab)
    if os.environ.get("UPDATE"):
        shutil.rmtree(kept, ignore_errors=True)
        for path, text in made.items():
            (kept / path).parent.mkdir(parents=True, exist_ok=True)
            (kept / path).write_text(text)
    there = {path.relative_to(kept).as_posix(): path.read_text() for path in kept.rglob("*") if path.is_file()}
    assert there == made


@pytest.mark.parametrize("path", sorted(found("blumeops")))
def test_every_file_says_where_it_is_from(path: str) -> None:
    """In its first lines, by the lab's file: but Loki's, which is the app's own."""
    text = found("blumeops")[path]
    head = "".join(text.splitlines(keepends=True)[:5])
    assert "erived" in head or path.startswith("cluster/loki/")


def test_a_collector_may_read_and_nothing_else() -> None:
    """Its objects are those that Kubernetes has, its pod uses the account, and no verb changes anything."""
    checked = check_folder(LABS / "blumeops").passed
    assert checked
    tree = kubernetes.render(checked)
    path = "argocd/manifests/alloy-k8s/"
    objects = list(yaml.safe_load_all(tree.text(f"{path}access.yaml")))
    (stateful,) = yaml.safe_load_all(tree.text(f"{path}statefulset.yaml"))
    for each in (*objects, stateful):
        kubernetes_validate.validate(each, "1.37", strict=True)
    account, role, binding = objects
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert not [rule for rule in role["rules"] if {"secrets", "nodes/proxy", "*"} & set(rule["resources"])]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (subject,) = binding["subjects"]
    assert (subject["name"], subject["namespace"]) == (account["metadata"]["name"], account["metadata"]["namespace"])
    pod = stateful["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (account["metadata"]["name"], True)
    others = [path for path in tree if path.endswith(("deployment.yaml", "statefulset.yaml")) and "alloy" not in path]
    assert others
    assert not [path for path in others if "automountServiceAccountToken: true" in tree.text(path)]
