"""Whether an instance serves: asked once, or waited for.

A process that ends is seen at once, not after the time limit; a program that answers on our port but is not
ours does not count, since ours has ended then.
"""

from __future__ import annotations

import http.client
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.base.processes import run
from blumeops.engines.local.leftovers import MARK
from blumeops.engines.local.manager import Process, ProcessSpec
from blumeops.render.local_unit import Health
from blumeops.telemetry.log_times import time_of

SETTLED = 0.5
"""Seconds that a program without a health check must have lived."""

CLOSES = 0.2
"""Seconds in which a connection that leads nowhere is closed."""

AT_ITS_END = 3.0
"""Seconds before its end in which a program says why: the manager knows the end to a second."""

TAIL = 65536
"""Bytes of a log in which its last lines are looked for."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What to ask: the check, the ports, the command (its words resolved), and the environment for it."""

    health: Health | None
    ports: Mapping[str, int]
    command: tuple[str, ...]
    spec: ProcessSpec
    contained: bool = False
    """Whether a proxy of the container runtime's listens in its place."""


def ask(probe: Probe, timeout: float = 2.0) -> str:
    """Empty when healthy, else why not."""
    health = probe.health
    if health is None:
        return ""
    if health.kind != "command" and health.port not in probe.ports:
        return f"its health check asks port {health.port}, which it has not"
    try:
        match health.kind:
            case "http":
                return _http(probe.ports[health.port], health.path, timeout)
            case "tcp":
                return _tcp(probe.ports[health.port], timeout, probe.contained)
            case "command":
                env = probe.spec.env | {MARK: f"{probe.spec.name}.health"}
                spec = probe.spec
                done = run(probe.command, env=env, cwd=spec.cwd, seconds=timeout, user=spec.user, group=spec.group)
                return "" if done.code == 0 else done.words
    except (OSError, http.client.HTTPException) as error:
        port = probe.ports.get(health.port)
        return f"port {port}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}"
    except BlumeError as error:
        return error.message


def _tcp(port: int, timeout: float, contained: bool) -> str:
    """A container's port is open before anything listens behind it: then each connection is closed at once."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        if contained:
            connection.settimeout(CLOSES)
            with suppress(TimeoutError):
                if not connection.recv(1):
                    return f"port {port} closes each connection"
    return ""


def _http(port: int, path: str, timeout: float) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"User-Agent": "blumeops-health"})
        status = connection.getresponse().status
        return "" if 200 <= status < 400 else f"GET {path} answers {status}"
    finally:
        connection.close()


def wait(probe: Probe, process: Callable[[], Process], within: float) -> str:
    """Wait until healthy, at most `within` seconds; empty, or why not."""
    began = time.monotonic()
    first, pause, why = 0, 0.01, "it did not start"
    while True:
        now = process()
        first = first or now.pid
        if now.state in ("crashed", "stopped") or now.pid != first:
            return "it ended by itself"
        if probe.health or time.monotonic() - began > SETTLED:
            why = ask(probe)
            if not why:
                return "" if process().pid == first else "it ended by itself"
        if time.monotonic() - began > within:
            return f"not healthy within {within:g} s ({why})"
        time.sleep(pause)
        pause = min(pause * 1.3, 0.2)


def last_lines(
    log: Path, since: int = 0, count: int = 3, mask: Callable[[str], str] = str, ended: float = 0.0, until: int = 0
) -> str:  # fmt: skip
    """The last lines of a log, of those after `since` bytes (the log may have been rotated meanwhile). `ended`:
    seconds since 1970, and only what was printed then: older lines are rarely the reason. `until`: those before so many
    bytes, and none where the log was rotated since.

    `mask` takes the secrets out before anything is cut, so that no part of one is left.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            if until > size:
                return ""
            size = until or size
            begin = since if since <= size else 0
            file.seek(max(begin, size - TAIL))
            if size - TAIL > begin:
                file.readline()  # its beginning is missing
            lines = mask(file.read(size - file.tell()).decode(errors="replace")).splitlines()
            if ended:
                silent = os.fstat(file.fileno()).st_mtime < ended - AT_ITS_END
                lines = [] if silent else _of_the_end(lines, ended - AT_ITS_END)
    except FileNotFoundError:
        return ""
    return " | ".join(line.strip()[:300] for line in lines[-count:] if line.strip())


def _of_the_end(lines: list[str], begin: float) -> list[str]:
    """Those behind the last line that says that it is older. What says no time is kept: a panic or a traceback."""
    old = [place for place, line in enumerate(lines) if (time_of(line) or begin) < begin]
    return lines[old[-1] + 1 :] if old else lines


def size_of(log: Path) -> int:
    """Where the log ends now."""
    return log.stat().st_size if log.exists() else 0
