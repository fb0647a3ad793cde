"""Ending what is ours and nobody else's: processes that lost their manager, and what they started.

Every process that we start carries the variable `BLUMEOPS_INSTANCE` with a path below our state folder, which
its children inherit; so what is left of it is found even when it made a session of its own. (PostgreSQL's
children write over their environment: they are found as children of one that is marked.)
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK = "BLUMEOPS_INSTANCE"
SHARED = ("aardvark-dns",)
"""Of a container runtime, for all of its networks: started by the first container, and ended by itself."""


def marked(mark: Path) -> list[psutil.Process]:
    """The processes whose mark is `mark` or a path below it, and their descendants; never this process."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            value = process.environ().get(MARK, "")
            ours = value == str(mark) or value.startswith(f"{mark}/")
            if ours and process.pid != os.getpid() and process.name() not in SHARED:
                found.update({each.pid: each for each in (process, *process.children(recursive=True))})
        except (psutil.Error, OSError):
            continue
    return [process for process in found.values() if process.pid != os.getpid()]


def end(processes: Iterable[psutil.Process], grace: float = 3.0) -> None:
    """TERM, wait up to `grace` seconds for all together, then KILL. Returns when they are gone."""
    left = list(processes)
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for process in left:
            send(process, number)
        left = wait(left, seconds)


def end_marked(mark: Path, grace: float = 3.0) -> None:
    """End all that carry this mark, and what they start meanwhile."""
    for _ in range(5):
        left = marked(mark)
        if not left:
            return
        end(left, grace)


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Signal this very process: psutil compares its start time first, so never a stranger with its pid."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def wait(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended, at most `seconds`; returns those that have not."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = [process for process in left if alive(process)]
    return left


def alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
