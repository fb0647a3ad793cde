"""Calling the real git: with an environment of our own, arguments that cannot be taken for options, and limits.

What enters: the git directory and arguments. What leaves: bytes. The user's and the system's configuration
never count, nothing asks for a password, and where input is hostile the process is `limited`.
"""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from blumeops.base.errors import EngineError, UserError
from blumeops.base.processes import must, run

ZERO = "0" * 40
"""How Git writes "no commit" where a ref appears or goes away."""

_MEMORY = 256 << 10  # KiB of address space, for one process
_CPU = 60  # seconds

_CONFIG = {
    "core.bigFileThreshold": "1m",
    "core.deltaBaseCacheLimit": "16m",
    "core.packedGitWindowSize": "8m",
    "core.packedGitLimit": "64m",
}
"""What our own forge says in its configuration: within the memory that git gets, a pack of any size can be read."""
_HEX = re.compile(r"[0-9a-f]{40}\Z")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for git: nothing of the caller's but PATH, the folder for temporary files, and `extra`."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "DEVELOPER_DIR") if name in os.environ}
    ours = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": os.devnull,
        "LC_ALL": "C",
    }
    return kept | ours | dict(extra or {})


def reading_elsewhere() -> dict[str, str]:
    """What git gets beside, to read a repository that is not our forge's: settings, and objects as they are, whatever
    refs/replace/ says."""
    found = {"GIT_CONFIG_COUNT": str(len(_CONFIG)), "GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1"}
    for at, (key, value) in enumerate(_CONFIG.items()):
        found |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    return found


def git(
    folder: Path, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, seconds: float = 60
) -> bytes:
    """What `git --git-dir=folder ARGUMENTS` prints. Raises EngineError `BLU600` when it fails."""
    done = run(["git", f"--git-dir={folder}", *arguments], stdin=stdin, env=environment(env), seconds=seconds)
    return must(done, "BLU600", f"git {arguments[0]}")


def beginning(folder: Path, *arguments: str, most: int, env: Mapping[str, str] | None = None) -> bytes:
    """The same of what is hostile: no more than `most` bytes of it, and git within its ceilings. Raises EngineError
    `BLU600` when it fails before."""
    argv = limited(["git", f"--git-dir={folder}", *arguments])
    with Popen(argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environment(env)) as process:
        assert process.stdout
        try:
            said = process.stdout.read(most + 1)
            failed = len(said) <= most and process.wait() != 0
        finally:
            process.kill()
    if failed:
        raise EngineError("BLU600", f"git {arguments[0]}", "ended before its time")
    return said[:most]


def commit_id(text: str) -> str:
    """`text`, if it is a full object name; so it cannot be an option. Raises UserError `BLU601`."""
    if not _HEX.match(text):
        raise UserError("BLU601", printable(text), "is not the full name of a revision")
    return text


def limited(argv: Sequence[str], file_bytes: int = 0) -> list[str]:
    """The same command with a ceiling on memory and processor time, which its children inherit; with `file_bytes`
    also on the size of a file that they write.

    The shell sets them before the program starts, which a thread-rich parent cannot do safely after a fork.
    macOS has no limit on address space: there only the time counts.
    """
    files = f"ulimit -f {file_bytes // 512}; " if file_bytes else ""  # POSIX: in units of 512 bytes
    script = f'ulimit -c 0; ulimit -t {_CPU}; {files}ulimit -v {_MEMORY} 2>/dev/null; exec "$@"'
    return ["/bin/sh", "-c", script, "sh", *argv]


def blobs(folder: Path, names: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[bytes]:
    """The contents of blobs in the given order, one in memory at a time. The caller has looked at their sizes."""
    if not names:
        return
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{commit_id(name)}\n" for name in names).encode())
        wanted.seek(0)
        argv = limited(["git", f"--git-dir={folder}", "cat-file", "--batch", "--buffer"])
        with Popen(argv, stdin=wanted, stdout=PIPE, stderr=DEVNULL, env=environment(env)) as process:
            assert process.stdout
            try:
                for name in names:
                    head = process.stdout.readline().split()
                    size = int(head[2]) if len(head) == 3 and head[1] == b"blob" else -1
                    data = process.stdout.read(size + 1) if size >= 0 else b""
                    if len(data) != size + 1:
                        raise EngineError("BLU600", "git cat-file", f"{name} cannot be read")
                    yield data[:-1]
            finally:
                process.kill()


def printable(text: str) -> str:
    """`text` on one line and without anything that a terminal would obey."""
    return "".join(
        char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode() for char in text
    )


def is_plain(text: str) -> bool:
    """Whether a name has no control, format, surrogate or line-separating characters (Unicode Cc Cf Cs Zl Zp)."""
    return all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)
