"""Pushes that want to harm: each is refused with one clear line, in bounded time and memory, and leaves nothing."""

from __future__ import annotations

import hashlib
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.engines.forge.live import Client, Live

FILE, LINK = "100644", "120000"
Entries = list[tuple[str, str, str]]


def link(target: str, path: str = "services/link") -> Callable[[Client], Entries]:
    """A tree with one symbolic link."""
    return lambda client: [(LINK, client.blob(target.encode()), path)]


def named(*paths: str) -> Callable[[Client], Entries]:
    """A tree of small files with these names."""
    return lambda client: [(FILE, blob, path) for blob in [client.blob(b"x")] for path in paths]


def sized(size: int, count: int = 1) -> Callable[[Client], Entries]:
    """A tree of `count` highly compressible files."""
    return lambda client: [(FILE, blob, f"{at}.bin") for blob in [client.blob(bytes(size))] for at in range(count)]


HOSTILE = {
    "absolute link": (link("/etc/passwd"), "BLU610"),
    "link out of the tree": (link("../../etc/passwd"), "BLU610"),
    "link that climbs through another": (link("x/../../../etc"), "BLU610"),
    "link into .git": (link("../.git/config"), "BLU610"),
    "link with a long target": (link("a/" * 1000), "BLU610"),
    "submodule": (lambda client: [("160000", "1" * 40, "module")], "BLU611"),
    "newline": (named("a\nb.yaml"), "BLU612"),
    "escape": (named("a\x1b[2J.yaml"), "BLU612"),
    "backslash": (named("a\\..\\b.yaml"), "BLU612"),
    "not UTF-8": (named("a\udcff.yaml"), "BLU612"),
    "right-to-left": (named("a\u202elmay.b"), "BLU612"),
    "long name": (named("a" * 250), "BLU612"),
    "deep": (named("a/" * 40 + "b"), "BLU612"),
    "case": (named("Lab.yaml", "lab.yaml"), "BLU613"),
    "case of a folder": (named("Services/a", "services/b"), "BLU613"),
    "composed and decomposed": (named("caf\u00e9", "cafe\u0301"), "BLU613"),
    "20 MB": (sized(20 << 20), "BLU615"),
    "100 MB": (sized(100 << 20), "BLU615"),
    "30 times 4 MB": (sized(4 << 20, 30), "BLU617"),
    "30,000 files": (named(*(f"{at}.yaml" for at in range(30_000))), "BLU616"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_tree_is_refused(forge: Live, client: Client, case: str) -> None:
    """Each hostile tree is refused with its code at its path; on main and on any other branch."""
    entries, code = HOSTILE[case]
    revision = client.commit_raw(entries(client))
    for ref in ("main", "idea"):
        status, seen = client.push(f"{revision}:refs/heads/{ref}")
        assert status == 1, seen
        assert f"{code} repository: " in seen
        assert f"remote: refused: {ref} stays where it was" in seen
        assert "\x1b[2J" not in seen
        assert "\u202e" not in seen
    assert client.git("ls-remote", "origin") == ""


def test_a_hundred_thousand_files(forge: Live, client: Client) -> None:
    """They weigh next to nothing in a pack. They are refused long before all are listed, and neither git nor the
    controller grows with them."""
    lines = "".join(f"M 100644 :1 {at // 1000}/{at}.yaml\n" for at in range(100_000))
    stream = f"blob\nmark :1\ndata 1\nx\ncommit refs/heads/many\ncommitter me <me@x> 0 +0000\ndata 1\nx\n{lines}\n"
    client.git("fast-import", "--quiet", stdin=stream.encode())
    before, started = psutil.Process().memory_info().rss, time.monotonic()
    with memory_of_git() as seen:
        status, said = client.push("many:refs/heads/main")
    assert status == 1, said
    assert "BLU616 repository: has more than 20,000 files and folders" in said
    assert time.monotonic() - started < 15
    assert psutil.Process().memory_info().rss - before < 64 << 20
    assert 0 < max(seen) < 200 << 20
    assert client.git("ls-remote", "origin") == ""


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".g\u200cit"])
def test_git_folder_in_a_tree_is_refused(forge: Live, client: Client, name: str) -> None:
    """Names that some file system takes for `.git` never land."""
    blob = client.blob(b"x")
    inner = client.git("mktree", "-z", stdin=f"{FILE} blob {blob}\tconfig\0".encode())
    tree = client.git("mktree", "-z", stdin=f"040000 tree {inner}\t{name}\0".encode())
    status, seen = client.push(f"{client.git('commit-tree', '-m', 'x', tree)}:refs/heads/main")
    assert status == 1, seen
    assert forge.repository.head() is None


def test_harmless_oddities_land(forge: Live, client: Client) -> None:
    """Links within the tree, spaces, other alphabets and programs are no crime."""
    entries = [
        (LINK, client.blob(b"../README.md"), "docs/readme"),
        (LINK, client.blob(b"docs"), "d"),
        ("100755", client.blob(b"#!/bin/sh\n"), "run me.sh"),
        (FILE, client.blob(b"x"), "README.md"),
        (FILE, client.blob(b"x"), "übersicht/日本.yaml"),
    ]
    status, seen = client.push(f"{client.commit_raw(entries)}:refs/heads/main")
    assert status == 0, seen


