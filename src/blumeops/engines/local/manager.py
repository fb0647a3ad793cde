"""The border to whatever keeps processes running: small enough that another manager fits behind it.

A manager outlives who started it. It knows programs by name; a program that is wanted and ends is started
again, later and later if it keeps ending, and one that shall run once is not. Secrets reach a program by its
environment or its files only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

RunState = Literal["running", "starting", "crashed", "stopped"]
"""starting: younger than a few seconds; crashed: ended by itself, and waiting for its next start (or given up)."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """How a program that keeps ending is started again, in seconds: at once after a single end; later, and each time
    twice as late, while more ends than one lie within the `window`. One that ends younger than `young` is `starting`
    until then, and is never started again at once."""

    young: int = 5
    window: float = 600.0
    first: float = 1.0
    longest: float = 60.0


USUAL = BackOff()
"""How it is everywhere but in tests."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One program, as it is started. `argv[0]` is an absolute path; `env` is the whole environment."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path
    log: Path
    """stdout and stderr go there; kept below 10 MB, three older ones beside it."""
    stop_signal: str = "TERM"
    stop_seconds: float = 10.0
    """Then the whole process group is killed."""
    user: int | None = None
    group: int | None = None
    """Whose rights it runs with; None: ours."""
    restart: bool = True
    """False: it runs once for each `start`, and neither its end nor another manager starts it again."""
    backs_off: bool = True
    """False: it is started again at once however often it ended, if it did not end young."""
    clear: tuple[str, ...] = ()
    """A command that ends what an earlier run left where no process shows it: a container. Run before each start and
    after each end; safe to repeat, and its exit code says nothing."""
    reads_all: bool = False
    """It may read every file, and nothing more than its `user` beside that. Only where `launch.can_read_all()`."""
    memory: int | None = None
    """Bytes that it and its children may use together, where the platform can limit that."""


@dataclass(frozen=True, slots=True)
class Ends:
    """How often a program ended by itself `within` so many seconds, since somebody started it; `log`: how many bytes
    its log had at the last of them that it was started after; `waits`: seconds that its next start is put off."""

    count: int = 0
    within: float = 0.0
    log: int = 0
    waits: float = 0.0


@dataclass(frozen=True, slots=True)
class Process:
    """How a program is right now. `pid` is 0 when it does not run; `since`: seconds since 1970, 0 if never; `code`: its
    exit code where it ended by itself, -1 for a signal; `ended`: when it ended last, in seconds, 0 if never."""

    state: RunState
    pid: int = 0
    since: float = 0.0
    code: int | None = None
    ended: float = 0.0
    ends: Ends = Ends()


class ProcessManager(Protocol):
    """Every method may raise EngineError or Unavailable `BLU72x`; each is safe to repeat."""

    def ensure_running(self) -> bool:
        """Start the manager if it does not run; True if it had to. Whatever a killed one left is ended first,
        but not the caller: if that is one of the programs itself it must end now, its successor was started."""

    def define(self, spec: ProcessSpec) -> None:
        """Know this program (stopped at first). A running one of that name must be stopped before."""

    def defined(self, name: str) -> ProcessSpec | None:
        """The program as it was last defined."""

    def start(self, name: str) -> None:
        """Start it, now and whenever the manager starts. Returns at once."""

    def stop(self, name: str) -> None:
        """Stop it and wait for its end; it stays defined and stays stopped."""

    def remove(self, name: str) -> None:
        """Stop and forget it."""

    def states(self) -> dict[str, Process]:
        """Every program that is defined. Empty when the manager does not run."""

    def has_begun(self, name: str) -> bool:
        """Whether the program was started since it was last defined anew (`remove`, then `define`)."""

    def has_ended(self, name: str, pid: int) -> bool:
        """Whether the process that was started as `name` with this pid is known to have ended: its pid may be
        another's by now."""

    def memory_kills(self, name: str) -> int:
        """How often the kernel has ended a process of this program for its memory, as far as that is told."""

    def out_of_memory(self, name: str) -> bool:
        """Whether that happened since its last start."""

    def pid(self) -> int:
        """The manager's own process; 0 when it does not run."""

    def shutdown(self) -> None:
        """Stop every program and the manager itself."""
