"""An archive becomes a tree of files, folders and links: hostile input, even where its SHA-256 is the one wanted.

In: a file that is tar (also with gzip, xz, bzip2) or zip, and an empty folder. Out: the tree, or EngineError `BLU735`
that names the member, and then a folder to be thrown away. Promised: nothing is written outside of the folder or
through a link; no device, no setuid; every file is readable by all and writable by us alone; bounded number and size.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, cast

from blumeops.base.errors import EngineError

CHUNK = 1 << 18
HEADERS = 2 << 20
"""Bytes of a tar's own words (long names, attributes) before one member."""
DIRECTORY = 64 << 20
"""Bytes of a zip's list of members."""
DISTRUST = "do not use it, and tell its publisher"
_OF_READING = (None, errno.EINVAL)
"""Of OSErrors those that bz2 and gzip raise for damaged data, and that a place before the file's beginning gives: a
disk says another number."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may come out."""

    members: int = 100_000
    size: int = 8 << 30
    name: int = 1024


USUAL = Bounds()


class _Refused(Exception):
    """With the words for a person."""


def unpack(file: Path, kind: str, into: Path, bounds: Bounds = USUAL) -> None:
    """`kind`: tar or zip. Raises EngineError `BLU735`; OSError when it cannot be written."""
    tree = _Tree(into, bounds)
    try:
        if kind == "tar":
            _tar(file, tree)
        else:
            _zip(file, tree)
        tree.finish()
    except _Refused as error:
        raise EngineError("BLU735", file.name, str(error), DISTRUST) from error
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError, struct.error,
            NotImplementedError, ValueError) as error:  # fmt: skip
        if isinstance(error, OSError) and error.errno not in _OF_READING:
            raise
        why = "a name in it is not UTF-8" if isinstance(error, UnicodeError) else str(error)
        raise EngineError("BLU735", file.name, f"is no {kind} archive that is whole: {why}", DISTRUST) from error


@dataclass
class _Tree:
    """What is made. Links come last: so nothing is ever written through one."""

    root: Path
    bounds: Bounds
    count: int = 0
    size: int = 0
    links: dict[PurePosixPath, str] = field(default_factory=dict)

    def place(self, name: str) -> PurePosixPath | None:
        """The member's path below the root; None for the root itself."""
        self.count += 1
        if self.count > self.bounds.members:
            raise _Refused(f"has more than {self.bounds.members} members")
        if len(os.fsencode(name)) > self.bounds.name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
            raise _Refused(f"has a member of a strange name: {name!r:.80}")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise _Refused(f"has a member that leads out of it: {name!r:.80}")
        return path if path.parts else None

    def folder(self, path: PurePosixPath) -> Path:
        """Made, with those above it."""
        made = self.root
        for part in path.parts:
            made = made / part
            try:
                made.mkdir(mode=0o755)
            except FileExistsError:
                if not stat.S_ISDIR(made.lstat().st_mode):
                    raise _Refused(f"has {str(path)!r:.80} as a folder and as a file") from None
            else:
                made.chmod(0o755)  # whatever our umask is
        return made

    def file(self, path: PurePosixPath, source: IO[bytes], mode: int) -> None:
        """Written, with a mode for everybody."""
        to = self.folder(path.parent) / path.name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(to, flags, 0o600)
        except (FileExistsError, IsADirectoryError):
            raise _Refused(f"has {str(path)!r:.80} twice") from None
        with os.fdopen(descriptor, "wb") as file:
            while piece := source.read(CHUNK):
                self.size += len(piece)
                self._bounded(0)
                file.write(piece)
            os.fchmod(descriptor, 0o755 if mode & 0o111 else 0o644)

    def same(self, path: PurePosixPath, other: PurePosixPath) -> None:
        """A second name of a file that is there."""
        source, to = self.root / other, self.folder(path.parent) / path.name
        if not source.is_file():
            raise _Refused(f"has {str(path)!r:.80} as a link to what it does not have")
        try:
            os.link(source, to, follow_symlinks=False)
        except FileExistsError:
            raise _Refused(f"has {str(path)!r:.80} twice") from None

    def link(self, path: PurePosixPath, target: str) -> None:
        """Noted: a symbolic link to within the tree."""
        strange = not target or "\0" in target or len(target) > self.bounds.name
        if strange or PurePosixPath(target).is_absolute():
            raise _Refused(f"has a link that leads out of it: {str(path)!r:.80} to {target!r:.80}")
        if path in self.links:
            raise _Refused(f"has {str(path)!r:.80} twice")
        self.links[path] = target

    def ahead(self, size: int) -> None:
        """So many bytes are to come, says the archive."""
        if size < 0:
            raise _Refused("has a member of negative size")
        self._bounded(size)

    def finish(self) -> None:
        """Make the links, and see where they lead."""
        root = self.root.resolve()
        for path, target in self.links.items():
            try:
                (self.folder(path.parent) / path.name).symlink_to(target)
            except FileExistsError:
                raise _Refused(f"has {str(path)!r:.80} twice") from None
        for path, target in self.links.items():
            try:
                leads = (self.root / path).resolve()
            except RuntimeError:  # so says pathlib up to Python 3.12
                raise _Refused(f"has a link that leads to itself: {str(path)!r:.80}") from None
            if not leads.is_relative_to(root):
                raise _Refused(f"has a link that leads out of it: {str(path)!r:.80} to {target!r:.80}")

    def _bounded(self, more: int) -> None:
        if self.size + more > self.bounds.size:
            raise _Refused(f"is more than {self.bounds.size >> 20:,} MiB when it is unpacked")


