"""What is killed comes back, once; and nobody else's death harms what serves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from blumeops.engines.local import leftovers
from blumeops.engines.local.engine import LocalEngine
from blumeops.render.local_unit import FolderPart, LocalUnit
from tests.engines.local import units
from tests.engines.local.conftest import apply, engine_for, get, led_to, processes_below, running, until


def servers(state: Path, word: str) -> list[int]:
    """The pids of what runs for this state folder with `word` in its arguments."""
    return [pid for pid, words in processes_below(state).items() if word in words]


def dies(state: Path, unit: LocalUnit, act: int, fails: bool = False) -> bool:
    """Whether a controller that applies the unit came to its n-th act, and died there. `fails`: what it applies is
    taken back when it does not die."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.local.dying", str(state), str(act)],
        input=unit.model_dump_json().encode(), check=False, capture_output=True,
    )  # fmt: skip
    told = done.stderr.decode()
    assert done.returncode == -signal.SIGKILL or (told.startswith("rolled back") if fails else not told), told
    return done.returncode == -signal.SIGKILL


def supervisord(state: Path) -> psutil.Process:
    """The manager of this state folder."""
    return psutil.Process(int((state / "manager" / "supervisord.pid").read_text()))


def test_killed_service_comes_back(engine: LocalEngine) -> None:
    """SIGKILL of a service: it is started again, without a controller."""
    apply(engine, units.web("one"), "started")
    before = engine.observe()["web"]
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: (now := engine.observe()["web"]).health == "healthy" and now.pid != before.pid)
    apply(engine, units.web("one"), "unchanged")


def test_crash_loop_is_told(engine: LocalEngine, state: Path) -> None:
    """A service that worked and now ends at each start is failed, with its last log line, and tries again later."""
    apply(engine, units.web("one"), "started")
    (script,) = state.glob("units/web/*/config/server.py")
    script.write_text("raise SystemExit('no more: its key was ' + __import__('os').environ['KEY'])")
    os.kill(running(engine), signal.SIGKILL)
    until(lambda: "no more" in engine.observe()["web"].reason)
    seen = engine.observe()["web"]
    assert (seen.state, seen.reason.rpartition("no more")[2]) == ("failed", ": its key was ***")
    assert engine_for(state).observe()["web"].reason == seen.reason
    apply(engine, units.web("one"), "restarted")


def test_manager_outlives_its_starter(state: Path) -> None:
    """The process that started the lab ends; services serve on; it is a session of its own with nothing inherited."""
    assert not dies(state, units.web("one"), 0)
    engine = engine_for(state)
    try:
        apply(engine, units.web("one"), "unchanged")
        daemon = supervisord(state)
        assert os.getsid(daemon.pid) != os.getsid(0)
        assert daemon.ppid() != os.getpid()
        assert daemon.environ().keys() <= {"PATH", "LANG", "LC_ALL", "TZ"}
    finally:
        engine.stop_all(["web"])


def test_killed_manager_doubles_nothing(engine: LocalEngine, state: Path) -> None:
    """SIGKILL of supervisord: its orphans are ended, then everything comes back with its data, once."""
    apply(engine, units.postgresql(), "started")
    apply(engine, units.web("one"), "started")
    before = engine.observe()
    daemon = supervisord(state)
    daemon.kill()
    until(lambda: not leftovers.alive(daemon))
    assert get(before["web"].ports["http"])[0] == 200
    assert engine.manager.ensure_running()
    until(lambda: {each.health for each in engine.observe().values()} == {"healthy"})
    now = engine.observe()
    assert now["web"].pid != before["web"].pid
    assert servers(state, "listen_addresses") == [now["postgresql"].pid]
    assert now["postgresql"].pid != before["postgresql"].pid
    assert servers(state, "server.py") == [now["web"].pid]
    for unit in (units.postgresql(), units.web("one")):
        apply(engine, unit, "unchanged")


