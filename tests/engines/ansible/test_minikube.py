"""The role of a minikube, run by the real Ansible on this machine, with a stand-in for the program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from blumeops.render import ansible
from tests.written import passed

LAB = """\
lab: small
hosts: {box: {os: linux, role: compute}}
clusters:
  pods: {host: box, cpus: 6, memory: 11Gi, network_policies: true}
  others: {host: box, kind: k3s}
"""
PROGRAM = """\
#!/bin/sh
echo "$@" >>"$STAND_IN/calls"
case $1 in
  status) test -f "$STAND_IN/runs" ;;
  start) touch "$STAND_IN/runs" ;;
esac
"""
PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  pre_tasks:
    - ansible.builtin.set_fact: {system: Elsewhere, cacheable: true}
  roles: [cluster_pods]
"""
"""What the role does on every system; what it installs on one, it does not install here."""


@pytest.fixture
def role(tmp_path: Path) -> Path:
    """The folder `ansible` of a lab, with a play that runs the role here."""
    folder = tmp_path / "ansible"
    tree = ansible.render(passed(tmp_path / "lab", {"lab.yaml": LAB, "services/s.yaml": "caddy: {host: box}\n"}))
    tree.write(tmp_path)
    (folder / "here.yml").write_text(PLAY)
    variables = {"cluster_pods_path": f"{tmp_path}:/usr/bin:/bin", "cluster_pods_more": ["--wait", "all"]}
    (folder / "roles/cluster_pods/vars/elsewhere.yml").write_text(json.dumps(variables))
    (tmp_path / "minikube").write_text(PROGRAM)
    (tmp_path / "minikube").chmod(0o755)
    return folder


def run(folder: Path, *words: str) -> int:
    """Run the play; how much it changed."""
    program = Path(sys.executable).parent / "ansible-playbook"
    env = {
        **os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_HOME": str(folder.parent / "home"),
        "STAND_IN": str(folder.parent), "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    argv: list[str | Path] = [
        program,
        "-i",
        "localhost,",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        "here.yml",
        *words,
    ]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"changed=(\d+)", done.stdout)
    assert found
    return int(found[1])


def test_a_cluster_is_made_once(role: Path) -> None:
    """With the size and the network that the lab says; in check mode nothing is, and the second run changes nothing."""
    calls = role.parent / "calls"
    assert run(role, "--check") == 0
    assert "start" not in calls.read_text()
    assert run(role) == 1
    made = "start --profile pods --cpus 6 --memory 11264mb --cni calico --driver docker --wait all"
    assert [line for line in calls.read_text().splitlines() if "start" in line] == [made]
    assert run(role) == 0
    assert calls.read_text().count("start") == 1
    (role.parent / "runs").unlink()  # somebody stopped it
    assert run(role) == 1


def test_what_starts_it_with_the_machine_says_the_same(role: Path) -> None:
    """The unit and the agent; the role is the last of its host, and another kind of cluster has none."""
    words = "{{ cluster_pods_start | join(' ') }} {{ cluster_pods_more | join(' ') }}"
    for file in ("systemd.service.j2", "launchd.plist.j2"):
        assert words in (role / "roles/cluster_pods/templates" / file).read_text()
    assert (role / "box.yml").read_text().endswith("    - role: cluster_pods\n      tags:\n        - cluster_pods\n")
    assert not (role / "roles/cluster_others").exists()
