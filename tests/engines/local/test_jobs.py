"""Runs of jobs: each started once, whoever is killed when; at their times, whatever the clock does."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from blumeops.base.errors import Unavailable
from blumeops.engines.local import leftovers
from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.supervisor import Supervisor
from blumeops.loop.jobs import Jobs
from blumeops.loop.revision import Revision
from blumeops.loop.sync import Site
from blumeops.render.local_unit import FolderPart, LocalUnit
from blumeops.secrets.age import Key
from blumeops.secrets.stores import Stores
from blumeops.status import jobs, records
from blumeops.status.database import open_database
from tests.engines.local import units
from tests.engines.local.conftest import apply, engine_for, processes_below, until

DAY = 86400.0


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 1, 59).timestamp()  # noqa: DTZ001  # the local clock is meant

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def site(state: Path, engine: LocalEngine) -> Iterator[Site]:
    """A site without a forge: an engine, a database, and a clock of the test's."""
    database = open_database(state)
    nothing = cast(Any, None)
    made = Site(
        "first",
        nothing,
        state,
        database,
        Stores(Key(state / "age.key", ()), state),
        lambda _: engine_for(state),
        Clock(),
    )
    yield made
    database.close()


def runs(state: Path) -> list[int]:
    """The pids that the program noted, one a run."""
    file = state / "data" / "tick" / "data" / "runs"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    return psutil.pid_exists(pid) and leftovers.alive(psutil.Process(pid))


def start(engine: LocalEngine, unit: LocalUnit, token: str) -> Any:
    """Start a run."""
    return engine.start_job(unit, token, lambda line: None)


def test_a_token_is_started_once(engine: LocalEngine, state: Path) -> None:
    """Asked twice, also after its end, there is one run; another token is another run."""
    unit = units.job(code=3)
    apply(engine, unit, "scheduled")
    apply(engine, unit, "unchanged")
    start(engine, unit, "t1")
    until(lambda: engine.job_seen("tick", "t1").state == "ended")
    assert start(engine, unit, "t1").code == 3
    assert len(runs(state)) == 1
    start(engine, unit, "t2")
    until(lambda: engine.job_seen("tick", "t2").state == "ended")
    assert engine.job_seen("tick", "t1").state == "absent"
    assert len(runs(state)) == 2


