"""`blumeops lock` against a real registry: what is written, kept, moved and dropped, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from blumeops.checks.check import check_folder
from blumeops.lab import locked
from blumeops.render import local
from tests.cli.test_transcripts import run
from tests.engines.upstream.registry import Registry, running
from tests.ports import free_port

LAB = "lab: small\nhosts: {box: {os: linux, role: compute}}\nclusters: {cluster: {host: box}}\n"
MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: own}
spec: {containers: [{name: web, image: "IMAGE"}]}
"""


@pytest.fixture
def lab(tmp_path: Path, registry: Registry) -> Path:
    """A lab with an image, a Compose file and a manifest, all of which are in the registry."""
    folder = tmp_path / "lab"
    for each in ("services", "compose", "own"):
        (folder / each).mkdir(parents=True)
    for name in ("web", "composed", "own"):
        registry.image(name, "1", name)
    (folder / "lab.yaml").write_text(LAB)
    (folder / "services" / "services.yaml").write_text(
        f"web: {{cluster: cluster, image: '{registry.name}/web:1', state: none}}\n"
        "made: {host: box, compose: compose/made.yaml, state: none}\n"
        "own: {cluster: cluster, manifests: own, state: none}\n"
    )
    (folder / "compose" / "made.yaml").write_text(f"services: {{made: {{image: '{registry.name}/composed:1'}}}}\n")
    (folder / "own" / "pod.yaml").write_text(MANIFEST.replace("IMAGE", f"{registry.name}/own:1"))
    return folder


