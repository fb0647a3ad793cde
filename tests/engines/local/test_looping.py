"""A program that ends again and again is started later and later, by the manager alone, and the status says so."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from blumeops.engines.local import launch, leftovers
from blumeops.engines.local.engine import LocalEngine, Observed
from blumeops.engines.local.manager import BackOff, ProcessSpec
from blumeops.render.local_unit import LocalUnit
from tests.engines.local import units
from tests.engines.local.conftest import CANARY, apply, hasty_engine, processes_below, running, until

LIVES = 0.8
"""Seconds that the program lives: with `young=0` it is old enough for supervisor to start it again at once."""
HASTY = BackOff(young=0, window=60, first=0.3, longest=1.2)
BORDER = f"""
import http.server, os, threading, time
print("began", time.time(), flush=True)
def leave():
    print("no more: its key is " + os.environ["KEY"], flush=True)
    os._exit(3)
threading.Timer({LIVES}, leave).start()
"""
FOR_EVER = 60.0


def looping() -> LocalUnit:
    """A small server that says when it began, is healthy, and ends soon."""
    unit = units.web("one")
    return unit.model_copy(update={"files": {"server.py": (BORDER, *unit.files["server.py"])}})


def starts(state: Path) -> list[float]:
    """When it was started, by its own words."""
    log = state / "logs" / "web.a.log"
    return [float(word) for word in re.findall(r"began ([0-9.]+)", log.read_text() if log.exists() else "")]


@pytest.fixture
def hasty(state: Path) -> Iterator[LocalEngine]:
    """An engine whose manager has short times; everything that it started is stopped."""
    made = hasty_engine(state, HASTY)
    yield made
    made.stop_all([])


@pytest.fixture
def slow(state: Path) -> Iterator[LocalEngine]:
    """An engine whose programs wait for ever after their second end."""
    made = hasty_engine(state, BackOff(young=0, window=60, first=FOR_EVER, longest=FOR_EVER))
    yield made
    made.stop_all([])


def test_it_is_started_later_and_later(hasty: LocalEngine, state: Path) -> None:
    """Though it lives long enough each time to look well: at once after the first end, then each time twice as late,
    up to the limit; no controller is there."""
    apply(hasty, looping(), "started")
    # supervisor looks about once a second, and whenever it is asked something
    until(lambda: hasty.manager.states() and len(starts(state)) >= 6, 30)
    began = starts(state)
    pauses = [after - before - LIVES for before, after in itertools.pairwise(began)]
    least = [0.0, 0.3, 0.6, 1.2, 1.2]
    assert all(pause >= wait - 0.02 for pause, wait in zip(pauses, least, strict=False)), pauses
    assert pauses[0] < pauses[2], pauses


def test_the_status_tells_of_it(hasty: LocalEngine, state: Path) -> None:
    """While it waits it has failed, with its last words; while it runs it is healthy, and why it is no good stands
    there too; what uses it waits. No secret is in the words."""
    apply(hasty, looping(), "started")
    user = units.web("two").model_copy(update={"unit": "user", "needs": ("web",)})
    until(lambda: len(starts(state)) >= 3, 30)
    seen = list[Observed]()
    while len(starts(state)) < 5 and len(seen) < 10_000:
        seen.append(hasty.observe()["web"])
    waiting = [each for each in seen if "waits" in each.reason]
    assert {(each.state, each.health, each.pid) for each in waiting} == {("failed", "", 0)}
    words = "ended by itself, 3 times within 1 minutes, and waits 0.6 s before it starts again: "
    assert any(each.reason.startswith(words) and each.reason.endswith("no more: its key is ***") for each in waiting)
    well = [each for each in seen if each.health == "healthy"]
    assert {each.state for each in well} == {"running"}
    assert any(each.reason == "ended 3 times within 1 minutes, last: no more: its key is ***" for each in well)
    assert not [each for each in seen if CANARY in each.reason]
    until(lambda: hasty.observe()["web"].state == "failed", 30)
    assert hasty.apply(user, print).reason == "waits for web"


def test_a_single_end_costs_nothing(slow: LocalEngine, state: Path) -> None:
    """It is there again at once, and nothing is told."""
    apply(slow, units.web("one"), "started")
    before = slow.observe()["web"]
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: (now := slow.observe()["web"]).health == "healthy" and now.pid != before.pid)
    assert slow.observe()["web"].reason == ""


def ended_twice(engine: LocalEngine) -> psutil.Process:
    """Whoever waits in its place, for a minute from now on."""
    apply(engine, units.web("one"), "started")
    first = engine.observe()["web"].pid
    os.kill(first, signal.SIGKILL)
    until(lambda: (now := engine.observe()["web"]).health == "healthy" and now.pid != first)
    os.kill(running(engine), signal.SIGKILL)
    until(lambda: engine.manager.states()["web.a"].ends.waits == FOR_EVER)
    (pid,) = (pid for pid, words in processes_below(engine.folders.state).items() if "launch.py" in words)
    return psutil.Process(pid)


def test_what_waits_ends_and_starts_at_once(slow: LocalEngine) -> None:
    """It is stopped without a delay, whatever its signal; and whoever asks for it then has not to wait."""
    waits = ended_twice(slow)
    began = time.monotonic()
    slow.manager.start("web.a")
    until(lambda: slow.observe()["web"].health == "healthy")
    assert not leftovers.alive(waits)
    slow.stop("web")
    assert time.monotonic() - began < 10
    assert slow.observe()["web"].state == "stopped"


def test_what_waits_is_lost_with_its_manager(slow: LocalEngine, state: Path) -> None:
    """SIGKILL of supervisord: nobody waits any more, and all is started once, without a wait."""
    waits = ended_twice(slow)
    os.kill(slow.manager.pid(), signal.SIGKILL)
    assert slow.manager.ensure_running()
    until(lambda: slow.observe()["web"].health == "healthy")
    assert not leftovers.alive(waits)
    (words,) = (each for each in processes_below(state).values() if "server.py" in each or "launch.py" in each)
    assert "server.py" in words
    assert slow.observe()["web"].reason == ""


def test_it_can_be_stopped_by_a_signal_that_is_ignored_by_default(state: Path) -> None:
    """WINCH, as some servers want it: while it waits that ends it too, long before it would be killed."""
    log = state / "log"
    log.touch()
    engine = hasty_engine(state, BackOff(young=0, window=60, first=FOR_EVER, longest=FOR_EVER))
    manager = engine.manager
    try:
        assert manager.ensure_running()
        program = (sys.executable, "-c", "import time; time.sleep(0.1)")
        manager.define(ProcessSpec("brief", program, {}, state, log, stop_signal="WINCH", stop_seconds=30))
        manager.start("brief")
        until(lambda: manager.states()["brief"].ends.waits)
        assert manager.states()["brief"].state == "crashed"
        began = time.monotonic()
        manager.stop("brief")
        assert time.monotonic() - began < 10
    finally:
        manager.shutdown()


def test_one_that_does_not_back_off(state: Path) -> None:
    """The controller is such a one: it is there again at once, however often somebody kills it."""
    log = state / "log"
    log.touch()
    manager = hasty_engine(state, BackOff(young=0, window=60, first=FOR_EVER, longest=FOR_EVER)).manager
    try:
        assert manager.ensure_running()
        spec = ProcessSpec("brief", (sys.executable, "-c", "print('began')"), {}, state, log, backs_off=False)
        manager.define(spec)
        assert manager.defined("brief") == spec
        manager.start("brief")
        until(lambda: log.read_text().count("began") > 3)
        assert not launch.ends_of(str(state / "manager" / "pids" / "brief.json"))
    finally:
        manager.shutdown()


def test_a_log_is_set_aside_before_it_is_large(state: Path) -> None:
    """A real program that prints more than the limit several times over: the log and three older ones are kept, none is
    larger, and the newest lines are there."""
    log, limit = state / "print", 256 << 10
    manager = hasty_engine(state, log_bytes=limit).manager
    try:
        assert manager.ensure_running()
        words = "import time\nfor at in range(4000): print(f'line {at:06}', 'x' * 500)\ntime.sleep(60)"
        manager.define(ProcessSpec("talker", (sys.executable, "-u", "-c", words), {}, state, log))
        manager.start("talker")
        kept = ["print", "print.1", "print.2", "print.3"]

        def whole() -> bytes:
            found = list[bytes]()
            for name in reversed(kept):
                with contextlib.suppress(FileNotFoundError):  # not yet, or just being renamed
                    found.append((state / name).read_bytes())
            return b"".join(found)

        until(lambda: whole().endswith(b"line 003999 " + b"x" * 500 + b"\n"))  # the newest file may be empty
        assert sorted(path.name for path in state.glob("print*")) == kept
        assert all(
            path.stat().st_size <= limit + (128 << 10) for path in state.glob("print*")
        )  # and what supervisor reads at once
        numbers = [int(each) for each in re.findall(rb"line (\d{6}) ", whole())]
        assert numbers == list(range(numbers[0], 4000))
    finally:
        manager.shutdown()
