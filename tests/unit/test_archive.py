"""Archives: good ones become trees, hostile ones are refused with their member's name, and write nothing outside."""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from blumeops.base.errors import EngineError
from blumeops.engines.local.programs.archive import Bounds, unpack

Member = tuple[str, bytes, int | str]
"""Name, content (or a link's target), and mode or the kind of link."""
SMALL = Bounds(members=20, size=1 << 20)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty folder, below which alone anything may be made."""
    folder = tmp_path / "outside" / "tree"
    folder.mkdir(parents=True)
    return folder


def tar(path: Path, members: list[Member], mode: str = "w:gz", **fields: object) -> Path:
    """A tar of these members; `fields`: set on every one."""
    kinds = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE,
             "folder": tarfile.DIRTYPE}  # fmt: skip
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is a table's
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            if isinstance(kind, str):
                info.type, info.linkname = kinds[kind], content.decode()
            else:
                info.mode, info.size = kind, len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(content) if not isinstance(kind, str) else None)
    return path


def zipped(path: Path, members: list[Member]) -> Path:
    """The same as a zip."""
    kinds = {"link": stat.S_IFLNK, "device": stat.S_IFCHR, "pipe": stat.S_IFIFO}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, kind in members:
            info = zipfile.ZipInfo(name)
            mode = kinds[kind] | 0o777 if isinstance(kind, str) else stat.S_IFREG | kind
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.NameToInfo.clear()  # it would warn of two by one name
            archive.writestr(info, content)
    return path


GOOD: list[Member] = [
    ("./tool-1.0/bin/tool", b"#!/bin/sh\n", 0o4777), ("tool-1.0/share/page", b"words", 0o600),
    ("tool-1.0/bin/alias", b"tool", "link"), ("tool-1.0/up", b"../tool-1.0/share", "link"),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:xz", "w:bz2", "zip"])
def test_a_good_archive_becomes_a_tree(tmp_path: Path, tree: Path, mode: str) -> None:
    """Its links lead where they lead; modes are ours: nobody else writes, everybody reads, and no setuid."""
    file = zipped(tmp_path / "a.zip", GOOD) if mode == "zip" else tar(tmp_path / "a.tar", GOOD, mode)
    before = os.umask(0o077)
    try:
        unpack(file, "zip" if mode == "zip" else "tar", tree)
    finally:
        os.umask(before)
    program, page = tree / "tool-1.0/bin/tool", tree / "tool-1.0/share/page"
    assert (program.read_bytes(), stat.S_IMODE(program.stat().st_mode)) == (b"#!/bin/sh\n", 0o755)
    assert (page.read_bytes(), stat.S_IMODE(page.stat().st_mode)) == (b"words", 0o644)
    assert (tree / "tool-1.0/bin/alias").resolve() == program
    assert (tree / "tool-1.0/up/page").read_bytes() == b"words"
    assert stat.S_IMODE((tree / "tool-1.0/bin").stat().st_mode) == 0o755


def test_a_second_name_of_a_file(tmp_path: Path, tree: Path) -> None:
    """A hard link of a tar to a file that it has."""
    unpack(tar(tmp_path / "a.tar", [("one", b"1", 0o644), ("d/two", b"one", "hard")]), "tar", tree)
    assert (tree / "d/two").read_bytes() == b"1"


HOSTILE: list[tuple[list[Member], str]] = [
    ([("/etc/x", b"", 0o644)], "leads out of it: '/etc/x'"),
    ([("../x", b"", 0o644)], "leads out of it: '../x'"),
    ([("a/../../x", b"", 0o644)], "leads out of it"),
    ([("x", b"/etc/passwd", "link")], "a link that leads out of it"),
    ([("x", b"../../etc", "link")], "a link that leads out of it"),
    ([("x", b"", "link")], "a link that leads out of it"),
    # `l` is within; `m` by its letters too, and is not where `l` leads
    ([("c/d/f", b"", 0o644), ("l", b"c", "link"), ("a/b", b"../l", "link"), ("m", b"a/b/../../..", "link")],
     "a link that leads out of it: 'm'"),
    ([("x", b"y", "link"), ("y", b"x", "link")], "a link that leads to itself: 'x'"),
    ([("d", b"..", "link"), ("d/x", b"", 0o644)], ""),
    ([("d", b".", "link"), ("d/x", b"", 0o644)], "twice"),
    ([("d", b".", "link"), ("d/x", b"y", "link")], "as a folder and as a file"),
    ([("x", b"1", 0o644), ("x", b"2", 0o644)], "has 'x' twice"),
    ([("x", b"1", 0o644), ("x/y", b"2", 0o644)], "as a folder and as a file"),
    ([("x/y", b"1", 0o644), ("x", b"2", 0o644)], "has 'x' twice"),
    ([("x", b"1", 0o644), ("x", b"y", "link")], "has 'x' twice"),
    ([("x", b"y", "link"), ("x", b"z", "link")], "has 'x' twice"),
    ([("dev", b"", "device")], "neither file, folder nor link: 'dev'"),
    ([("pipe", b"", "pipe")], "neither file, folder nor link: 'pipe'"),
    ([("a\nb", b"", 0o644)], "a strange name"),
    ([("x" * 2000, b"", 0o644)], "a strange name"),
    ([(f"f{n}", b"", 0o644) for n in range(30)], "more than 20 members"),
    ([("zeros", bytes(2 << 20), 0o644)], "more than 1 MiB"),
    ([(f"z{n}", bytes(100 << 10), 0o644) for n in range(15)], "more than 1 MiB"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "words"), HOSTILE)
@pytest.mark.parametrize("make", [tar, zipped])
def test_a_hostile_archive_is_refused(
    tmp_path: Path, tree: Path, make: Callable[[Path, list[Member]], Path], members: list[Member], words: str
) -> None:
    """With what is wrong in it; outside of the folder nothing is made or changed."""
    before = sorted(tmp_path.rglob("*"))
    file = make(tmp_path / "archive", members)
    with pytest.raises(EngineError, match="BLU735") as caught:
        unpack(file, "tar" if make is tar else "zip", tree, SMALL)
    assert words in caught.value.message
    outside = [path for path in sorted(tmp_path.rglob("*")) if not path.is_relative_to(tree) and path != file]
    assert outside == [path for path in before if path != tree]


def test_hard_links_lead_to_what_is_there(tmp_path: Path, tree: Path) -> None:
    """Not out of the tree, not to a link or a folder, and not to what comes later."""
    for target in (b"/etc/passwd", b"../x", b"later", b"l", b"d"):
        into = tree / target.hex()
        into.mkdir()
        members: list[Member] = [
            ("d/x", b"", 0o644),
            ("l", b"d/x", "link"),
            ("h", target, "hard"),
            ("later", b"", 0o644),
        ]
        with pytest.raises(EngineError, match="BLU735"):
            unpack(tar(tmp_path / "a.tar", members), "tar", into)


def test_headers_cannot_fill_the_memory(tmp_path: Path, tree: Path) -> None:
    """A member's attributes of many megabytes, which gzip makes small, are not read."""
    file = tar(tmp_path / "a.tar", [("x", b"", 0o644)], "w:gz", pax_headers={"comment": "x" * (8 << 20)})
    assert file.stat().st_size < 100_000
    with pytest.raises(EngineError, match="headers that are too large"):
        unpack(file, "tar", tree)


