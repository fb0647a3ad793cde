"""What a push brings: the files of all its commits, not of the last alone, that the repository does not have yet.

What enters: a revision, perhaps still in a quarantine, and what is known before it. What leaves: files, those of the
revision itself first, then back in time; and how many more there are. Nothing is written. Time and memory are bounded
whatever was pushed: the listing is streamed, and left when it takes too long or is too much.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from threading import Timer

from blumeops.base.errors import EngineError
from blumeops.forge.git import commit_id, environment, limited

_LINE = 1024
"""Bytes of a line that count: a path that is longer is cut."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one listing. `file`: bytes, a larger one is counted alone; `total`: bytes of all that are listed."""

    files: int = 20_000
    file: int = 1 << 20
    total: int = 100 << 20
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class NewFile:
    """A blob (its object name), its path, bytes, and the newest commit that has it; `last`: that is what was pushed."""

    name: str
    path: str
    size: int
    commit: str
    last: bool


@dataclass(frozen=True, slots=True)
class News:
    """`large`: the names of those that are larger than the limit; `rest`: how many more are beyond the others; `whole`:
    whether that is all, and not only what there was time for."""

    files: tuple[NewFile, ...] = ()
    large: frozenset[str] = frozenset()
    rest: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Introduction:
    """The commit that brings a file, and whether it has no commit before it."""

    commit: str
    first: bool


def brought(
    folder: Path, revision: str, known: Sequence[str], env: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> News:  # fmt: skip
    """The files that `revision` (a commit, a tag or a tree) has, in itself or before it, and none of `known` has: names
    of revisions, or options that stand for some, such as `--all`.

    Raises EngineError `BLU600` when git cannot list them.
    """
    limits = limits or Limits()
    listing = ["rev-list", "--objects", "--in-commit-order", "--missing=print", revision, "--not", *known, "--"]
    about = ["cat-file", "--batch-check=%(objecttype) %(objectname) %(objectsize) %(rest)", "--buffer"]
    files: list[NewFile] = []
    large: set[str] = set()
    rest = total = 0
    commit = newest = ""
    with _lines(folder, [listing, about], env, limits.seconds) as stream:
        for line in stream:
            kind, name, size, path = [*line.split(b" ", 3), b"", b"", b""][:4]
            if kind == b"commit":
                commit, newest = name.decode(), newest or name.decode()
            elif name == b"missing":
                rest += 1
            elif kind == b"blob" and int(size) > limits.file:
                large.add(name.decode())
            elif kind == b"blob" and (len(files) >= limits.files or total + int(size) > limits.total):
                rest += 1
            elif kind == b"blob":
                total += int(size)
                files.append(NewFile(name.decode(), os.fsdecode(path), int(size), commit, commit == newest))
    return News(tuple(files), frozenset(large), rest, stream.whole)


def introduced(
    folder: Path, names: Sequence[str], revision: str, known: Sequence[str], env: Mapping[str, str] | None = None,
    seconds: float = 5.0,
) -> dict[str, Introduction]:  # fmt: skip
    """By blob: the oldest commit that brings it, as far as there is time to know. Few names: each is an argument."""
    asked = [f"--find-object={commit_id(name)}" for name in names]
    form = ["--format=commit %H %P", "--raw", "--no-abbrev", "--no-renames", "--root", "--diff-merges=first-parent"]
    found: dict[str, Introduction] = {}
    commit, first = "", False
    with _lines(folder, [["log", *form, *asked, revision, "--not", *known, "--"]], env, seconds) as stream:
        for line in stream:
            words = line.split()
            if words[:1] == [b"commit"]:
                commit, first = words[1].decode(), len(words) == 2
            elif line.startswith(b":") and len(words) > 4 and words[3].decode() in names:
                found[words[3].decode()] = Introduction(commit, first)  # the newest comes first: the last one counts
    return found


@dataclass
class _Stream:
    """Lines as git prints them; `whole`: nobody stopped it."""

    processes: list[Popen[bytes]]
    whole: bool = True
    ended: bool = field(default=False, init=False)

    def __iter__(self) -> Iterator[bytes]:
        out = self.processes[-1].stdout
        assert out
        while line := out.readline(_LINE):
            end = line
            while not end.endswith(b"\n") and (end := out.readline(_LINE)):
                pass  # a path may be as long as whoever pushes likes
            yield line.rstrip(b"\n")
        self.ended = True

    def stop(self) -> None:
        self.whole = False
        for process in self.processes:
            process.kill()


@contextmanager
def _lines(
    folder: Path, commands: Sequence[Sequence[str]], env: Mapping[str, str] | None, seconds: float
) -> Iterator[_Stream]:
    """What the last of these git commands prints, each fed by the one before, all within their ceilings."""
    with ExitStack() as held:
        stream = _Stream([])
        for command in commands:
            process = Popen(
                limited(["git", f"--git-dir={folder}", *command]), stdout=PIPE, stderr=DEVNULL, env=environment(env),
                stdin=stream.processes[-1].stdout if stream.processes else DEVNULL,
            )  # fmt: skip
            held.enter_context(process)
            held.callback(process.kill)
            if stream.processes and (before := stream.processes[-1].stdout):
                before.close()  # whoever reads it has it: it must get a SIGPIPE when that one ends
            stream.processes.append(process)
        alarm = Timer(seconds, stream.stop)
        alarm.start()
        held.callback(alarm.cancel)
        yield stream
        failed = [
            command[0] for command, each in zip(commands, stream.processes, strict=True) if stream.ended and each.wait()
        ]
        if failed and stream.whole:
            raise EngineError("BLU600", f"git {failed[0]}", "cannot list what is new")
