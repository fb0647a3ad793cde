"""What happens to a site on a bad day: a full disk, a taken port, a damaged database. Each is made to happen."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.site import Clone, Site, make_site
from tests.e2e.test_first import eventually

pytestmark = pytest.mark.timeout(240)

SIZE = 300
"""Mebibytes of the small disk."""


@pytest.fixture(scope="module")
def disk(place: Path) -> Iterator[Path]:
    """A disk of its own that can be filled."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    folder = place / "disk"
    folder.mkdir(mode=0o711)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m,mode=711", "tmpfs", str(folder)], check=False)
    if made.returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def site(disk: Path) -> Iterator[Site]:
    """labs/first, whole on the small disk, and up."""
    made = make_site(disk)
    made.run("up")
    yield made
    made.run("down", code=None)


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Clone:
    """A clone that lies elsewhere."""
    return site.clone(place / "clone")


def fill(folder: Path) -> Path:
    """Take all that is left of the disk."""
    file = folder / "filling"
    with file.open("wb", buffering=0) as opened, suppress(OSError):
        while True:
            opened.write(b"\0" * 4096)
    return file


def test_a_full_disk_is_one_clear_error(site: Site, clone: Clone, disk: Path) -> None:
    """A push while nothing can be written: it says which path, what runs serves on, and no half file is left; with
    room again the same revision is applied."""
    process = site.process("miniflux").pid
    filling = fill(disk)
    try:
        clone.change("polling: 60m", "polling: 30m", "Poll twice an hour")
        done = clone.start_push()
        done.communicate(timeout=60)
        assert site.process("miniflux").pid == process
        assert site.serves()
        said = site.run("sync", code=None)
        assert said.returncode != 0
        words = said.stdout + said.stderr
        assert "No space left on device" in words
        assert str(disk) in words
        assert "Traceback" not in words
    finally:
        filling.unlink()
    clone.push()
    head = clone.git("rev-parse", "HEAD").strip()
    assert eventually(lambda: site.head() == head and (site.is_settled(head) or site.run("sync", code=None) is None))
    assert site.process("miniflux").environ()["POLLING_FREQUENCY"] == "30"
    left = [path for path in site.state.rglob(".*.*") if path.is_file() and path.parent.name != "work"]
    assert not [path for path in left if "postgresql" not in str(path) and "caddy" not in str(path)], left


def test_a_damaged_status_database_is_set_aside(site: Site) -> None:
    """Garbage in its place, and a controller that has to begin with it: all is told again, the old file is kept."""
    controller = site.controller()
    assert controller is not None
    database = site.state / "status.db"
    for file in site.state.glob("status.db*"):
        file.write_bytes(b"this is no database " * 500)
    controller.kill()
    assert eventually(lambda: site.run("status", code=None).returncode == 0, seconds=60)
    assert (site.state / "status.db.corrupt-1").read_bytes().startswith(b"this is no database")
    assert database.read_bytes().startswith(b"SQLite format 3")
    assert {name: unit["state"] for name, unit in site.units().items()} == {
        "caddy": "running", "miniflux": "running", "postgresql": "running",
    }  # fmt: skip
    assert site.serves()


def test_a_taken_port_is_told_with_its_holder(site: Site) -> None:
    """Somebody else listens where the proxy should: `up` names who, how to choose another, and brings up the rest."""
    site.run("down")
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", site.https))
        squatter.listen()
        done = site.run("up", code=1)
        words = done.stdout + done.stderr
        assert f"port {site.https}" in words
        assert f"(pid {os.getpid()})" in words
        units = site.units()
        assert (units["miniflux"]["state"], units["caddy"]["state"]) == ("running", "failed")
    assert site.run("sync").returncode == 0
    assert site.serves()


def test_the_proxys_port_is_taken(site: Site) -> None:
    """`up` and `status` name the holder and the line of lab.yaml that says another; free again, it is Caddy's again."""
    site.run("down")
    said = "; stop that, or choose another number: `here: {https: …}` in lab.yaml"
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", site.https))
        squatter.listen()
        done = site.run("up", code=1)
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("caddy: failed in ")]
        assert f"port {site.https} (https) is taken by " in line
        assert line.endswith(said)
        assert site.units()["caddy"]["reason"].endswith(said)
    site.run("up")
    assert site.serves()


def test_the_forges_port_is_taken(site: Site) -> None:
    """The controller cannot listen: `up` says so in one line and exits with 1; nothing is torn down."""
    site.run("down")
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", site.forge))
        squatter.listen()
        done = site.run("up", code=1)
        assert f"port {site.forge} (forge) is taken by" in done.stderr
        assert "; stop that, or choose another number: `here: {forge: …}` in lab.yaml" in done.stderr
        assert "Traceback" not in done.stderr
    site.run("up")
    assert site.serves()
