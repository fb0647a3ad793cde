"""A service that uses more memory than it may is ended alone, told so, and started again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from blumeops.engines.local import launch, limits
from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.limits import DENIED, NONE, Limits, limits_for
from blumeops.render.local_unit import LocalUnit
from tests.engines.local import units
from tests.engines.local.conftest import apply, get, until

HUNGRY = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/eat":
            eaten = [bytearray(os.urandom(1 << 20)) for _ in range(200)]
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


def hungry(megabytes: int) -> LocalUnit:
    """A server that takes 200 MB at `/eat`."""
    unit = units.web("one")
    return unit.model_copy(update={"unit": "hungry", "files": {"server.py": (HUNGRY,)}, "memory": megabytes << 20})


def fake_proc(folder: Path, cgroup: str, mountinfo: str) -> Path:
    """A /proc/self with these files."""
    (folder / "cgroup").write_text(cgroup)
    (folder / "mountinfo").write_text(mountinfo)
    return folder


def test_a_service_over_its_limit_is_ended_alone(engine: LocalEngine, state: Path) -> None:
    """The kernel ends it, not its neighbour, nor us; it is back at once, in the same group; nothing is left of that."""
    base = limits_for(engine.folders.state / "manager").base
    if base is None:
        pytest.skip("we may not make control groups for memory on this machine")
    apply(engine, units.web("one"), "started")
    apply(engine, hungry(100), "started")
    before = engine.observe()
    group = base / before["hungry"].instance
    assert str(before["hungry"].pid) in (group / "cgroup.procs").read_text().split()
    assert get(before["hungry"].ports["http"])[0] == 200
    assert not engine.manager.out_of_memory(before["hungry"].instance)
    with pytest.raises(OSError):  # noqa: PT011 - whatever a connection says when its other end is gone
        get(before["hungry"].ports["http"], "/eat")
    assert engine.manager.memory_kills(before["hungry"].instance) == 1
    until(lambda: engine.observe()["hungry"].health == "healthy")
    after = engine.observe()
    assert after["hungry"].pid != before["hungry"].pid
    assert after["web"].pid == before["web"].pid
    apply(engine, hungry(400), "restarted")
    assert get(engine.observe()["hungry"].ports["http"], "/eat")[0] == 200
    engine.stop_all([])
    assert not base.exists()


def test_a_loop_for_memory_is_told_as_that(engine: LocalEngine) -> None:
    """A service that cannot even start within its limit: status says which limit it was."""
    if limits_for(engine.folders.state / "manager").base is None:
        pytest.skip("we may not make control groups for memory on this machine")
    apply(engine, hungry(100), "started")
    (script,) = engine.folders.state.glob("units/hungry/*/config/server.py")
    script.write_text("eaten = [bytearray(b'x' * (1 << 20)) for _ in range(200)]")
    with pytest.raises(OSError):  # noqa: PT011 - it is killed while it answers, which may end the connection in several ways
        get(engine.observe()["hungry"].ports["http"], "/eat")
    until(lambda: engine.observe()["hungry"].state == "failed")
    until(lambda: engine.observe()["hungry"].reason == "was killed: it used more memory than its limit of 100Mi", 40)


def test_a_limit_is_never_in_the_way(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that cannot be made: the log says so, and the service runs."""
    broken = Limits(Path("/proc/no-such-folder/here"), "memory.max")
    monkeypatch.setattr(limits, "limits_for", lambda state: broken)
    apply(engine, hungry(100), "started")
    (log,) = engine.folders.state.glob("logs/hungry.*.log")
    assert "its memory is not limited: " in log.read_text()
    assert get(engine.observe()["hungry"].ports["http"], "/eat")[0] == 200


def test_version_two_takes_the_nearest_group_that_gives_memory_out(tmp_path: Path) -> None:
    """Not our own group, which has processes in it; one above it where memory can be limited and that is ours."""
    mount = tmp_path / "fs"
    own = mount / "user.slice" / "app.slice" / "terminal.scope"
    own.mkdir(parents=True)
    for folder, given in ((mount, "cpu memory"), (own.parents[1], "memory"), (own.parent, "memory"), (own, "")):
        (folder / "cgroup.procs").touch()
        (folder / "cgroup.subtree_control").write_text(given + "\n")
    proc = fake_proc(
        tmp_path, "0::/user.slice/app.slice/terminal.scope\n", f"30 24 0:26 / {mount} rw - cgroup2 cgroup2 rw\n"
    )
    found = limits_for(Path("/state"), proc)
    assert (found.base and found.base.parent, found.file) == (own.parent, "memory.max")
    (own.parent / "cgroup.subtree_control").write_text("pids\n")
    found = limits_for(Path("/state"), proc)
    assert found.base and found.base.parent == own.parents[1]
    group = tmp_path / "fs/site/web"
    launch.enter(str(group), "memory.max", 1 << 20)
    written = {
        path.relative_to(mount).as_posix(): path.read_text() for path in group.parent.rglob("*") if path.is_file()
    }
    assert written == {
        "site/cgroup.subtree_control": "+memory",
        "site/web/memory.max": "1048576",
        "site/web/cgroup.procs": str(os.getpid()),
    }


def test_the_place_of_the_groups_may_be_another_after_a_start(
    engine: LocalEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager was gone (a reboot): programs are started in the groups that can be made now."""
    with monkeypatch.context() as patch:
        patch.setattr(limits, "limits_for", lambda state: Limits(Path("/proc/gone/here"), "memory.max"))
        apply(engine, hungry(100), "started")
    psutil.Process(engine.manager.pid()).kill()
    until(lambda: not engine.manager.pid())
    assert engine.manager.ensure_running()
    until(lambda: engine.observe()["hungry"].health == "healthy")
    (spec,) = (state / "manager/programs").glob("hungry.*.json")
    limit = json.loads(spec.read_text())["limit"]
    base = limits_for(engine.folders.state / "manager").base
    assert limit == ({"group": str(base / spec.stem), "file": limit["file"]} if base else None)


def test_where_no_group_can_be_made_the_reason_is_told(tmp_path: Path) -> None:
    """No control groups at all (macOS), none for memory, or none of ours."""
    assert limits_for(Path("/state"), tmp_path / "nowhere").why == NONE
    assert limits_for(Path("/state"), fake_proc(tmp_path, "0::/\n", "30 24 0:26 / /x rw - cgroup2 x rw\n")).why == NONE
    mounted = "30 24 0:26 / /proc rw - cgroup cgroup rw,memory\n"  # a folder in which nobody can make another
    assert limits_for(Path("/state"), fake_proc(tmp_path, "4:memory:/\n", mounted)).why == DENIED
