"""The end of a process is told at once, and status says why; what was changed by hand is put back, or only told."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from blumeops.engines.local import leftovers
from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.exits import Exits
from blumeops.loop.healing import Healer
from blumeops.loop.revision import Revision
from blumeops.loop.sync import Site, look
from blumeops.loop.watcher import Watcher
from blumeops.render.local_unit import LocalUnit
from blumeops.secrets.age import Key
from blumeops.secrets.stores import Stores
from blumeops.status import records
from blumeops.status.database import open_database
from tests.engines.local import units
from tests.engines.local.conftest import CANARY, apply, engine_for, get, until

ORPHAN = "import os, time; pid = os.fork(); pid and print(pid, flush=True); pid or (os.close(1), time.sleep(60))"


@pytest.fixture
def orphan() -> Iterator[int]:
    """A process that is no child of ours."""
    pid = int(subprocess.run([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, check=True).stdout)
    yield pid
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def site(state: Path, engine: LocalEngine) -> Iterator[Site]:
    """A site without a forge: an engine, and a database."""
    database = open_database(state)
    nothing = cast(Any, None)
    yield Site(
        "first", nothing, state, database, Stores(Key(state / "age.key", ()), state), lambda _: engine_for(state)
    )
    database.close()


def revision_of(*wanted: LocalUnit) -> Revision:
    """A revision that describes just these."""
    return Revision("r" * 40, (), None, {unit.unit: unit for unit in wanted}, None)


def test_an_end_is_told_at_once(orphan: int) -> None:
    """Also of a process that is no child of ours; nothing is told of others, and no descriptor is left."""

    async def scenario() -> float:
        told = asyncio.Queue[tuple[str, int]]()
        exits = Exits(lambda name, pid: told.put_nowait((name, pid)), lambda name, pid: False)
        exits.follow({"self": os.getpid(), "orphan": orphan})
        await asyncio.sleep(0.05)
        assert told.empty()
        began = time.monotonic()
        os.kill(orphan, signal.SIGKILL)
        assert await asyncio.wait_for(told.get(), 5) == ("orphan", orphan)
        took = time.monotonic() - began
        exits.close()
        return took

    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert asyncio.run(scenario()) < 0.5
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_an_end_that_came_before_is_told_too(orphan: int) -> None:
    """A pid that nobody has any more, and one that is another's by now; one that is not followed any more is not."""

    async def scenario() -> set[str]:
        told = set[str]()
        exits = Exits(lambda name, pid: told.add(name), lambda name, pid: name == "another's")
        process = psutil.Process(orphan)
        process.kill()
        while leftovers.alive(process):
            await asyncio.sleep(0.01)
        exits.follow({"dead": orphan, "another's": os.getpid(), "ours": os.getpid()})
        exits.follow({"dead": orphan, "another's": os.getpid()})
        await asyncio.sleep(0.05)
        exits.close()
        return told

    assert asyncio.run(scenario()) == {"dead", "another's"}


