"""The two doors: taken, left over, private, and closed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from blumeops.base.errors import EngineError
from blumeops.forge.serve import serve
from tests.engines.forge.live import Client, Live
from tests.ports import free_port


def run_once(port: int, path: Path) -> None:
    """Serve until both doors are open, then stop."""

    async def run() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve(Starlette(), port, Starlette(), path, stop, ready))
        await asyncio.wait([serving, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
        if ready.is_set():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        stop.set()
        await serving

    asyncio.run(run())


def test_taken_port_names_its_holder(tmp_path: Path) -> None:
    """A port that is taken is one clear error with the holder's name and pid."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EngineError, match=rf"BLU603 port {port}: is taken by \S+.* \(pid {os.getpid()}\)"):
            run_once(port, tmp_path / "c.sock")
    assert not (tmp_path / "c.sock").exists()


def test_socket_left_by_a_killed_controller_is_replaced(tmp_path: Path) -> None:
    """A socket file that nobody serves is replaced; one that somebody serves is an error, and is kept."""
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
        with pytest.raises(EngineError, match="BLU603"):
            run_once(free_port(), path)
        assert path.exists()
    run_once(free_port(), path)
    assert not path.exists()


def test_long_socket_path_is_one_clear_error(tmp_path: Path) -> None:
    """A path that no unix socket can have is said, not a traceback."""
    with pytest.raises(EngineError, match="BLU604"):
        run_once(free_port(), tmp_path / ("x" * 100) / "c.sock")


def test_signal_handlers_stay_ours(tmp_path: Path) -> None:
    """Serving in the main thread leaves SIGINT and SIGTERM alone."""
    assert threading.current_thread() is threading.main_thread()
    seen: list[object] = []

    async def run() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve(Starlette(), free_port(), Starlette(), tmp_path / "s", stop, ready))
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        await ready.wait()
        await asyncio.sleep(0)
        seen.append([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before)
        stop.set()
        await serving

    asyncio.run(run())
    assert seen == [True]


def test_stop_during_a_report_keeps_what_landed(tmp_path: Path) -> None:
    """A controller that stops while a push is followed ends in time; the person is told, and the push stands."""
    following = threading.Event()

    async def follow(revision: str) -> AsyncIterator[str]:
        yield "applying"
        following.set()
        await asyncio.sleep(60)

    with Live.started(tmp_path / "state") as live:
        live.follow = follow
        client = Client(tmp_path / "work")
        client.git("init", "--quiet", "--initial-branch=main", ".")
        client.git("remote", "add", "origin", live.url(with_token=True))
        revision = client.commit("lab.yaml", b"lab: x\n")
        pushed: list[tuple[int, str]] = []
        push = threading.Thread(target=lambda: pushed.append(client.push()))
        push.start()
        assert following.wait(10)
    push.join(20)
    code, seen = pushed[0]
    assert code == 0, seen
    assert "remote: applying" in seen
    assert "remote: the BlumeOps controller stopped answering; what was pushed is kept" in seen
    assert live.repository.head() == revision