# tar


class _Sparing:
    """A stream that gives no more than was allowed: so a header cannot fill our memory, nor the whole our time."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most, self._allowed = stream, most, 0

    def allow(self, count: int) -> None:
        """From now on, beside what an archive says of one member."""
        self._allowed = count + HEADERS

    def read(self, count: int) -> bytes:
        """As a file does."""
        piece = self._stream.read(count)
        self._allowed -= len(piece)
        self._most -= len(piece)
        if self._allowed < 0 or self._most < 0:
            raise _Refused("has headers that are too large")
        return piece


@contextmanager
def _decompressed(file: Path) -> Iterator[IO[bytes]]:
    with file.open("rb") as raw:
        head = raw.read(6)
        raw.seek(0)
        if head.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw) as packed:
                yield cast("IO[bytes]", packed)
        elif head.startswith(b"\xfd7zXZ\0"):
            with lzma.LZMAFile(raw) as packed_xz:
                yield cast("IO[bytes]", packed_xz)
        elif head.startswith(b"BZh"):
            with bz2.BZ2File(raw) as packed_bz2:
                yield cast("IO[bytes]", packed_bz2)
        else:
            yield raw


def _tar(file: Path, tree: _Tree) -> None:
    # Padding and headers come on top of what is written: half as much again, and 4 KiB a member.
    most = tree.bounds.size + (tree.bounds.size >> 1) + tree.bounds.members * 4096
    with _decompressed(file) as stream:
        sparing = _Sparing(stream, most)
        sparing.allow(0)
        # As a stream: forward only, each member is read where it stands. It asks for read() alone.
        with tarfile.open(fileobj=cast("IO[bytes]", sparing), mode="r|", bufsize=1 << 16) as archive:
            while member := archive.next():
                archive.members.clear()  # type: ignore[attr-defined]  # else it remembers each; typeshed does not know it
                sparing.allow(member.size)
                _member(archive, member, tree)
                sparing.allow(0)


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, tree: _Tree) -> None:
    path = tree.place(member.name)
    tree.ahead(member.size)
    if path is None or member.isdir():
        tree.folder(path or PurePosixPath())
    elif member.issym():
        tree.link(path, member.linkname)
    elif member.islnk():
        tree.same(path, tree.place(member.linkname) or PurePosixPath())
    elif member.isreg() and not member.issparse():
        content = archive.extractfile(member)
        assert content  # it is a file
        tree.file(path, content, member.mode)
    else:
        raise _Refused(f"has a member that is neither file, folder nor link: {str(path)!r:.80}")


# zip


def _zip(file: Path, tree: _Tree) -> None:
    with file.open("rb") as raw:
        _look_at_directory(raw)
        with zipfile.ZipFile(raw) as archive:
            for member in archive.infolist():
                mode = member.external_attr >> 16
                kind = stat.S_IFMT(mode)
                path = tree.place(member.filename)
                tree.ahead(member.file_size)
                if member.flag_bits & 1:
                    raise _Refused(f"has an encrypted member: {member.filename!r:.80}")
                if path is None or member.is_dir():
                    tree.folder(path or PurePosixPath())
                    continue
                if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
                    raise _Refused(f"has a member that is neither file, folder nor link: {str(path)!r:.80}")
                with archive.open(member) as content:
                    if kind == stat.S_IFLNK:
                        tree.link(path, os.fsdecode(content.read(tree.bounds.name + 1)))
                    else:
                        tree.file(path, content, mode)


def _look_at_directory(raw: IO[bytes]) -> None:
    """The list of members is held in memory as a whole: it has to be of a sensible size, and to say so."""
    length = raw.seek(0, os.SEEK_END)
    tail_at = max(0, length - (22 + 0xFFFF))
    raw.seek(tail_at)
    tail = raw.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        raise _Refused("is no zip archive that is whole")
    if (
        tail[max(0, end - 20) : end].startswith(b"PK\x06\x07")
        or struct.unpack_from("<L", tail, end + 12)[0] > DIRECTORY
    ):
        raise _Refused("has a list of members that is too large")
    raw.seek(0)
