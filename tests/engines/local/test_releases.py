"""Programs of a release: from a publisher's server into the cache that the labs share, and then a service."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.base.errors import EngineError, Unavailable
from blumeops.engines.local.engine import LocalEngine, local_engine
from blumeops.engines.local.programs import Programs, release
from blumeops.engines.local.programs.foresee import Fetchable, first_of
from blumeops.render.local_unit import Download, Health, LocalUnit, Port, PortPart, Source
from tests.engines.local import release_server
from tests.engines.local.conftest import get, secret, until
from tests.engines.local.release_server import Publisher, publishing

TOOL = b"#!/bin/sh\nexec /usr/bin/python3 -I -m http.server --bind 127.0.0.1 --directory / $1\n"


def packed(*members: tuple[str, bytes]) -> bytes:
    """A tar.gz."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


ARCHIVE = packed(("tool-1.0/tool-of-here", TOOL), ("tool-1.0/page", os.urandom(500_000)))


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A server with one release, as a tar and as the program itself."""
    with publishing() as made:
        made.files |= {"/1.0/tool.tar.gz": ARCHIVE, "/1.0/tool": TOOL}
        yield made


def source(publisher: Publisher, path: str = "/1.0/tool.tar.gz", content: bytes = ARCHIVE, **more: str) -> Source:
    """For this machine alone."""
    inside = {"archive": "tar", "folder": "tool-1.0", "program": "tool-of-here"} if path.endswith("gz") else {}
    given = {"url": publisher.url(path), "sha256": hashlib.sha256(content).hexdigest(), "name": "tool"}
    found = Download.model_validate(given | inside | more)
    return Source(kind="release", name="tool", downloads={release.platform(): found}, known="1.0")


def obtain(cache: Path, source: Source, version: str = "1.0") -> Path:
    """The program's path."""
    return Programs(cache).obtain([source], version, lambda line: None).binary("tool")


def test_an_archive_becomes_a_program(publisher: Publisher, state: Path) -> None:
    """By the name that the command calls; the second time nobody is asked, and nothing but the program is kept."""
    wanted = source(publisher)
    assert isinstance(found := first_of([wanted], "1.0", state), tuple)
    assert isinstance(found[1], Fetchable)
    assert wanted.downloads[release.platform()].url in found[1].words
    assert list(state.iterdir()) == []
    program = obtain(state, wanted)
    assert (program.read_bytes(), os.access(program, os.X_OK)) == (TOOL, True)
    assert obtain(state, wanted) == program
    assert len(publisher.asked) == 1
    assert not [path for path in (state / "downloads").iterdir() if not path.name.startswith(".")]
    assert not [path for path in (state / "unpacking").iterdir() if not path.name.startswith(".")]
    found = first_of([wanted], "1.0", state)
    assert isinstance(found, tuple)
    assert found[1] == Fetchable("fetched already")


def test_a_program_may_be_all_that_there_is(publisher: Publisher, state: Path) -> None:
    """Whatever it is called there."""
    program = obtain(state, source(publisher, "/1.0/tool", TOOL))
    assert (program.name, program.read_bytes(), program.stat().st_mode & 0o777) == ("tool", TOOL, 0o755)


def test_another_app_that_unpacks_it_otherwise_has_its_own(publisher: Publisher, state: Path) -> None:
    """The same download, with the program by another path in it."""
    first = obtain(state, source(publisher))
    second = obtain(state, source(publisher, program="page"))
    assert first != second
    assert first.read_bytes() == TOOL


def test_without_a_network_the_way_is_said(publisher: Publisher, state: Path) -> None:
    """The address and the command; what that command brings is taken, once it has the SHA-256."""
    wanted = source(publisher)
    publisher.behave["/1.0/tool.tar.gz"] = release_server.answering(503, {})
    with pytest.raises(Unavailable, match="BLU701") as caught:
        obtain(state, wanted)
    (download,) = wanted.downloads.values()
    file = state / "downloads" / download.sha256
    assert f"{download.url}: the server answers 503" in caught.value.message
    assert f"get it by: curl -fL -o {file} {download.url}" in caught.value.hint
    asked = len(publisher.asked)
    file.write_bytes(ARCHIVE)
    assert obtain(state, wanted).read_bytes() == TOOL
    assert len(publisher.asked) == asked


def test_a_server_that_is_away_is_asked_once(state: Path) -> None:
    """Not by each service that wants something of it; a minute later it is asked again."""
    with publishing() as gone:
        wanted = source(gone)
    with pytest.raises(Unavailable, match="Connection refused"):
        obtain(state, wanted)
    with pytest.raises(Unavailable, match="did not answer a moment ago"):
        obtain(state, wanted)
    release._away.clear()
    with pytest.raises(Unavailable, match="Connection refused"):
        obtain(state, wanted)
    release._away.clear()


@pytest.mark.skipif(not shutil.which("mount") or os.geteuid() != 0, reason="only root mounts a tmpfs")
def test_a_disk_that_fills_up_while_it_unpacks(publisher: Publisher, state: Path) -> None:
    """The download fits, what is in it does not: one error, and the disk is as it was."""
    content = packed(("tool-1.0/tool-of-here", TOOL), ("tool-1.0/zeros", bytes(4 << 20)))
    publisher.files["/1.0/tool.tar.gz"] = content
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", state], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        with pytest.raises(EngineError, match=r"BLU903.*No space left.*free some space"):
            obtain(state, source(publisher, content=content))
        assert not [path for path in state.rglob("*") if not path.is_dir() and not path.name.startswith(".")]
        assert not [path for path in (state / "programs").iterdir() if path.is_dir()]
    finally:
        subprocess.run(["umount", state], check=True)


