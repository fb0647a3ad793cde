"""A local engine for real processes, all of which it stops. (That none is left, the guard of all tests sees.)"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import platformdirs
import psutil
import pytest

from blumeops.engines.local import leftovers
from blumeops.engines.local.engine import LocalEngine, local_engine
from blumeops.engines.local.folders import Folders, service_account
from blumeops.engines.local.manager import USUAL, BackOff
from blumeops.engines.local.programs import Programs, cache_folder
from blumeops.engines.local.supervisor import LOG_BYTES, Supervisor
from blumeops.render.local_unit import LocalUnit

CANARY = "canary-3f9b0c"
VALUES: dict[str, str] = {}


def secret(reference: str) -> str:
    """A store in which every value is a canary."""
    return VALUES.get(reference, f"{CANARY}-{reference.rpartition('/')[2]}")


def processes_below(state: Path) -> dict[int, str]:
    """What runs for this state folder, by mark or by arguments: pid and arguments."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if str(state) in words or str(state) in process.environ().get(leftovers.MARK, ""):
                found[process.pid] = words
    return found


def programs_cache() -> Path:
    """The tests' cache; for root the machine's, since services run as another user, who cannot enter root's home."""
    return Path(platformdirs.site_cache_dir("blumeops") if os.geteuid() == 0 else cache_folder())


def engine_for(state: Path, drain: float = 0.5) -> LocalEngine:
    """An engine as a controller makes it."""
    return local_engine(state, secret, Programs(programs_cache()), drain)


def hasty_engine(state: Path, back_off: BackOff = USUAL, log_bytes: int = LOG_BYTES) -> LocalEngine:
    """One whose manager has other times and sizes than it has for people."""
    folders = Folders(state, service_account())
    folders.prepare()
    manager = Supervisor(state / "manager", folders, back_off, log_bytes)
    return LocalEngine(folders, manager, secret, Programs(programs_cache()), 0.5)


@pytest.fixture
def engine(state: Path) -> Iterator[LocalEngine]:
    """A local engine; everything that it started is stopped."""
    made = engine_for(state)
    yield made
    made.stop_all([])


def get(port: int, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """One request to loopback: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def led_to(state: Path, name: str) -> int:
    """The port to which the proxy leads for this name."""
    (file,) = (state / "upstreams" / name).iterdir()
    return int(file.name)


def apply(engine: LocalEngine, unit: LocalUnit, action: str) -> None:
    """Apply, and expect that it comes to this without a complaint."""
    outcome = engine.apply(unit, lambda line: None)
    assert (outcome.action, outcome.reason) == (action, "")


def running(engine: LocalEngine, unit: str = "web") -> int:
    """The process of a unit, once it is healthy: while its program is started again there is none for a moment."""
    until(lambda: (seen := engine.observe()[unit]).health == "healthy" and seen.pid)
    return engine.observe()[unit].pid


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Ask again and again until it is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