def test_a_crash_stands_in_the_status_at_once(
    engine: LocalEngine, site: Site, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGKILL: its condition says that it ended by itself long before any look at everything, and then that it is
    back; nobody was called, since there is nothing to do."""
    apply(engine, units.web("one"), "started")
    revision, called = revision_of(units.web("one")), list[str]()
    caplog.set_level(logging.WARNING)

    async def scenario() -> float:
        watcher = Watcher(site, lambda: revision, lambda: called.append("attend"))
        loop = asyncio.get_running_loop()
        site.saw = lambda seen, whole: loop.call_soon_threadsafe(watcher.saw, seen, whole)
        running = asyncio.create_task(watcher.run())
        seen = await asyncio.to_thread(look, site, engine, revision)
        await asyncio.sleep(0.1)
        (state / "logs" / "web.a.log").write_text("of a request long ago\n")
        os.utime(state / "logs" / "web.a.log", (1e9, 1e9))
        began = time.monotonic()
        os.kill(seen["web"].pid, signal.SIGKILL)
        while records.units(site.database)[0].health == "healthy":
            await asyncio.sleep(0.005)
            assert time.monotonic() - began < 5
        took = time.monotonic() - began
        assert records.units(site.database)[0].reason == "ended by itself"  # what it printed long ago is not why
        while (unit := records.units(site.database)[0]).health != "healthy":
            await asyncio.sleep(0.01)
            assert time.monotonic() - began < 9
        assert (unit.state, unit.reason) == ("running", "")
        while len(caplog.records) < 2 and time.monotonic() - began < 9:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
        return took

    assert asyncio.run(scenario()) < 1
    assert [record.message.partition(":")[0].partition(" after")[0] for record in caplog.records] == [
        "web ended by itself", "web is back",
    ]  # fmt: skip
    assert not called


def test_a_lost_manager_calls_for_attention(engine: LocalEngine, site: Site) -> None:
    """SIGKILL of supervisord: whoever can start it again is called at once."""
    apply(engine, units.web("one"), "started")
    revision = revision_of(units.web("one"))

    async def scenario() -> None:
        called = asyncio.Event()
        watcher = Watcher(site, lambda: revision, called.set)
        watcher.saw(await asyncio.to_thread(engine.observe), True)
        running = asyncio.create_task(watcher.run())
        await asyncio.sleep(0.05)
        assert not called.is_set()
        os.kill(engine.manager.pid(), signal.SIGKILL)
        await asyncio.wait_for(called.wait(), 5)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())
    assert engine.manager.ensure_running()
    until(lambda: engine.observe()["web"].health == "healthy")


def test_the_manager_knows_its_own(engine: LocalEngine) -> None:
    """Of a program's pid it is known whether it is still the program's."""
    apply(engine, units.web("one"), "started")
    seen = engine.observe()["web"]
    assert not engine.manager.has_ended(seen.instance, seen.pid)
    assert not engine.manager.has_ended(seen.instance, os.getpid())  # of that one nothing is recorded
    process = psutil.Process(seen.pid)
    engine.stop("web")
    assert not leftovers.alive(process)
    assert engine.manager.has_ended(seen.instance, seen.pid)


def described(heal: bool) -> LocalUnit:
    """A server with a file that has a secret in it."""
    unit = units.web("one")
    secret = unit.env["KEY"][0]
    return unit.model_copy(
        update={"heal": heal, "files": {**unit.files, "web.conf": ("word = one\nkey = ", secret, "\nlast = 1\n")}}
    )


def test_what_was_changed_by_hand_is_put_back_and_told(engine: LocalEngine, site: Site, state: Path) -> None:
    """The history has the difference, without the secret and without what was put in its place."""
    unit = described(heal=True)
    apply(engine, unit, "started")
    (file,) = state.glob("units/web/*/config/web.conf")
    before = file.read_text()
    assert CANARY in before
    file.write_text("word = two\nkey = their own password\nlast = 1\nmore\n")
    revision, healer = revision_of(unit), Healer()
    assert healer.heal(site, engine, revision, look(site, engine, revision))
    (file,) = state.glob("units/web/*/config/web.conf")
    assert file.read_text() == before
    (run,) = records.history(site.database)
    assert (run.outcome, [step.action for step in run.steps]) == ("healed", ["restarted"])
    text = "\n".join(run.changes)
    assert run.changes[0] == "web: config/web.conf changed by hand"
    assert "-word = one" in text
    assert "+more" in text
    assert "password" not in text
    assert CANARY not in text
    assert not healer.heal(site, engine, revision, look(site, engine, revision))
    assert len(records.history(site.database)) == 1


def test_what_is_not_to_be_healed_is_told_once(engine: LocalEngine, site: Site, state: Path) -> None:
    """`heal: false`: the file stays, the service runs on, status says so, and the history once, also with a new
    controller; the same for a service that somebody stopped."""
    unit = described(heal=False)
    apply(engine, unit, "started")
    before = engine.observe()["web"]
    (file,) = state.glob("units/web/*/config/web.conf")
    file.write_text(file.read_text().replace("one", "two"))
    revision = revision_of(unit)
    for _ in range(2):
        healer = Healer()
        for _ in range(2):
            assert not healer.heal(site, engine, revision, look(site, engine, revision))
    assert "two" in file.read_text()
    assert engine.observe()["web"].pid == before.pid
    (seen,) = records.units(site.database)
    assert (seen.state, seen.health) == ("running", "healthy")
    assert seen.reason == "config/web.conf changed by hand; left so: heal: false"
    (run,) = records.history(site.database)
    assert (run.outcome, run.changes[-2:]) == ("drifted", ("-word = one", "+word = two"))
    file.write_text(file.read_text().replace("two", "one"))
    engine.manager.stop(before.instance)
    assert not Healer().heal(site, engine, revision, look(site, engine, revision))
    assert records.units(site.database)[0].reason == "was stopped by hand; left so: heal: false"
    assert len(records.history(site.database)) == 2
    healing = revision_of(described(heal=True))
    assert Healer().heal(site, engine, healing, look(site, engine, healing))
    assert get(engine.observe()["web"].ports["http"])[0] == 200


def test_what_cannot_be_put_back_is_told_once(engine: LocalEngine, site: Site) -> None:
    """A service that was lost and whose port somebody took is tried at each look; the history has it once."""
    unit = units.web("one")
    apply(engine, unit, "started")
    seen = engine.observe()["web"]
    engine.manager.stop(seen.instance)
    (script,) = engine.folders.state.glob("units/web/*/config/server.py")
    script.chmod(0)
    script.write_text("raise SystemExit('no more')")
    revision, healer = revision_of(unit.model_copy(update={"version": "99"})), Healer()
    for _ in range(3):
        healer.heal(site, engine, revision, look(site, engine, revision))
    assert [run.outcome for run in records.history(site.database)] == ["failed"]
