"""A small change of the example lab is a small change of its files for site `home`: of all that is rendered."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.cli.render import LIST
from blumeops.render import ansible, kubernetes, tailscale
from tests.e2e.site import BLUMEOPS

EXAMPLE = Path(__file__).resolve().parents[2] / "labs" / "blumeops"
MANIFESTS = "argocd/manifests"
POLICY = "tailscale/policy.hujson"
"""It alone names lines of the lab: each entry is one of another service."""
ROUTES = "ansible/roles/caddy/templates/Caddyfile.j2"

CHANGES = {
    "a version": ('version: "2.2.6"', 'version: "2.2.7"', [f"{MANIFESTS}/miniflux/deployment.yaml"], 1),
    "an option": (
        "prometheus:        {cluster: minikube, options: {retention: 30d}}",
        "prometheus:        {cluster: minikube, options: {retention: 60d}}",
        [f"{MANIFESTS}/prometheus/statefulset.yaml"], 1,
    ),
    "an image": (
        "uptime-kuma:1.23.16", "uptime-kuma:1.23.17", [f"{MANIFESTS}/uptime/statefulset.yaml"], 1
    ),
    "a comment, which moves lines": ("miniflux:\n", "# Mine\nminiflux:\n", [POLICY], 16),
    "who may use it": (
        "minikube, name: dj, allow: [members]", "minikube, name: dj, allow: [household]",
        [POLICY], 6,
    ),
    "its name": (
        "  name: feed ", "  name: news ",
        [ROUTES, f"{MANIFESTS}/alloy-k8s/configmap.yaml", f"{MANIFESTS}/alloy-k8s/statefulset.yaml",
         *(f"{MANIFESTS}/miniflux/{file}.yaml" for file in ("deployment", "ingress", "networkpolicy")), POLICY],
        14,
    ),
    "a role's resources": (
        "zot:       {host: indri,", "zot:       {host: indri, resources: {memory: 1Gi},",
        ["ansible/roles/zot/templates/systemd.service.j2"], 1,
    ),
}  # fmt: skip
"""What is changed: the words, those in their place, the files that differ then, and at most how many of their lines."""


def rendered(lab: Path) -> FileTree:
    """Everything for `home`."""
    checked = check_folder(lab)
    assert checked.passed, checked.findings
    renderers = (ansible.render, kubernetes.render, tailscale.render)
    return FileTree({path: text for render in renderers for path, text in render(checked.passed).files.items()})


@pytest.fixture(scope="module")
def before() -> FileTree:
    """The example as it is."""
    return rendered(EXAMPLE)


@pytest.mark.parametrize("change", CHANGES)
def test_a_small_change_is_a_small_diff(change: str, before: FileTree, tmp_path: Path) -> None:
    """These files differ and no other; and of them few lines."""
    old, new, files, most = CHANGES[change]
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    _edit(tmp_path, old, new)
    after = rendered(tmp_path)
    assert set(after) == set(before)
    assert [path for path in after if after.files[path] != before.files[path]] == sorted(files)
    lines = [
        line
        for path in files
        for line in difflib.unified_diff(before.text(path).splitlines(), after.text(path).splitlines(), n=0)
        if line.startswith("+") and not line.startswith("+++")
    ]
    assert len(lines) <= most, lines


def test_a_second_render_writes_only_what_differs(tmp_path: Path) -> None:
    """The whole command: every other file is the one that was there, not a copy of it; nor is the list written anew."""
    lab, out = tmp_path / "lab", tmp_path / "out"
    shutil.copytree(EXAMPLE, lab)
    argv: list[str | Path] = [BLUMEOPS, "render", "--site", "home", "--lab", lab, "--out", out]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    for path in _files(out):
        os.utime(path, ns=(1, 1))
    first = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in _files(out)}
    assert out / LIST in first
    _edit(lab, 'version: "2.2.6"', 'version: "2.2.7"')
    said = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.split()
    second = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in _files(out)}
    changed = [path for path in second if second[path] != first.get(path)]
    assert changed == [out / MANIFESTS / "miniflux/deployment.yaml"]
    assert said == [str(path) for path in changed]
    assert subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout == ""


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _edit(lab: Path, old: str, new: str) -> None:
    (file,) = (path for path in (lab / "services").iterdir() if old in path.read_text())
    file.write_text(file.read_text().replace(old, new, 1))
