"""Running tools to their end, and knowing a process again."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from blumeops.base.errors import EngineError, Unavailable


@dataclass(frozen=True, slots=True)
class Completed:
    """What a tool left: its exit code and what it printed. `repr` does not show that: it may be a secret."""

    code: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)

    @property
    def words(self) -> str:
        """The last line that the tool printed: usually the one that says why."""
        lines = [line for line in (self.stdout + b"\n" + self.stderr).decode(errors="replace").splitlines() if line]
        return lines[-1].strip() if lines else "it printed nothing"


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | BinaryIO = b"",
    stdout: BinaryIO | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = 60,
    user: int | None = None,
    group: int | None = None,
) -> Completed:
    """Run a tool and wait for its end. Its exit code is the caller's to judge. What goes in or comes out by a file
    that is open is never held in memory.

    Raises Unavailable `BLU901` when there is no such program, EngineError `BLU902` when it takes longer than
    `seconds`. Secrets go in by `stdin` or `env`, never by `argv`: that is seen by every user of the machine.
    """
    source: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    try:
        done = subprocess.run(
            list(argv), **source, env=None if env is None else dict(env), cwd=cwd, timeout=seconds,
            stdout=subprocess.PIPE if stdout is None else stdout, stderr=subprocess.PIPE,
            check=False, user=user, group=group, extra_groups=[] if user is not None else None,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise Unavailable("BLU901", argv[0], "is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError("BLU902", argv[0], f"took longer than {seconds:g} s") from error
    return Completed(done.returncode, done.stdout or b"", done.stderr)


def must(done: Completed, code: str, subject: str, hint: str = "") -> bytes:
    """The tool's standard output, or EngineError with the last line that it printed."""
    if done.code:
        raise EngineError(code, subject, done.words, hint)
    return done.stdout


def started(pid: int) -> float | None:
    """When process `pid` started (seconds since 1970), or None if it is gone or a zombie.

    A pid alone is not a name: it is used again. A pid with its start time is.
    """
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
