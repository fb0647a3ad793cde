"""How long a program that keeps ending waits: counted from the times of its ends, and from nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from blumeops.engines.local import health, launch, states
from blumeops.engines.local.manager import USUAL

MINUTE = 60.0


def waits(ends: list[float], now: float) -> float:
    """Seconds before the start at `now`."""
    return launch.delay(len(launch.lately(ends, now)))


def test_the_rule_is_one() -> None:
    """What `launch` does where nobody tells it otherwise is what the manager tells it."""
    assert (USUAL.window, USUAL.first, USUAL.longest) == (launch.WINDOW, launch.FIRST, launch.LONGEST)


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 32), (8, 60), (9, 60), (10**6, 60)],
)
def test_each_end_doubles_the_wait_up_to_a_minute(ends: int, seconds: float) -> None:
    """A single end costs nothing."""
    assert launch.delay(ends) == seconds


def test_a_program_that_ends_every_six_seconds_comes_to_one_start_a_minute() -> None:
    """Whatever it does, beyond the border of being young or not: the pauses grow, and then stay."""
    now, ends, pauses = 0.0, list[float](), list[float]()
    for _ in range(40):
        now += 6
        ends = launch.lately([*ends, now], now)
        pauses.append(launch.delay(len(ends)))
        now += pauses[-1]
    assert pauses[:8] == [0, 1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[8:]) == {60}


def test_an_end_after_hours_is_a_single_one() -> None:
    """Only what ended within ten minutes counts."""
    assert waits([0, 5, 10, 3 * 60 * MINUTE], 3 * 60 * MINUTE) == 0
    assert waits([0, 9 * MINUTE], 9 * MINUTE) == 1
    assert waits([0, 11 * MINUTE], 11 * MINUTE) == 0


def test_a_clock_that_is_set_back_counts_nothing_twice() -> None:
    """Ends of a time that is yet to come are forgotten; what is remembered has an end."""
    assert launch.lately([100.0, 5000.0], 200) == [100.0]
    assert len(launch.lately([1.0] * 5000, 2)) == launch.KEPT


def spec(folder: Path) -> dict[str, object]:
    """As much of a form as the counting needs."""
    (folder / "log").touch()
    return {"record": str(folder / "web.json"), "log": str(folder / "log"), "stop_signal": "WINCH"}


def test_each_start_but_the_first_is_after_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told: who waits and how long, and how much the log had in it. Whoever waits can be stopped before
    that can be read."""
    heeded = list[tuple[str, float]]()
    record = str(tmp_path / "web.json")
    monkeypatch.setattr(launch, "end_at_once", lambda name: heeded.append((name, launch.ends_of(record)["waits"])))
    rule = {"window": 60.0, "first": 2.0, "longest": 3.0}
    form = spec(tmp_path)
    assert launch.count(form, rule) == 0
    (tmp_path / "log").write_text("no more\n")
    assert [launch.count(form, rule) for _ in range(3)] == [0, 2, 3]
    assert heeded == [("WINCH", 0), ("WINCH", 2)]
    told = launch.ends_of(record)
    assert (told["pid"], told["waits"], told["log"], told["since"], len(told["ends"])) == (os.getpid(), 3, 8, 0, 3)


@pytest.mark.parametrize("content", ["", "{", "[", json.dumps({})])
def test_what_cannot_be_read_is_a_first_start(tmp_path: Path, content: str) -> None:
    """Half a file, of a machine that lost its power, keeps nothing from starting."""
    form = spec(tmp_path)
    (tmp_path / "web.json.ends").write_text(content)
    assert launch.count(form, {"window": 60.0, "first": 2.0, "longest": 3.0}) == 0


NOTED = {"pid": 7, "ends": [], "log": 0, "waits": 0, "since": 0}
RUNNING = {"statename": "RUNNING", "pid": 7, "start": 100, "stop": 90, "exitstatus": 0}


@pytest.mark.parametrize(
    ("info", "told", "seen"),
    [
        ({}, {}, ("running", 7, 0, 0)),  # whoever does not back off
        ({}, NOTED, ("running", 7, 0, 0)),
        ({}, {**NOTED, "waits": 4, "ends": 4}, ("crashed", 0, 4, 4)),
        ({}, {**NOTED, "pid": 6}, ("crashed", 0, 1, 0)),  # started again, and nobody knows yet whether it waits
        ({"statename": "STARTING"}, {**NOTED, "waits": 4, "pid": 6}, ("crashed", 0, 1, 0)),
        ({"statename": "BACKOFF", "pid": 0}, NOTED, ("crashed", 0, 1, 0)),
        ({"statename": "EXITED", "pid": 0}, {**NOTED, "waits": 4}, ("crashed", 0, 1, 0)),
        ({"statename": "STOPPED", "pid": 0}, {**NOTED, "waits": 4}, ("stopped", 0, 0, 0)),
    ],
)
def test_what_supervisor_tells_and_what_was_noted(
    info: dict[str, object], told: dict[str, object], seen: tuple[str, int, int, float]
) -> None:
    """What waits has ended, whatever supervisor calls it; an end that nothing was started after yet counts too."""
    ends = told.get("ends", 0)
    noted = {**told, "ends": [time.time()] * ends if isinstance(ends, int) else ends}  # the list is older than the test
    process = states.process(RUNNING | info, noted if told else told, USUAL)
    assert (process.state, process.pid, process.ends.count, process.ends.waits) == seen


def test_after_its_wait_it_is_as_young_as_it_is() -> None:
    """Supervisor knows only when it began to wait."""
    now = time.time()
    noted = {**NOTED, "ends": [now - 60, now - 8], "since": now - 1}
    process = states.process(RUNNING | {"start": now - 60}, noted, USUAL)
    assert (process.state, process.since, process.ends.count) == ("starting", now - 1, 2)
    assert states.process(RUNNING, {**noted, "since": now - 30}, USUAL).state == "running"


def test_the_last_line_before_an_end(tmp_path: Path) -> None:
    """What the next run prints is not why the one before ended; nothing is told of a log that was set aside since."""
    log = tmp_path / "log"
    log.write_text("began\nno more\n")
    size = health.size_of(log)
    log.write_text("began\nno more\nbegan again\n")
    assert health.last_lines(log, count=1, until=size) == "no more"
    assert health.last_lines(log, count=1) == "began again"
    log.write_text("new\n")
    assert health.last_lines(log, count=1, until=size) == ""