def test_it_is_killed_at_every_act_of_a_start(
    engine: LocalEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after any call of the process manager: whoever comes with the token makes it one run."""
    unit = units.job()
    apply(engine, unit, "scheduled")
    for number, name in enumerate(("remove", "define", "start")):
        for before in (True, False):
            token, count = f"t{number}{before}", len(runs(state))
            with monkeypatch.context() as patch:
                patch.setattr(Supervisor, name, _dies(getattr(Supervisor, name), before))
                with pytest.raises(KeyboardInterrupt):
                    start(engine, unit, token)
            again = engine_for(state)
            start(again, unit, token)
            until(lambda token=token, again=again: again.job_seen("tick", token).state == "ended")  # type: ignore[misc]  # a lambda's
            assert len(runs(state)) == count + 1, (name, before)


def _dies(function: Callable[..., Any], before: bool) -> Callable[..., Any]:
    """The function, and an end of the caller before or after it."""

    def act(*words: Any) -> Any:
        if not before:
            function(*words)
        raise KeyboardInterrupt

    return act


def test_it_is_given_the_folders_that_are_there(engine: LocalEngine, state: Path) -> None:
    """Of a unit that never ran there is none, and nothing is missed; of one that runs, a folder that is gone is."""
    lines = [
        FolderPart(folder="state", name="data", unit=name, before="- '", after="'\n") for name in ("never", "keeper")
    ]
    unit = units.job().model_copy(update={"files": {"list": ("all:\n", *lines)}})
    data = state / "data" / "keeper" / "data"
    apply(engine, units.keeper(1), "started")
    apply(engine, unit, "scheduled")
    for token, gone in (("t1", ()), ("t2", ("keeper",))):
        start(engine, unit, token)
        until(lambda token=token: engine.job_seen("tick", token).state == "ended")  # type: ignore[misc]  # a lambda's
        assert engine.job_result(unit, token, 0).gone == gone
        written = (state / "units" / "tick" / "a" / "config" / "list").read_text()
        assert written == ("all:\n" if gone else f"all:\n- '{data}'\n")
        shutil.rmtree(data, ignore_errors=True)


def test_the_manager_is_killed_in_a_run(engine: LocalEngine, state: Path) -> None:
    """The run ends with it, is not started again by the next manager, and is known to be lost."""
    unit = units.job(60)
    apply(engine, unit, "scheduled")
    start(engine, unit, "t1")
    until(lambda: runs(state))
    psutil.Process(engine.manager.pid()).kill()
    assert engine.manager.ensure_running()
    assert engine.job_seen("tick", "t1").state == "lost"
    assert not alive(runs(state)[0])
    assert start(engine, unit, "t1").state == "lost"
    assert len(runs(state)) == 1


def test_what_a_run_leaves_behind_is_ended(engine: LocalEngine, state: Path) -> None:
    """A process in a session of its own does not outlive the run."""
    unit = units.job(0.2, leaves=True)
    apply(engine, unit, "scheduled")
    start(engine, unit, "t1")
    until(lambda: engine.job_seen("tick", "t1").state == "ended")
    assert any("sleep 50" in words for words in processes_below(state).values())
    assert engine.job_result(unit, "t1", 0).code == 0
    assert not any("sleep 50" in words for words in processes_below(state).values())


def test_a_service_that_becomes_a_job_and_back(engine: LocalEngine, state: Path) -> None:
    """What ran as a service is ended; and a run that goes on, when the job becomes one."""
    service = units.web("one").model_copy(update={"unit": "tick"})
    apply(engine, service, "started")
    apply(engine, units.job(60), "scheduled")
    assert not any("server.py" in words for words in processes_below(state).values())
    start(engine, units.job(60), "t1")
    until(lambda: runs(state))
    apply(engine, service, "started")
    assert not alive(runs(state)[0])


@asynccontextmanager
async def looking(site: Site, unit: LocalUnit) -> AsyncIterator[Jobs]:
    """A controller's jobs, for as long as the block takes; what runs then goes on."""
    revision = Revision("r" * 40, (), None, {unit.unit: unit}, None)
    made, stop = Jobs(site, lambda: revision, lambda: False), asyncio.Event()
    task = asyncio.create_task(made.run(stop))
    try:
        yield made
    finally:
        stop.set()
        await task


async def outcomes(site: Site, *wanted: str) -> None:
    """Wait until the runs of the job ended so, the newest first."""
    found: list[str] = []
    for _ in range(500):
        found = [str(run.outcome) for run in jobs.runs(site.database, "tick")]
        if found == list(wanted):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{found}, and not {wanted}")


async def quiet(made: Jobs) -> None:
    """Let it look several times."""
    for _ in range(5):
        made.wake()
        await asyncio.sleep(0.05)


def test_once_for_a_due_time_whatever_the_clock_does(site: Site, engine: LocalEngine, state: Path) -> None:
    """At 02:00 it runs; not again when the clock goes back; once when days were missed; status says so."""
    unit, clock = units.job(), cast(Clock, site.clock)
    apply(engine, unit, "scheduled")

    async def scenario() -> None:
        async with looking(site, unit) as made:
            await quiet(made)
            assert jobs.runs(site.database, "tick") == []
            clock.now += 120
            made.wake()
            await outcomes(site, "ok")
            for step in (-120, 60, 60, 3600):
                clock.now += step
                await quiet(made)
            await outcomes(site, "ok")
        clock.now += 3 * DAY  # nobody looked for three days
        async with looking(site, unit) as made:
            await outcomes(site, "ok", "ok")
            await quiet(made)
            await outcomes(site, "ok", "ok")
        assert [run.due for run in jobs.runs(site.database, "tick")] == ["2026-11-28T02:00", "2026-11-25T02:00"]

    asyncio.run(scenario())
    assert len(runs(state)) == 2
    (shown,) = records.units(site.database)
    assert shown.state == "scheduled"
    assert shown.reason.startswith("next 2026-11-29 02:00; last ok: 2026-11-28 03:")


def test_a_run_that_still_goes_on_is_not_started_again(site: Site, engine: LocalEngine, state: Path) -> None:
    """The next due time is skipped, which is written down and said; the run goes on to its end."""
    unit, clock = units.job(2), cast(Clock, site.clock)
    apply(engine, unit, "scheduled")

    async def scenario() -> None:
        async with looking(site, unit) as made:
            await quiet(made)
            clock.now += 120
            made.wake()
            await outcomes(site, "running")
            clock.now += DAY
            made.wake()
            await outcomes(site, "skipped", "running")
            await outcomes(site, "skipped", "ok")

    asyncio.run(scenario())
    assert len(runs(state)) == 1
    (shown,) = records.units(site.database)
    assert "not started for 2026-11-26 02:00: the run of 2026-11-25 02:01 still went on" in shown.reason


@pytest.mark.parametrize("begun", [False, True], ids=["written down", "begun"])
def test_the_run_of_another_controller(site: Site, engine: LocalEngine, state: Path, begun: bool) -> None:
    """Written down and not begun it is owed; begun it is followed. Either way it is one run, with its result."""
    unit = units.job(0.5, code=4)
    apply(engine, unit, "scheduled")
    jobs.schedule(site.database, "tick", unit.at, site.clock() - DAY)
    run = jobs.begin(site.database, "tick", "t1", "2026-11-24T02:00", site.clock())
    if begun:
        start(engine, unit, run.token)

    async def scenario() -> None:
        async with looking(site, unit):
            await outcomes(site, "failed")

    asyncio.run(scenario())
    (found,) = jobs.runs(site.database, "tick")
    assert (found.id, found.code, found.message.partition(":")[0]) == (run.id, 4, "exit code 4")
    assert len(runs(state)) == 1


def test_a_run_whose_status_was_lost_is_found_again(site: Site, engine: LocalEngine, state: Path) -> None:
    """The database was damaged and begun anew: what runs is known again, and not started beside it."""
    unit = units.job(1)
    apply(engine, unit, "scheduled")
    start(engine, unit, "t1")

    async def scenario() -> None:
        async with looking(site, unit):
            await outcomes(site, "ok")

    asyncio.run(scenario())
    assert len(runs(state)) == 1


def test_what_it_needs_is_away(site: Site, engine: LocalEngine, state: Path) -> None:
    """Nothing is started: the run is written down as failed, with the reason, and the due time is over."""
    unit, clock = units.job().model_copy(update={"needs": ("web",)}), cast(Clock, site.clock)
    apply(engine, unit, "scheduled")

    async def scenario() -> None:
        async with looking(site, unit) as made:
            await quiet(made)
            clock.now += 120
            made.wake()
            await outcomes(site, "failed")
            await quiet(made)
            await outcomes(site, "failed")

    asyncio.run(scenario())
    assert jobs.runs(site.database, "tick")[0].message == "needs web, which is not healthy"
    assert runs(state) == []


def test_killed_by_hand(site: Site, engine: LocalEngine, state: Path) -> None:
    """A run that is ended by a signal has failed, at once."""
    unit, clock = units.job(60), cast(Clock, site.clock)
    apply(engine, unit, "scheduled")

    async def scenario() -> None:
        async with looking(site, unit) as made:
            await quiet(made)
            clock.now += 120
            made.wake()
            await outcomes(site, "running")
            for _ in range(200):
                if runs(state):
                    break
                await asyncio.sleep(0.02)
            with suppress(ProcessLookupError):
                os.kill(runs(state)[0], signal.SIGKILL)
            await asyncio.wait_for(outcomes(site, "failed"), 10)

    asyncio.run(scenario())
    assert jobs.runs(site.database, "tick")[0].message.startswith("was ended by a signal")


def test_a_run_that_could_not_be_ended_is_ended_later(
    site: Site, engine: LocalEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process manager is away at the end of its time."""
    unit = units.job(60).model_copy(update={"run_seconds": 5.0})
    apply(engine, unit, "scheduled")
    run = jobs.begin(site.database, "tick", "t1", "2026-11-24T02:00", site.clock() - 4.9)
    start(engine, unit, run.token)
    until(lambda: runs(state))
    stop, asked = LocalEngine.stop_job, []

    def away_once(self: LocalEngine, name: str) -> None:
        asked.append(name)
        if len(asked) == 1:
            raise Unavailable("BLU722", "supervisord", "does not answer")
        stop(self, name)

    monkeypatch.setattr(LocalEngine, "stop_job", away_once)
    monkeypatch.setattr("blumeops.loop.jobs.AGAIN", 0.2)

    async def scenario() -> None:
        async with looking(site, unit):
            await outcomes(site, "failed")

    asyncio.run(scenario())
    assert asked == ["tick", "tick"]
    assert not alive(runs(state)[0])


def test_a_manager_that_is_away_when_runs_are_looked_for(
    site: Site, engine: LocalEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is taken up by the look after that, once."""
    unit = units.job(60)
    apply(engine, unit, "scheduled")
    run = jobs.begin(site.database, "tick", "t1", "", site.clock())
    start(engine, unit, run.token)
    until(lambda: runs(state))
    seen, asked = LocalEngine.job_seen, []

    def away_once(self: LocalEngine, name: str, token: str) -> Any:
        asked.append(name)
        if len(asked) == 1:
            raise Unavailable("BLU722", "supervisord", "does not answer")
        return seen(self, name, token)

    monkeypatch.setattr(LocalEngine, "job_seen", away_once)

    async def scenario() -> None:
        async with looking(site, unit) as made:
            await quiet(made)
            os.kill(runs(state)[0], signal.SIGKILL)
            await outcomes(site, "failed")

    asyncio.run(scenario())
    assert asked == ["tick", "tick"]


def test_a_run_that_takes_too_long_is_ended(site: Site, engine: LocalEngine, state: Path) -> None:
    """At the end of its time, counted from its start whoever started it; it has failed, and says why."""
    unit = units.job(60).model_copy(update={"run_seconds": 5.0})
    apply(engine, unit, "scheduled")
    run = jobs.begin(site.database, "tick", "t1", "2026-11-24T02:00", site.clock() - 4.5)
    start(engine, unit, run.token)
    until(lambda: runs(state))

    async def scenario() -> None:
        async with looking(site, unit):
            await asyncio.wait_for(outcomes(site, "failed"), 15)

    asyncio.run(scenario())
    assert jobs.runs(site.database, "tick")[0].message == "took longer than 5 s, and was ended"
    assert not alive(runs(state)[0])