def test_manager_whose_socket_is_lost_is_replaced(engine: LocalEngine, state: Path) -> None:
    """Somebody cleans up the folder with the socket: the manager that nobody reaches is ended before the next."""
    apply(engine, units.web("one"), "started")
    daemon = supervisord(state)
    (engine.folders.short() / "supervisor.sock").unlink()
    apply(engine, units.web("one"), "unchanged")
    assert not leftovers.alive(daemon)
    assert len(servers(state, "server.py")) == 1


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("update", ["stop-start", "replace"])
def test_controller_killed_in_an_update(engine: LocalEngine, state: Path, update: str) -> None:
    """A controller that dies at any act of an update: the next apply converges, with one process and its route."""
    apply(engine, units.web("v0", update), "started")
    act = 0
    while True:
        act += 1
        new = units.web(f"v{act}", update)
        died = dies(state, new, act)
        if update == "replace":
            assert get(led_to(state, "web"))[0] == 200
        outcome = engine_for(state, drain=0).apply(new, lambda line: None)
        assert (outcome.ok, outcome.reason) == (True, ""), act
        (pid,) = servers(state, "server.py")
        assert get(led_to(state, "web")) == (200, f"v{act} {pid}")
        assert len(list(state.glob("units/web/*/config"))) == 1
        if not died:
            break
    assert act > 10


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_controller_killed_in_a_first_start(engine: LocalEngine, state: Path) -> None:
    """A controller that dies while PostgreSQL is initialised and started: no half database, one server."""
    act = 0
    while True:
        act += 1
        died = dies(state, units.postgresql(), act)
        if act % 3 == 0 or not died:
            outcome = engine.apply(units.postgresql(), lambda line: None)
            assert (outcome.ok, outcome.reason) == (True, ""), act
            engine.remove("postgresql")
            subprocess.run(["rm", "-rf", str(state / "data" / "postgresql")], check=True)
        if not died:
            break
    assert act > 5


def test_cut_off_initialisation_is_done_again(engine: LocalEngine, state: Path) -> None:
    """A controller killed while initdb runs: what initdb left is ended and taken away, and the database made anew."""
    unit = units.postgresql()
    assert unit.init
    slow = (("sh",), ("-c",), ('echo 18 > "$0"/PG_VERSION; sleep 100',), unit.init.command[2])
    half = unit.model_copy(update={"init": unit.init.model_copy(update={"command": slow})})
    with subprocess.Popen(
        [sys.executable, "-m", "tests.engines.local.dying", str(state), "0"], stdin=subprocess.PIPE
    ) as controller:
        assert controller.stdin
        controller.stdin.write(half.model_dump_json().encode())
        controller.stdin.close()
        until((state / "data" / "postgresql" / "data" / "PG_VERSION").exists)
        controller.kill()
    apply(engine, unit, "started")
    assert not servers(state, "sleep 100")


def test_long_state_path_and_a_share(state: Path) -> None:
    """Sockets work below a path that is too long for them; a share without a folder of its own is made."""
    long = state / ("x" * 100)
    engine = engine_for(long)
    share = FolderPart(folder="share", name="music")
    unit = units.caddy("one").model_copy(update={"env": {"MUSIC": (share,)}})
    try:
        apply(engine, unit, "started")
        apply(engine, units.caddy("two").model_copy(update={"env": {"MUSIC": (share,)}}), "reloaded")
        assert (long / "shares" / "music").is_dir()
        sockets = engine.folders.short()
        assert len(str(sockets)) < 50
        assert sockets.is_dir()
    finally:
        engine.stop_all(["caddy"])
    assert not sockets.exists()
    again = engine_for(long)  # whoever looks later makes nothing anew
    assert again.observe()["caddy"].state == "stopped"
    assert not again.manager.states()
    assert not again.folders.short().exists()
    assert again.folders.door() == long / "run"


def test_stopping_without_a_manager(engine: LocalEngine, state: Path) -> None:
    """The manager was killed, and then all is to be stopped: nothing is left of its programs either."""
    apply(engine, units.web("one"), "started")
    supervisord(state).kill()
    engine.stop_all(["web"])
    assert not processes_below(state)
