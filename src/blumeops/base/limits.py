"""Ceilings on the present process, for one that is to meet hostile input: processor time, memory, and the clock.

Only for a process of its own: it does not get out of them again. macOS has no limit on address space: there time
counts.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress

MEMORY = 768 << 20
"""Bytes of address space: a lab of 10,000 services takes a quarter of it."""
CPU_SECONDS = 20
WALL_SECONDS = 30
NICENESS = 5
TOO_MUCH = 3
"""The exit code of a process that met a limit and could still say so."""


def limit_this_process(too_much: Callable[[], None]) -> None:
    """Set the ceilings. `too_much` is called when time is up, before the process exits with `TOO_MUCH`; what does not
    come back from a library by then is killed a second later. Too much memory is a MemoryError, as ever; a program
    that it calls may ask for more address space, and says why."""

    def stop(*_: object) -> None:
        try:
            too_much()
        finally:
            os._exit(TOO_MUCH)

    signal.signal(signal.SIGXCPU, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(WALL_SECONDS)
    for kind, ceiling in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_AS, MEMORY)):
        with suppress(ValueError, OSError):  # a stricter one is there already, or the system has none
            hard = {resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: ceiling + 1}
            resource.setrlimit(kind, (ceiling, hard.get(kind, resource.getrlimit(kind)[1])))
    with suppress(OSError):
        os.nice(NICENESS)