@pytest.mark.parametrize("leaf", ["", "file"])
def test_tree_that_unfolds_without_end(forge: Live, client: Client, leaf: str) -> None:
    """Ten levels of a hundred times the same folder are 10^20 paths, with or without a file at the bottom."""
    inner = f"{FILE} blob {client.blob(b'x')}\tfile\0" if leaf else ""
    tree = client.git("mktree", "-z", stdin=inner.encode())
    for _ in range(10):
        level = "".join(f"040000 tree {tree}\td{number:02}\0" for number in range(100))
        tree = client.git("mktree", "-z", stdin=level.encode())
    started = time.monotonic()
    status, seen = client.push(f"{client.git('commit-tree', '-m', 'bomb', tree)}:refs/heads/main")
    assert status == 1
    assert "BLU616" in seen
    assert time.monotonic() - started < 10


def test_too_large_push(forge: Live, client: Client) -> None:
    """A pack over the limit is refused with a line that says so, though the client was still sending."""
    (client.folder / "noise").write_bytes(_noise(60 << 20))
    client.commit("lab.yaml", b"lab: large\n")
    status, seen = client.push()
    assert status == 1, seen
    assert "pack exceeds maximum allowed size" in seen
    assert forge.repository.head() is None


def test_delta_bomb(forge: Live, client: Client) -> None:
    """A pack of a few kB whose delta unpacks to 640 MB is refused, and no git takes more memory than its limit."""
    pack, commit = _delta_bomb(size=640 << 20)
    assert len(pack) < 100_000
    line = f"{'0' * 40} {commit} refs/heads/main\0report-status\n".encode()
    body = b"%04x" % (len(line) + 4) + line + b"0000" + pack
    request = urllib.request.Request(
        f"{forge.url()}/git-receive-pack",
        body,
        {
            "Content-Type": "application/x-git-receive-pack-request",
            "Authorization": "Basic " + b64encode(f"me:{forge.token}".encode()).decode(),
        },
    )
    with memory_of_git() as seen, urllib.request.urlopen(request, timeout=50) as answer:
        report = answer.read()
    assert b"unpack ok" not in report
    assert b"ng refs/heads/main" in report
    assert forge.repository.head() is None
    assert 0 < max(seen) < 400 << 20, f"{max(seen)} bytes"


@contextmanager
def memory_of_git() -> Iterator[list[int]]:
    """What each git below us holds, in bytes, looked at all the time meanwhile."""
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            for each in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if each.name().startswith("git"):
                        seen.append(each.memory_info().rss)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield seen
    finally:
        over.set()
        watch.join()


def test_garbage_is_refused(forge: Live) -> None:
    """A body that is no Git gives an error, and the forge goes on."""
    for service in ("git-upload-pack", "git-receive-pack"):
        headers = {
            "Content-Type": f"application/x-{service}-request",
            "Authorization": "Basic " + b64encode(f"me:{forge.token}".encode()).decode(),
        }
        request = urllib.request.Request(f"{forge.url()}/{service}", b"\0\xff" * 500, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert b"unpack ok" not in answer.read()
        except urllib.error.HTTPError as error:
            error.close()
    assert forge.repository.head() is None


def _noise(size: int) -> bytes:
    """Bytes that do not compress, the same each time."""
    return hashlib.shake_128(b"noise").digest(size)


def _delta_bomb(size: int) -> tuple[bytes, str]:
    """A pack with one commit of one file, which is a delta that copies a 64 kB base until it has `size` bytes."""
    base = bytes(1 << 16)
    whole = hashlib.sha1(f"blob {size}\0".encode())
    for _ in range(size // len(base)):
        whole.update(base)
    tree = b"100644 base\0" + _name(b"blob", base) + b"100644 bomb\0" + whole.digest()
    who = b"me <me@x> 1 +0000"
    commit = b"tree %s\nauthor %s\ncommitter %s\n\nbomb\n" % (_name(b"tree", tree).hex().encode(), who, who)
    # 0x80: a copy instruction with neither offset nor size means 64 kB from the start of the base
    delta = _varint(len(base)) + _varint(size) + b"\x80" * (size // len(base))
    objects = [
        _head(3, len(base)) + zlib.compress(base),
        _head(7, len(delta)) + _name(b"blob", base) + zlib.compress(delta),
        _head(2, len(tree)) + zlib.compress(tree),
        _head(1, len(commit)) + zlib.compress(commit),
    ]
    pack = b"PACK" + struct.pack(">II", 2, len(objects)) + b"".join(objects)
    return pack + hashlib.sha1(pack).digest(), _name(b"commit", commit).hex()


def _name(kind: bytes, data: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0" % (kind, len(data)) + data).digest()


def _head(kind: int, size: int) -> bytes:
    return _varint_bytes((kind << 4 | size & 15, 15), size >> 4)


def _varint(size: int) -> bytes:
    return _varint_bytes((size & 127, 127), size >> 7)


def _varint_bytes(first: tuple[int, int], rest: int) -> bytes:
    out = [first[0]]
    while rest:
        out[-1] |= 128
        out.append(rest & 127)
        rest >>= 7
    return bytes(out)