def test_a_member_says_less_than_it_has(tmp_path: Path, tree: Path) -> None:
    """What counts is what comes out."""
    file = zipped(tmp_path / "a.zip", [("x", bytes(3 << 20), 0o644)])
    data = bytearray(file.read_bytes())
    for signature, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        struct.pack_into("<L", data, data.find(signature) + at, 10)
    file.write_bytes(data)
    with pytest.raises(EngineError, match="BLU735"):
        unpack(file, "zip", tree, SMALL)
    assert sum(path.stat().st_size for path in tree.rglob("*")) <= SMALL.size


def test_a_list_of_members_that_is_too_large(tmp_path: Path, tree: Path) -> None:
    """It would be held in memory: what it says of its size counts before it is read."""
    file = zipped(tmp_path / "a.zip", [("x", b"1", 0o644)])
    data = bytearray(file.read_bytes())
    struct.pack_into("<L", data, data.rfind(b"PK\x05\x06") + 12, 0xFFFFFFF0)
    file.write_bytes(data)
    with pytest.raises(EngineError, match="list of members"):
        unpack(file, "zip", tree)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_what_is_no_archive_or_not_whole(tmp_path: Path, tree: Path, kind: str) -> None:
    """Every beginning of a good one is refused, and so is something else."""
    content: list[Member] = [("tool", os.urandom(3000), 0o755)]
    whole = (tar if kind == "tar" else zipped)(tmp_path / "archive", content).read_bytes()
    for number, data in enumerate((b"", b"<html>not found</html>", whole[:20], whole[: len(whole) // 2], whole[:-30])):
        (tmp_path / "bad").write_bytes(data)
        into = tree / str(number)
        into.mkdir()
        with pytest.raises(EngineError, match="BLU735"):
            unpack(tmp_path / "bad", kind, into)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_damaged_data_is_the_archives_fault(tmp_path: Path, tree: Path, mode: str) -> None:
    """And is not told as a disk that cannot be written, whatever the library of that compression raises."""
    data = bytearray(tar(tmp_path / "archive", [("tool", os.urandom(3000), 0o755)], mode).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(EngineError, match="BLU735"):
        unpack(tmp_path / "bad", "tar", tree)


def test_a_name_in_a_zip_that_is_no_text(tmp_path: Path, tree: Path) -> None:
    """It says that its names are UTF-8, and one is not."""
    data = zipped(tmp_path / "archive", [("é", b"1", 0o644)]).read_bytes()
    (tmp_path / "bad").write_bytes(data.replace("é".encode(), b"\xc3\xc3"))
    with pytest.raises(EngineError, match=r"BLU735.*not UTF-8"):
        unpack(tmp_path / "bad", "zip", tree)
