"""Start servers on loopback, know when they answer, and leave none behind.

In: an argument list for each. Out: running processes with a log each. Promised: when the `with` block ends,
in whatever way, every process group that it started is gone; and when this process is killed outright, a
small guard process ends them and removes their folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

STOP_SECONDS = 15.0
"""What a server gets to end by itself, before it is killed."""

# Reads "+pid", "-pid" and "/path" lines. At the end of its input its parent is done, or gone, whatever ended
# it: what is still listed has no one else to end it. A listed pid cannot have been used again: until now its
# parent was there and had not waited for it. A path is one of a control group: empty as soon as the kernel
# has taken the last process out of it, and only rmdir removes it.
_GUARD = """
import os, shutil, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
alive, groups = [], []
for line in sys.stdin:
    if line[0] == "/":
        groups.append(line.rstrip("\\n"))
    else:
        pid = int(line[1:])
        alive.append(pid) if line[0] == "+" else alive.remove(pid)
for pid in reversed(alive):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
until = time.monotonic() + 10
while any(map(os.path.isdir, groups)) and time.monotonic() < until:
    for group in groups:
        for place, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(place)
            except OSError:
                time.sleep(0.02)
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class NotStarted(Exception):
    """A server ended early or never answered. The text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process, the leader of its own group, and the file with what it printed."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    polite: bool = True
    """Whether it is asked to end before it is killed."""

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself. It stays a zombie until it is stopped: nobody else may wait for it."""
        return psutil.Process(self.process.pid).status() == psutil.STATUS_ZOMBIE

    @property
    def last_words(self) -> str:
        """The end of its log, for a person to read."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


class Servers:
    """Processes that live as long as a `with` block. `folder` is theirs: the guard removes it if we are killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Server] = []
        self._guard: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._guard = subprocess.Popen([sys.executable, "-I", "-S", "-c", _GUARD, str(self.folder)], text=True,
                                       stdin=subprocess.PIPE, start_new_session=True)  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop_all()
        finally:
            if self._guard is not None:
                assert self._guard.stdin is not None
                self._guard.stdin.close()
                self._guard.wait()

    def start(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None, *, polite: bool = True
    ) -> Server:
        """Start `argv` in a process group of its own, with no more of the environment than it needs."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(argv, env=dict(environment or {}), cwd=self.folder, start_new_session=True,
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)  # fmt: skip
        server = Server(name, process, log, polite)
        self.running.append(server)
        self._tell(f"+{process.pid}")
        return server

    def remove_group(self, group: Path) -> None:
        """Remove a control group, and those in it, when all is over."""
        self._tell(str(group))

    def wait(self, ready: Callable[[], bool], server: Server, *others: Server, seconds: float = 60) -> None:
        """Return as soon as `server` is `ready`.

        Raises NotStarted when it, or one of the `others` that it needs, ends first, or after `seconds`.
        """
        until = time.monotonic() + seconds
        while not ready():
            for one in (server, *others):
                if one.ended:
                    self.stop(one)
                    code = one.process.returncode
                    raise NotStarted(f"{one.name} ended with {code}; its log ends:\n{one.last_words}")
            if time.monotonic() > until:
                raise NotStarted(f"{server.name} did not answer in {seconds:g} s; its log ends:\n{server.last_words}")
            time.sleep(0.05)

    def stop_all(self) -> None:
        """End all, the last started first: a server may not outlive the one that it talks to."""
        while self.running:
            self.stop(self.running[-1])

    def stop(self, server: Server) -> None:
        """End one server and whatever is left of its group."""
        if not server.ended and server.polite:  # not Popen.terminate(), which would wait for one that has ended
            os.kill(server.process.pid, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while server.polite and not server.ended and time.monotonic() < until:
            time.sleep(0.02)
        # Before wait(): until then the pid cannot be used again, so the group that it names is ours. Its
        # children may outlive the leader. macOS says EPERM when only the ended leader is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
        self.running.remove(server)
        self._tell(f"-{server.process.pid}")

    def _tell(self, line: str) -> None:
        assert self._guard is not None, "Servers is used by `with`"
        assert self._guard.stdin is not None
        self._guard.stdin.write(line + "\n")
        self._guard.stdin.flush()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on now: all different, since all are held until all are found.

    Another program may take one before its server does: a start that fails so is tried again by the caller.
    """
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