def test_only_the_version_whose_sha256_is_known(publisher: Publisher, state: Path) -> None:
    """Another one is not asked for: the command that tells its SHA-256 is."""
    with pytest.raises(Unavailable, match=r"`sha256` are those of 1\.0, and 1\.1 is wanted") as caught:
        obtain(state, source(publisher), "1.1")
    assert "curl -fsSL" in caught.value.hint
    assert publisher.asked == []
    assert list(state.iterdir()) == []


def test_another_platforms_download_is_not_ours(publisher: Publisher, state: Path) -> None:
    """What lacks is named."""
    (found,) = source(publisher).downloads.values()
    other = Source(kind="release", name="tool", downloads={"plan9-mips": found}, known="1.0")
    with pytest.raises(Unavailable, match=f"names no download for {release.platform()}"):
        obtain(state, other)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (packed(("../out", b"")), "BLU735", "leads out of it"),
        (packed(("tool-1.0/other", b"")), "BLU735", "has no tool-1.0/tool-of-here in it"),
        (packed(("tool-1.0/tool", b""), ("tool-1.0/tool-of-here", b"")), "BLU735", "has tool too"),
        (b"<html>", "BLU735", "is no tar archive"),
    ],
)  # fmt: skip
def test_a_bad_archive_leaves_nothing(
    publisher: Publisher, state: Path, content: bytes, code: str, words: str
) -> None:  # fmt: skip
    """Though its SHA-256 is the one that is wanted."""
    publisher.files["/1.0/tool.tar.gz"] = content
    with pytest.raises(EngineError, match=words) as caught:
        obtain(state, source(publisher, content=content))
    assert caught.value.code == code
    assert not [path for path in state.rglob("*") if not path.is_dir() and not path.name.startswith(".")]
    assert not [path for path in (state / "programs").iterdir() if path.is_dir()]


def test_another_file_than_the_one_named(publisher: Publisher, state: Path) -> None:
    """No other source is tried then: somebody has to look."""
    publisher.files["/1.0/tool.tar.gz"] = b"hostile"
    with pytest.raises(EngineError, match="BLU734"):
        Programs(state).obtain([source(publisher), Source(kind="path", name="sh")], "1.0", print)
    assert not [path for path in state.rglob("*") if not path.is_dir() and not path.name.startswith(".")]


CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from blumeops.engines.local.programs import Programs
    from blumeops.render.local_unit import Source
    source = Source.model_validate_json(sys.argv[1])
    print(Programs(Path(sys.argv[2])).obtain([source], "1.0", print).binary("tool"))
""")


def child(source: Source, cache: Path) -> subprocess.Popen[str]:
    """Another process that obtains it."""
    argv = [sys.executable, "-c", CHILD, source.model_dump_json(), str(cache)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_two_at_once_download_once(publisher: Publisher, state: Path) -> None:
    """The second process says that it waits, and has the same."""
    release_it = threading.Event()
    publisher.behave["/1.0/tool.tar.gz"] = release_server.slowly(4, 0, release_it)
    wanted = source(publisher)
    first = child(wanted, state)
    until(lambda: publisher.asked)
    second = child(wanted, state)
    assert second.stdout
    assert "somebody else is downloading it" in second.stdout.readline()
    release_it.set()
    answers = [each.communicate(timeout=30)[0].splitlines()[-1] for each in (first, second)]
    assert answers[0] == answers[1]
    assert len(publisher.asked) == 1


def test_killed_while_it_downloads(publisher: Publisher, state: Path) -> None:
    """The next one has it, whole."""
    hold = threading.Event()
    publisher.behave["/1.0/tool.tar.gz"] = release_server.slowly(4, 0, hold)
    wanted = source(publisher)
    killed = child(wanted, state)
    until(lambda: publisher.asked)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    hold.set()
    publisher.behave.clear()
    assert obtain(state, wanted).read_bytes() == TOOL


def test_killed_while_it_unpacks(publisher: Publisher, state: Path) -> None:
    """What it had unpacked so far is nobody's: the next one takes it away."""
    left = state / "unpacking" / "release-left"
    (left / "tree").mkdir(parents=True)
    (left / "tree" / "half").write_bytes(b"")
    (left / ".in-use").touch()
    assert obtain(state, source(publisher)).read_bytes() == TOOL
    assert not left.exists()


@pytest.fixture
def own_engine(state: Path) -> Iterator[LocalEngine]:
    """An engine whose cache is its own."""
    cache = state / "cache"
    cache.mkdir(mode=0o755)
    made = local_engine(state / "site", secret, Programs(cache), 0.5)
    yield made
    made.stop_all([])


def test_it_runs_as_a_service(publisher: Publisher, own_engine: LocalEngine) -> None:
    """Another user runs it where we are root: what was unpacked is there for all."""
    unit = LocalUnit(
        unit="tool", app="tool", version="1.0", place="indri", sources=(source(publisher),),
        command=(("tool",), (PortPart(port="http"),)), ports={"http": Port()},
        health=Health(kind="http", port="http", path="/", within=20.0),
    )  # fmt: skip
    outcome = own_engine.apply(unit, lambda line: None)
    assert (outcome.action, outcome.reason) == ("started", "")
    port = own_engine.observe()["tool"].ports["http"]
    assert get(port, "/etc/hostname")[0] == 200
