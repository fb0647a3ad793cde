"""Names of images, the lock that a lab has of them, and where its digests end up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from blumeops.base.findings import Place
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.engines.local.programs import images
from blumeops.facts.images import of_manifests, used_images
from blumeops.lab import locked
from blumeops.lab.brought.model import Brought, Image
from blumeops.lab.images import parse_image, whole_name
from blumeops.lab.load import load
from blumeops.render import kubernetes, local

DIGEST = f"sha256:{'7' * 64}"
EXAMPLES = Path(__file__).parents[2] / "labs"
LAB = """\
lab: small
hosts: {box: {os: linux, role: compute}}
clusters: {cluster: {host: box}}
"""


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("grafana/loki:3.7.8", "docker.io/grafana/loki:3.7.8"),
        ("docker.io/library/postgres:18.6", "docker.io/library/postgres:18.6"),
        ("index.docker.io/postgres:18.6", "docker.io/library/postgres:18.6"),
        ("GHCR.io/kiwix/kiwix-tools:3.8.2", "ghcr.io/kiwix/kiwix-tools:3.8.2"),
        ("localhost/web:1", "localhost/web:1"),
        ("localhost:5000/web", "localhost:5000/web:latest"),
        ("registry.example.org:5000/a/b/c:v1", "registry.example.org:5000/a/b/c:v1"),
    ],
)
def test_the_whole_name(text: str, whole: str) -> None:
    """As Docker and Podman read it; a whole name is its own."""
    assert str(parse_image(text)) == whole_name(text) == whole
    assert whole_name(whole) == whole


@pytest.mark.parametrize(
    "text", [f"web:1@{DIGEST}", f"web@{DIGEST}", "Web:1", "web:1 ", "-x/web", "", "a" * 600, "web:1\n"]
)
def test_what_is_not_locked(text: str) -> None:
    """What names its digest already, and what is no image."""
    assert whole_name(text) == ""


def small(folder: Path, services: str, lock: str | None = None, cluster: str = "") -> Path:
    """A lab with these services."""
    (folder / "services").mkdir(parents=True)
    (folder / "lab.yaml").write_text(LAB + cluster)
    (folder / "services" / "services.yaml").write_text(services)
    if lock is not None:
        (folder / locked.NAME).write_text(lock)
    return folder


def images_of(folder: Path) -> set[str]:
    """What a lab runs."""
    return {each.image for each in used_images(load(folder).lab)}


def test_what_the_examples_run() -> None:
    """Whatever runs from an image anywhere; nothing that is built in here and installed at home."""
    assert images_of(EXAMPLES / "first") == {"docker.io/library/postgres:18.6", "docker.io/miniflux/miniflux:2.2.6"}
    found = images_of(EXAMPLES / "blumeops")
    assert {"ghcr.io/cloudnative-pg/postgresql:18.6", "docker.io/prom/prometheus:v3.14.0"} < found
    assert not [image for image in found if "forgejo" in image or "caddy" in image]


def test_another_version_has_its_own_tag(tmp_path: Path) -> None:
    """As the source writes it: with a `v`."""
    folder = small(tmp_path, 'zot: {cluster: cluster, version: "2.1.99"}\n')
    assert images_of(folder) == {"ghcr.io/project-zot/zot:v2.1.99"}


def rendered(lab: CheckedLab, path: str) -> str:
    """A file of a cluster's, with its folded lines joined."""
    return re.sub(r"\n +", " ", kubernetes.render(lab).text(f"argocd/manifests/{path}"))


def passed(folder: Path) -> CheckedLab:
    """A lab without errors."""
    found = check_folder(folder)
    assert found.passed, found.findings
    return found.passed


def test_a_digest_is_in_every_form(tmp_path: Path) -> None:
    """Behind the tag in manifests, instead of the tag for a runtime of this machine; the unit keeps both."""
    lock = f"docker.io/library/nginx:1.27: {DIGEST}\n"
    found = passed(small(tmp_path, "web: {cluster: cluster, image: 'nginx:1.27', state: none}\n", lock))
    assert not check_folder(tmp_path).findings
    assert f"image: nginx:1.27@{DIGEST} " in rendered(found, "web/deployment.yaml")
    unit = local.units(local.render(found))["web"]
    assert (unit.version, unit.sources[0].digest) == ("1.27", DIGEST)
    assert images.reference(unit.sources[0], unit.version) == f"nginx@{DIGEST}"


def test_without_a_lock_nothing_changes(tmp_path: Path) -> None:
    """The tag alone, and no finding."""
    found = passed(small(tmp_path, "web: {cluster: cluster, image: 'nginx:1.27', state: none}\n"))
    assert not check_folder(tmp_path).findings
    assert "image: nginx:1.27 " in rendered(found, "web/deployment.yaml")
    assert local.units(local.render(found))["web"].sources[0].digest is None


def test_a_digest_of_ones_own_stays(tmp_path: Path) -> None:
    """An `image:` that names it is pinned without any lock, and needs no line."""
    services = f"web: {{cluster: cluster, image: 'nginx:1.27@{DIGEST}', state: none}}\n"
    found = passed(small(tmp_path, services, locked.text({})))
    assert not check_folder(tmp_path).findings
    assert f"image: nginx:1.27@{DIGEST} " in rendered(found, "web/deployment.yaml")


def test_the_operators_image(tmp_path: Path) -> None:
    """CloudNativePG runs another image than the app names: that one is locked."""
    services = "cloudnative-pg: {cluster: cluster}\npostgresql: {cluster: cluster}\n"
    folder = small(tmp_path, services, f"ghcr.io/cloudnative-pg/postgresql:18.6: {DIGEST}\n")
    assert f"ghcr.io/cloudnative-pg/postgresql:18.6@{DIGEST} " in rendered(passed(folder), "postgresql/cluster.yaml")


def test_two_tags_of_one_name_in_a_folder() -> None:
    """Kustomize pins by the name alone: neither is locked, since one of the two would be wrong."""
    place = Place("own/pod.yaml", 1, 1)
    brought = Brought("manifests", "own", images=(Image("a/b:1", place), Image("a/b:2", place), Image("c/d:1", place)))
    assert of_manifests(brought) == {"c/d": ("docker.io/c/d:1", place)}


def test_the_text_of_a_lock_is_read_back(tmp_path: Path) -> None:
    """Names in order; what is written is what is read."""
    digests = {"docker.io/library/b:1": DIGEST, "docker.io/library/a:1.10": f"sha256:{'a' * 64}"}
    text = locked.text(digests)
    assert [line.partition(": ")[0] for line in text.splitlines() if not line.startswith("#")] == sorted(digests)
    assert load(small(tmp_path, "", text)).lab.locked == digests
