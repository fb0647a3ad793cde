"""What a container's runtime is told, and why there is none: users, networks, variables, registries that are away."""

from __future__ import annotations

import csv
import os
import shutil
import stat
from pathlib import Path

import pytest

from blumeops.base.errors import EngineError, Unavailable
from blumeops.engines.local.contained import Contained, clients_own, env_file
from blumeops.engines.local.folders import FIRST_USER, Account, Folders
from blumeops.engines.local.programs import images, runtime
from blumeops.engines.local.programs.found import Missing
from blumeops.engines.local.programs.image import Dialect, Image
from blumeops.render.local_unit import Container, FolderPart, HostPart, LocalUnit, Port, Source

NOBODY = Account(65534, 65534)
WEB = LocalUnit(
    unit="web", app="web", version="1", place="here", ports={"http": Port()}, state=("data",), memory=64 << 20,
    container=Container(ports={"http": 8080}, state={"data": "/data"}), env={"A": ("1",), "HOME": ("/data",)},
)  # fmt: skip


@pytest.fixture(autouse=True)
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Linux with slirp4netns."""
    monkeypatch.setattr(runtime, "macos", lambda: False)
    monkeypatch.setattr(runtime, "network", lambda: "slirp4netns:allow_host_loopback=true")
    monkeypatch.setattr(runtime, "limits", lambda: {"nofile": 1024})


def contained(dialect: Dialect, account: Account, unit: LocalUnit = WEB, user: int = 1234) -> Contained:
    """An instance of a unit."""
    image = Image(dialect=dialect, tool=(f"/usr/bin/{dialect}",), id="sha256:1", user=user, group=4321)
    return Contained(image, Folders(Path("/state, of two"), account), unit, "a", {"http": 20000})


def test_it_listens_on_loopback_only() -> None:
    """The port is published to 127.0.0.1, and no other is."""
    words = contained("podman", NOBODY).start((), {})
    assert [word for word in words if "publish" in word or word == "-p"] == ["--publish=127.0.0.1:20000:8080/tcp"]
    assert not any(word.startswith("--network=host") for word in words)


@pytest.mark.parametrize(
    ("dialect", "account", "user", "told", "outside"),
    [
        ("podman", NOBODY, 1234, "--user=1234:4321", Account(FIRST_USER + 1234, FIRST_USER + 4321)),
        ("podman", NOBODY, 0, f"--uidmap=0:{FIRST_USER}:65536", Account(FIRST_USER, FIRST_USER + 4321)),
        ("podman", Account(), 1234, "--userns=keep-id:uid=1234,gid=4321", Account()),
        ("podman", Account(), 0, "--user=0:4321", Account()),
        ("docker", NOBODY, 0, "--user=65534:65534", NOBODY),
        ("docker", Account(), 1234, f"--user={os.geteuid()}:{os.getegid()}", Account()),
    ],
)
def test_nobody_is_root_outside(dialect: Dialect, account: Account, user: int, told: str, outside: Account) -> None:
    """Whoever the image says it runs as, outside it is an unprivileged user, who has its files."""
    made = contained(dialect, account, user=user)
    words = made.start((), {})
    assert told in words
    assert made.account == outside
    assert "--cap-drop=all" in words
    assert "--security-opt=no-new-privileges" in words
    assert "--privileged" not in words


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another group")
def test_a_device_is_its_groups(tmp_path: Path) -> None:
    """No user of a namespace could open it: it runs as the services' user, in the device's group."""
    device = tmp_path / "device"
    device.touch()
    os.chown(device, -1, 44)
    form = Container(devices=(str(device),))
    made = contained("podman", NOBODY, WEB.model_copy(update={"container": form, "state": ()}))
    words = made.start((), {})
    assert f"--device={device}" in words
    assert "--group-add=44" in words
    assert "--user=65534:65534" in words
    assert not any(word.startswith("--uidmap") for word in words)


def test_a_command_takes_the_place_of_the_image_s() -> None:
    """The unit's own command replaces the image's program; arguments alone leave it."""
    own = contained("podman", NOBODY, WEB.model_copy(update={"command": (("serve",), ("--x",))}))
    words = own.start(("serve", "--x"), {})
    assert words[-3:] == ("--entrypoint=serve", "sha256:1", "--x")
    assert contained("podman", NOBODY).start(("--x",), {})[-2:] == ("sha256:1", "--x")
    assert contained("podman", NOBODY).start((), {})[-1] == "sha256:1"


def test_no_value_is_an_argument() -> None:
    """Variables are named; those that the client would take for its own come in a private file."""
    words = contained("podman", NOBODY).start((), {"TOKEN": "canary", "HOME": "canary2", "DOCKER_HOST": "canary3"})
    assert "--env=TOKEN" in words
    assert "--env-file=/state, of two/units/web/a/secrets/.environment" in words
    assert not any("canary" in word for word in words)
    assert env_file("web", {"TOKEN": "x", "HOME": "y"}) == {".environment": b"HOME=y\n"}
    assert env_file("web", {"TOKEN": "x"}) == {}
    with pytest.raises(EngineError) as caught:
        env_file("web", {"HOME": "a\nb"})
    assert caught.value.code == "BLU732"


@pytest.mark.parametrize("name", ["PATH", "HOME", "XDG_RUNTIME_DIR", "CONTAINERS_CONF", "LD_PRELOAD", "GODEBUG"])
def test_what_the_client_reads_is_not_the_service_s(name: str) -> None:
    """A service that has such a variable would change what its runtime does."""
    assert clients_own(name)
    assert not clients_own("LISTEN_ADDR")
    assert not clients_own("DATABASE_URL")


def test_a_path_with_a_comma_is_one_field() -> None:
    """Mounts are CSV."""
    words = contained("podman", NOBODY).start((), {})
    (mount,) = [word.removeprefix("--mount=") for word in words if word.startswith("--mount=")]
    assert next(csv.reader([mount])) == ["type=bind", "src=/state, of two/data/web/data", "dst=/data"]


def test_the_ways_out() -> None:
    """It is itself on its own loopback; another is reached through the gateway, which Docker has not."""
    podman, docker = contained("podman", NOBODY), contained("docker", NOBODY)
    assert podman.host(HostPart(host="listen")) == "0.0.0.0"
    assert podman.host(HostPart(host="reach")) == "127.0.0.1"
    assert podman.host(HostPart(host="reach", unit="db")) == runtime.GATEWAY
    with pytest.raises(Unavailable) as caught:
        docker.host(HostPart(host="reach", unit="db"))
    assert caught.value.code == "BLU701"
    assert "no way to this machine's loopback" in caught.value.message


def test_a_folder_that_is_not_there_is_told() -> None:
    """No text leads to a folder of this machine."""
    assert contained("podman", NOBODY).path(FolderPart(folder="state", name="data")) == "/data"
    with pytest.raises(EngineError) as caught:
        contained("podman", NOBODY).path(FolderPart(folder="upstreams", name="web"))
    assert caught.value.code == "BLU731"


@pytest.mark.parametrize(
    ("name", "version", "whole"),
    [
        ("docker.io/a/b", "1.2", "docker.io/a/b:1.2"),
        ("a/b@sha256", "ab" * 32, f"a/b@sha256:{'ab' * 32}"),
        ("a/b:1.2@sha256", "ab" * 32, f"a/b@sha256:{'ab' * 32}"),
        ("host:5000/b@sha256", "ab" * 32, f"host:5000/b@sha256:{'ab' * 32}"),
    ],
)
def test_an_image_is_named_by_tag_or_digest(name: str, version: str, whole: str) -> None:
    """A digest says all: a tag beside it is left out."""
    assert images.reference(Source(kind="container", name=name), version) == whole


def test_without_a_runtime_the_way_to_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the platform's own package manager."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert runtime.find() == Missing("neither Podman nor Docker is here", "sudo apt-get install podman")
    monkeypatch.setattr(runtime, "macos", lambda: True)
    assert "brew install podman" in runtime.find().command  # type: ignore[union-attr]  # Missing: asserted above


def script(folder: Path, name: str, text: str) -> None:
    """A program on PATH."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def test_a_runtime_that_does_not_run_is_no_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own words are told, and how to start it; the next one is taken instead where that answers."""
    script(tmp_path, "podman", "echo cannot connect to its machine >&2; exit 125")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    found = runtime.find()
    assert isinstance(found, Missing)
    assert "cannot connect to its machine" in found.reason
    script(tmp_path, "docker", "echo 27.0")
    other = runtime.find()
    assert isinstance(other, runtime.Runtime)
    assert other.dialect == "docker"


@pytest.mark.parametrize(
    ("pull", "why"),
    [
        ("echo Trying to pull a/b:1...; exec sleep 30", "does not answer within 0.3 s"),
        (
            "echo 'Error: initializing source docker://a.example/b:1: no such host' >&2; exit 125",
            "pulled: no such host",
        ),
    ],
)
def test_a_registry_that_is_away_costs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pull: str, why: str
) -> None:
    """Its time is bounded, the reason is short, and the next service does not wait for it again."""
    script(tmp_path, "podman", f"case $1 in info) echo runc;; image) exit 1;; pull) {pull};; esac")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(runtime, "_runc", lambda: ())
    monkeypatch.setattr(images, "FIRST_ANSWER", 0.3)
    monkeypatch.setattr(images, "_away", {})
    source = Source(kind="container", name="a.example/b")
    said: list[str] = []
    first, second = (images.obtained(source, "1", said.append) for _ in range(2))
    assert isinstance(first, Missing)
    assert why in first.reason
    assert first.command == "podman pull a.example/b:1"
    assert isinstance(second, Missing)
    assert second.reason == "is not here, and a.example did not answer a moment ago"
    assert said.count("pulling a.example/b:1") == 1
