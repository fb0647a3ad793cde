"""Looking at the paths of a revision before anything of it is written to disk.

What enters: a revision, perhaps still in a push's quarantine. What leaves: its entries, and a finding for
each that no folder of ours should hold. Git itself accepts most of them: links that lead out of the tree,
submodules, backslashes and newlines in names, huge blobs, trees that unfold without end. The work is bounded
in time and memory whatever was pushed: the listing is streamed and left at the first limit that it passes.
"""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from threading import Timer

from blumeops.base.errors import EngineError
from blumeops.base.findings import Finding, Place
from blumeops.forge.git import blobs, commit_id, environment, is_plain, limited, printable

FOLDER, LINK, SUBMODULE, PROGRAM = "040000", "120000", "160000", "100755"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a revision may hold; sizes in bytes. `paths` counts files and folders."""

    paths: int = 20_000
    file: int = 5 << 20
    total: int = 100 << 20
    path: int = 512
    name: int = 200
    depth: int = 32
    link: int = 1024
    findings: int = 100
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a revision: mode in Git's octal digits, object name, bytes (0 for a folder)."""

    path: str
    mode: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was seen. `entries` is whole only when there are no findings."""

    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]


class _Enough(Exception):
    """A limit is passed: the rest is not looked at."""


def look(folder: Path, revision: str, env: Mapping[str, str] | None = None, limits: Limits | None = None) -> Inspection:
    """Inspect `revision` (a full object name) of the repository in `folder`; `env` names a quarantine.

    Raises EngineError `BLU600` when git cannot list it.
    """
    limits = limits or Limits()
    entries: list[Entry] = []
    findings: list[Finding] = []
    folded: dict[str, str] = {}
    total = 0
    try:
        for raw, entry in _listing(folder, revision, env, limits):
            findings += _about_name(raw, entry, limits) or _about_case(entry, folded)
            findings += _about_kind(entry, limits)
            total += entry.size
            entries.append(entry)
            if len(entries) > limits.paths:
                findings.append(_whole("BLU616", f"has more than {limits.paths:,} files and folders"))
            if total > limits.total:
                findings.append(_whole("BLU617", f"is larger than {limits.total >> 20} MiB when checked out"))
            if len(findings) >= limits.findings or len(entries) > limits.paths or total > limits.total:
                raise _Enough
        links = [entry for entry in entries if entry.mode == LINK and entry.size <= limits.link]
        targets = blobs(folder, [link.name for link in links], env)
        for link, target in zip(links, targets, strict=True):
            findings += _about_link(link, target)
    except _Enough:
        pass
    return Inspection(tuple(entries), tuple(findings[: limits.findings]))


def is_git_folder(name: str) -> bool:
    """Whether some file system takes `name` for `.git`: HFS+ and APFS fold case, NTFS short names and trailing dots."""
    plain = unicodedata.normalize("NFKC", name).casefold().rstrip(". ")
    return plain in {".git", "git~1"}


def _listing(
    folder: Path, revision: str, env: Mapping[str, str] | None, limits: Limits
) -> Iterator[tuple[bytes, Entry]]:
    # -t shows folders too: a tree of nothing but trees would otherwise be walked without end and without a line.
    argv = ["git", f"--git-dir={folder}", "ls-tree", "-r", "-t", "-z", "--long", "--full-tree", commit_id(revision)]
    with Popen(limited(argv), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment(env)) as process:
        assert process.stdout and process.stderr
        alarm = Timer(limits.seconds, process.kill)
        alarm.start()
        try:
            rest = b""
            while chunk := os.read(process.stdout.fileno(), 1 << 16):
                *records, rest = (rest + chunk).split(b"\0")
                for record in records:
                    about, _, raw = record.partition(b"\t")
                    mode, _, name, size = about.decode("ascii").split()
                    path = raw.decode("utf-8", "surrogateescape")
                    yield raw, Entry(path, mode, name, 0 if size == "-" else int(size))
            if process.wait():
                words = process.stderr.read(4096).decode(errors="replace").strip() or "it was stopped: it took too long"
                raise EngineError("BLU600", "git ls-tree", printable(words.splitlines()[-1]))
        finally:
            alarm.cancel()
            process.kill()


def _about_name(raw: bytes, entry: Entry, limits: Limits) -> list[Finding]:
    """At most one finding: a wrong name is wrong once."""
    name = posixpath.basename(entry.path)
    if not is_plain(name):
        wrong = "has control characters, or is not UTF-8"
    elif "\\" in name:
        wrong = "has a backslash"
    elif name in {"", ".", ".."} or is_git_folder(name):
        wrong = "is reserved"
    elif len(raw) > limits.path or len(name.encode()) > limits.name or entry.path.count("/") > limits.depth:
        most = f"{limits.path} bytes, {limits.name} for one part, {limits.depth} folders"
        wrong = f"is too long or too deep (over {most})"
    else:
        return []
    return [_finding("BLU612", entry, f"its name {wrong}", "rename it")]


def _about_case(entry: Entry, folded: dict[str, str]) -> list[Finding]:
    alike = unicodedata.normalize("NFC", unicodedata.normalize("NFD", entry.path).casefold())
    other = folded.setdefault(alike, entry.path)
    if other == entry.path:
        return []
    return [_finding("BLU613", entry, f"is the same file as {printable(other)} on macOS", "rename one of the two")]


def _about_kind(entry: Entry, limits: Limits) -> list[Finding]:
    if entry.mode == SUBMODULE:
        return [_finding("BLU611", entry, "is a submodule", "a lab is one repository: put the files in it")]
    if entry.mode == LINK and entry.size > limits.link:
        return [_finding("BLU610", entry, "is a link with a target that is too long", "use a file")]
    if entry.size > limits.file:
        size = f"{entry.size / (1 << 20):.1f} MiB, over {limits.file >> 20} MiB"
        return [_finding("BLU615", entry, f"is too large ({size})", "keep it elsewhere")]
    return []


def _about_link(link: Entry, raw: bytes) -> list[Finding]:
    """A link may climb only with leading `..`s, and not above the root.

    The folders above a link are real ones, so leading `..`s are what they seem. A `..` behind a name is not: the
    name may be a link itself.
    """
    target = raw.decode("utf-8", "surrogateescape")
    parts = [part for part in target.split("/") if part not in {"", "."}]
    climbs = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    inside = climbs <= link.path.count("/") and ".." not in parts[climbs:]
    if is_plain(target) and target and not target.startswith("/") and inside and not any(map(is_git_folder, parts)):
        return []
    return [_finding("BLU610", link, f"is a link out of the repository: {printable(target)}", "use a file")]


def _finding(code: str, entry: Entry, message: str, hint: str) -> Finding:
    path = printable(entry.path)
    return Finding(code, Place(path if len(path) <= 200 else f"{path[:200]}…", 1, 1), "repository", message, hint)


def _whole(code: str, message: str) -> Finding:
    return Finding(code, Place(".", 1, 1), "repository", message, "keep large data elsewhere")
