"""A lab that brings its own: charts, manifests, kustomizations and roles, and that real programs take what it becomes.

`UPDATE=1 pytest tests/golden/test_brought.py` writes the files anew: read the diff before you commit it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from blumeops.checks.check import CheckedLab, check_folder
from blumeops.render import ansible, kubernetes, local
from blumeops.secrets.inventory import inventory
from tests.golden.test_ansible import run
from tests.golden.test_kubernetes import kustomize, validate

HERE = Path(__file__).resolve().parent / "brought"
LAB = HERE / "lab"
POLICIES = ["NetworkPolicy"] * 3
"""Nothing goes in or out; what the description opens; and what the pods of the folder say to each other."""


@cache
def checked() -> CheckedLab:
    """The lab, of which nothing is said."""
    found = check_folder(LAB)
    assert found.passed
    assert found.findings == ()
    return found.passed


@cache
def files() -> dict[str, bytes]:
    """All that it becomes for clusters and hosts."""
    return {**kubernetes.render(checked()).files, **ansible.render(checked()).files}


def test_the_lab_becomes_these_files() -> None:
    """The rendered tree is the golden one, byte for byte, no file more and none less."""
    folder = HERE / "rendered"
    if os.environ.get("UPDATE"):
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in files().items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text)
    golden = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {**files()} == golden


@pytest.mark.parametrize(
    ("brought", "rendered"),
    [
        ("manifests/uptime", "argocd/manifests/uptime/own"), ("manifests/wiki", "argocd/manifests/wiki/own"),
        ("roles/motd", "ansible/roles/motd"), ("roles/proxy", "ansible/roles/caddy"),
    ],
)  # fmt: skip
def test_what_is_brought_is_passed_on_as_it_is(brought: str, rendered: str) -> None:
    """Every file of the folder, every byte of it, and nothing of ours among them."""
    theirs = {str(path.relative_to(LAB / brought)): path.read_bytes() for path in (LAB / brought).rglob("*.*")}
    ours = {path.removeprefix(f"{rendered}/"): text for path, text in files().items() if path.startswith(rendered)}
    assert ours == theirs


def test_kustomize_builds_each_folder_and_kubernetes_takes_it() -> None:
    """The real kubectl finds the objects of the lab and ours; each fits its schema, and images are pinned by then."""
    found = {}
    for folder in sorted((HERE / "rendered/argocd/manifests").iterdir()):
        built = kustomize(folder)
        assert built.returncode == 0, built.stderr
        found[folder.name] = list(yaml.safe_load_all(built.stdout))
        for each in found[folder.name]:
            validate(each)
    kinds = {name: sorted(each["kind"] for each in objects) for name, objects in found.items()}
    assert kinds["uptime"] == ["ExternalSecret", "ExternalSecret", "Ingress", *POLICIES, "Service", "StatefulSet"]
    assert kinds["wiki"] == ["ConfigMap", "Deployment", "Ingress", *POLICIES, "Service"]
    deployment = next(each for each in found["wiki"] if each["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "docker.io/library/nginx:1.29.3-alpine"
    assert [each.image for each in checked().lab.brought["wiki"].images] == ["docker.io/library/nginx:1.29.3-alpine"]


def test_every_application_fits_its_schema() -> None:
    """That of the chart too, with its values as text."""
    for path in (HERE / "rendered/argocd/apps").iterdir():
        validate(yaml.safe_load(path.read_text()))
    source = yaml.safe_load(files()["argocd/apps/podinfo.yaml"])["spec"]["sources"][0]
    assert source["targetRevision"] == "6.9.1"
    assert source["helm"]["values"] == (LAB / "charts/podinfo.yaml").read_text()


@pytest.mark.timeout(180)
def test_ansible_takes_the_playbook(tmp_path: Path) -> None:
    """Syntax, and ansible-lint with its strictest profile, as of our own roles."""
    ansible.render(checked()).write(tmp_path)
    done = run(tmp_path / "ansible", "ansible-playbook", "--syntax-check", "server.yml")
    assert (done.returncode, done.stderr) == (0, "")
    done = run(tmp_path / "ansible", "ansible-lint", "--offline", "--profile", "production", "--nocolor", ".")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(120)
def test_the_role_is_given_its_secrets(tmp_path: Path) -> None:
    """The real ansible-playbook runs it here, with an `op` that answers each reference: both arrive in its template."""
    tree = ansible.render(checked())
    tree.write(tmp_path)
    (tmp_path / "bin").mkdir()
    op = tmp_path / "bin/op"
    op.write_text('#!/bin/sh\nprintf "value of %s" "$3"\n')
    op.chmod(0o755)
    folder = tmp_path / "ansible"
    env = {
        **os.environ, "PATH": f"{op.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    command = [
        str(Path(sys.executable).parent / "ansible-playbook"), "server.yml", "--tags", "motd", "--connection", "local",
        "-e", f"ansible_python_interpreter={sys.executable} motd_file={tmp_path}/motd ansible_become=false",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "motd").read_text() == (
        "Key: value of op://own/motd/api-key\nOther: value of op://Home Lab/motd/other\n"
    )


def test_the_inventory_knows_every_reference_with_its_line() -> None:
    """Those that stand in the files as well: where, and who fetches them at `home`."""
    entries = {str(entry.reference): entry for entry in inventory(checked().lab, checked().facts)}
    found = {
        reference: (use.subject, str(use.place), use.here, use.home)
        for reference, entry in entries.items()
        for use in entry.uses
        if use.service in checked().lab.brought
    }
    assert found == {
        "op://Home Lab/motd/other": (
            "motd.role", "roles/motd/templates/motd.j2:2:23", (), "`op read` by the playbook of server",
        ),
        "op://own/mail/smtp-password": (
            "uptime.manifests", "manifests/uptime/mail.yaml:10:18", (), "an ExternalSecret of its own in cluster",
        ),
        "op://own/motd/api-key": (
            "motd.api-key", "services/server.yaml:12:22", (), "`op read` by the playbook of server",
        ),
        "op://own/uptime/token": (
            "uptime.token", "services/cluster.yaml:11:20", (), "ExternalSecret in uptime of cluster",
        ),
    }  # fmt: skip
    assert entries["op://Home Lab/motd/other"].recipe is None, "nobody knows what the role does with it"


def test_here_they_are_unavailable_unless_an_app_says_how() -> None:
    """Each with its reason; the service whose role only replaces the catalogue's runs as the catalogue says."""
    units = local.units(local.render(checked()))
    reasons = {name: unit.unavailable for name, unit in units.items() if name in checked().lab.brought}
    assert reasons == {
        "caddy": "", "motd": "its role sets up a host, and nothing here is changed by one",
        "podinfo": "its chart needs a cluster", "uptime": "its manifests need a cluster",
        "wiki": "its manifests need a cluster",
    }  # fmt: skip
    assert units["caddy"].command
