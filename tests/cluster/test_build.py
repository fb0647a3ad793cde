"""The cache of built programs, with a real compiler and a module of one file."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import time
from pathlib import Path

import pytest

from . import build


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module with one program, `hello`, in place of the real one, and an empty cache."""
    if build.go_version() is None:
        pytest.skip(build.NO_GO)
    folder = tmp_path / "module"
    (folder / "hello").mkdir(parents=True)
    (folder / "go.mod").write_text("module example.test/m\n\ngo 1.21\n")
    (folder / "go.sum").write_text("")
    (folder / "hello" / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    monkeypatch.setattr(build, "MODULE", folder)
    monkeypatch.setattr(build, "PROGRAMS", {"greeter": (".", "example.test/m/hello")})
    monkeypatch.setattr(build, "kubernetes_version", lambda: "v1.2.3")
    monkeypatch.setenv("BLUMEOPS_TEST_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.mark.usefixtures("module")
def test_a_program_is_built_once() -> None:
    """The second time is for free: the program is there, under our name for it, and nothing is said."""
    said: list[str] = []
    path = build.built(["greeter"], said.append)["greeter"]
    assert subprocess.run([path], capture_output=True, text=True, check=True).stderr == "hello\n"
    assert said
    said.clear()
    assert build.built(["greeter"], said.append) == {"greeter": path}
    assert said == []
    assert [one.name for one in path.parent.iterdir()] == ["greeter"]


def test_a_change_of_the_modules_builds_anew(module: Path) -> None:
    """Whoever raises a version does not test the old one by mistake."""
    old = build.built(["greeter"], _quiet)["greeter"]
    (module / "go.sum").write_text("\n")
    new = build.built(["greeter"], _quiet)["greeter"]
    assert new != old
    assert old.exists(), "another work tree may be using it"


def test_a_failed_build_says_why_and_leaves_nothing(module: Path) -> None:
    """The compiler's words, and a cache without half a program."""
    (module / "hello" / "main.go").write_text("package main\n\nfunc main() { absent() }\n")
    with pytest.raises(build.BuildError, match="undefined: absent"):
        build.built(["greeter"], _quiet)
    assert [path for path in build.cache().rglob("*") if path.is_file()] == [build.cache() / "lock"]


@pytest.mark.usefixtures("module")
def test_two_builds_at_once_wait_for_each_other() -> None:
    """One builds, the other finds it built: neither sees half of it, and the machine does it once."""
    context = multiprocessing.get_context("fork")  # the module's stand-in is in this process only
    said = context.SimpleQueue()
    builders = [context.Process(target=build.built, args=(["greeter"], said.put)) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert [builder.exitcode for builder in builders] == [0, 0, 0]
    lines = []
    while not said.empty():
        lines.append(said.get())
    assert len([line for line in lines if line.startswith("building")]) == 1


@pytest.mark.usefixtures("module")
def test_what_nobody_used_for_long_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version takes a quarter of a gigabyte: old ones go when a new one is built, used ones stay."""
    for name in ("old", "used"):
        (build.cache() / name).mkdir(parents=True)
    later = time.time() + (build.UNUSED_DAYS + 1) * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    os.utime(build.cache() / "used", (later, later))
    path = build.built(["greeter"], _quiet)["greeter"]
    assert {one.name for one in build.cache().iterdir()} == {"lock", "used", path.parent.name}


def test_without_go_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the one by which the tests are skipped."""
    monkeypatch.setenv("PATH", "/nonexistent")
    assert build.go_version() is None
    with pytest.raises(build.BuildError, match="Go is not installed"):
        build.built()


def test_an_unknown_program_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names that there are."""
    assert build.main(["kube-proxy"]) == 2
    assert "there are: etcd, kube-apiserver" in capsys.readouterr().err


def _quiet(_: str) -> None:
    """Say nothing."""