def lock(lab: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it in the lab."""
    return run(" ".join(("blumeops lock --lab TMP", *words)), lab)


def lines(lab: Path) -> dict[str, str]:
    """What is locked, by the image's name without registry."""
    text = (lab / locked.NAME).read_text()
    assert text.startswith(locked.HEADER)
    rows = [line.split(": ") for line in text.removeprefix(locked.HEADER).splitlines()]
    assert rows == sorted(rows)
    return {image.partition("/")[2]: digest for image, digest in rows}


def test_every_image_is_locked(lab: Path, registry: Registry) -> None:
    """Of services, Compose files and manifests; a second time nothing changes; and what is rendered has the digests."""
    done = lock(lab)
    assert done.returncode == 0, done.stderr
    made = {f"{name}:1": registry.image(name, "1", name) for name in ("web", "composed", "own")}
    assert lines(lab) == made
    assert done.stdout.count("is locked") == 3
    again = lock(lab)
    assert (again.returncode, again.stdout) == (0, "")
    assert "stays as it is: 3 of 3" in again.stderr
    assert "BLU13" not in run("blumeops check --lab TMP", lab).stdout
    run("blumeops render --lab TMP --out TMP/out", lab)
    argocd = lab / "out" / "argocd" / "manifests"
    deployment = yaml.safe_load((argocd / "web" / "deployment.yaml").read_text())
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"{registry.name}/web:1@{made['web:1']}"
    kustomization = yaml.safe_load((argocd / "own" / "kustomization.yaml").read_text())
    assert kustomization["images"] == [{"name": f"{registry.name}/own", "digest": made["own:1"]}]
    kubectl = Path(sys.executable).parent / "kubectl"
    built = subprocess.run([kubectl, "kustomize", argocd / "own"], capture_output=True, text=True, check=True).stdout
    assert f"image: {registry.name}/own@{made['own:1']}\n" in built
    passed = check_folder(lab).passed
    assert passed
    assert local.units(local.render(passed))["made"].sources[0].digest == made["composed:1"]


def test_with_check_nothing_is_written(lab: Path) -> None:
    """It says what would change, and exits with 3; with 0 once nothing would."""
    done = lock(lab, "--check")
    assert (done.returncode, done.stdout.count("is locked")) == (3, 3)
    assert not (lab / locked.NAME).exists()
    assert lock(lab).returncode == 0
    assert lock(lab, "--check").returncode == 0


def test_a_tag_that_moved(lab: Path, registry: Registry) -> None:
    """Both digests are shown: somebody put something else there."""
    lock(lab)
    before = lines(lab)["web:1"]
    after = registry.image("web", "1", "something else")
    done = lock(lab)
    assert done.stdout == f"{registry.name}/web:1 means something else now\n  - {before}\n  + {after}\n"
    assert lines(lab)["web:1"] == after


def test_what_is_run_no_more_is_dropped(lab: Path) -> None:
    """And `check` warns of it before."""
    lock(lab)
    services = lab / "services" / "services.yaml"
    services.write_text("".join(services.read_text().splitlines(True)[1:]))
    assert "BLU133" in run("blumeops check --lab TMP", lab).stdout
    done = lock(lab)
    assert (done.returncode, "is run by nothing" in done.stdout) == (0, True)
    assert set(lines(lab)) == {"composed:1", "own:1"}


def test_a_registry_that_is_away(lab: Path, registry: Registry) -> None:
    """Its images keep their lines, others get theirs; the exit code says that it is not all."""
    lock(lab)
    kept = lines(lab)["web:1"]
    services = lab / "services" / "services.yaml"
    port = free_port()
    text = services.read_text() + f"gone: {{cluster: cluster, image: '127.0.0.1:{port}/gone:1', state: none}}\n"
    services.write_text(text)
    after = registry.image("web", "1", "something else")
    done = lock(lab)
    assert done.returncode == 4
    assert (
        f"services/services.yaml:4:33: gone: 127.0.0.1:{port}/gone:1: Connection refused; it stays unlocked"
        in done.stderr
    )
    assert (lines(lab)["web:1"], set(lines(lab))) == (after, {"web:1", "composed:1", "own:1"})
    services.write_text(text.replace(registry.name, f"127.0.0.1:{port}"))
    old = (lab / locked.NAME).read_text().replace(registry.name, f"127.0.0.1:{port}")
    (lab / locked.NAME).write_text(old)
    done = lock(lab)
    assert (done.returncode, "its line stays" in done.stderr, lines(lab)["web:1"]) == (4, True, after)
    assert kept != after


def test_an_image_that_is_not_there(lab: Path) -> None:
    """That is the description's mistake: 1, and the others are locked."""
    services = lab / "services" / "services.yaml"
    services.write_text(services.read_text().replace("/web:1", "/web:2"))
    done = lock(lab, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(each["image"].partition("/")[2], each["state"]) for each in told["images"]] == [
        ("composed:1", "added"), ("own:1", "added"), ("web:2", "refused"),
    ]  # fmt: skip
    assert told["images"][2]["reason"] == "the registry has no such image"
    assert (told["changed"], told["file"], set(lines(lab))) == (True, locked.NAME, {"composed:1", "own:1"})


def test_no_file_where_nothing_could_be_had(tmp_path: Path) -> None:
    """An empty lock would only warn of every image from then on."""
    (tmp_path / "services").mkdir()
    (tmp_path / "lab.yaml").write_text(LAB)
    image = f"127.0.0.1:{free_port()}/web:1"
    (tmp_path / "services" / "s.yaml").write_text(f"web: {{cluster: cluster, image: '{image}', state: none}}\n")
    assert lock(tmp_path).returncode == 4
    assert not (tmp_path / locked.NAME).exists()


def test_a_lock_that_is_broken_is_written_anew(lab: Path) -> None:
    """Nobody has to mend by hand what a command writes; what else is wrong is mended first."""
    (lab / locked.NAME).write_text("web: 1\n")
    assert run("blumeops check --lab TMP", lab).returncode == 1
    assert lock(lab).returncode == 0
    assert len(lines(lab)) == 3
    (lab / "services" / "services.yaml").write_text("web: {cluster: elsewhere, image: 'web:1', state: none}\n")
    done = lock(lab)
    assert (done.returncode, "BLU134" in done.stderr) == (1, True)
    assert len(lines(lab)) == 3


def test_a_lock_that_cannot_be_written(lab: Path) -> None:
    """One line that names it, and what was there stays."""
    (lab / locked.NAME).mkdir()
    done = lock(lab)
    assert done.returncode == 1
    assert "BLU006" in done.stderr or "BLU134" in done.stderr


def test_a_registry_that_comes_back(tmp_path: Path, lab: Path) -> None:
    """What was away before is locked then."""
    port = free_port()
    services = lab / "services" / "services.yaml"
    services.write_text(f"web: {{cluster: cluster, image: '127.0.0.1:{port}/web:1', state: none}}\n")
    assert lock(lab).returncode == 4
    folder = tmp_path / "second"
    folder.mkdir()
    with running(folder, port) as second:
        made = second.image("web", "1")
        assert lock(lab).returncode == 0
    assert lines(lab) == {"web:1": made}
