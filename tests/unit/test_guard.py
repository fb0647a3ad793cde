"""The guard of tests/conftest.py sees what it is for, clears it up, and leaves other programs alone."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from blumeops.base.processes import started
from tests.conftest import nothing_left

SLEEP = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]
DAEMON = "import sys, subprocess; subprocess.Popen(sys.argv[1:])"
"""Starts a program that outlives it, as a child of init."""


def start_daemon(*options: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> int:
    """Start a sleeping daemon; its pid, when it runs."""
    argv = [sys.executable, "-W", "ignore", "-c", DAEMON, *SLEEP, *options]
    with subprocess.Popen(argv, env=env, cwd=cwd, stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        return int(starter.stdout.readline())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that stands for that of temporary files."""
    (tmp_path / "t").mkdir()
    return tmp_path / "t"


def test_a_child_is_found(place: Path) -> None:
    """A child that still runs fails the test, and is ended."""
    with pytest.raises(pytest.fail.Exception, match=r"left behind: process \d+"), nothing_left(place, [], seconds=0.1):
        child = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL)
    assert child.wait(timeout=5) == -signal.SIGKILL


@pytest.mark.parametrize("sign", ["environment", "argument", "folder"])
def test_a_daemon_is_found(place: Path, tmp_path: Path, sign: str) -> None:
    """A process that is no longer a descendant is known by its environment, an argument or its folder."""
    left = pytest.raises(pytest.fail.Exception, match=r"left behind: process \d+")
    with left, nothing_left(place, [tmp_path], seconds=0.1):
        pid = start_daemon(
            *([str(tmp_path / "config")] if sign == "argument" else []),
            env=None if sign == "environment" else {},
            cwd=tmp_path if sign == "folder" else Path("/"),
        )
    assert started(pid) is None


def test_the_processes_of_others_are_left_alone(place: Path, tmp_path: Path) -> None:
    """A process that just started meanwhile, and is not ours, fails nothing and lives on."""
    pid = 0
    try:
        with nothing_left(place, [tmp_path]):
            pid = start_daemon(env={}, cwd=Path("/"))
        assert started(pid)
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)


def test_an_open_port_is_found(place: Path) -> None:
    """A socket of the test's own process that still listens fails the test."""
    left = pytest.raises(pytest.fail.Exception, match=r"left behind: port \d+")
    with socket.socket() as listener, left, nothing_left(place, []):
        listener.bind(("127.0.0.1", 0))
        listener.listen()


def test_a_file_is_found(place: Path) -> None:
    """A temporary file or folder fails the test, and is removed."""
    with pytest.raises(pytest.fail.Exception, match=r"left behind: file .*/one; file .*/two"), nothing_left(place, []):
        (place / "one").write_text("")
        (place / "two").mkdir()
    assert not list(place.iterdir())


def test_nothing_of_the_person_reaches_a_test(own_place: Path) -> None:
    """The home folder is the tests' own (programs may have left something there since, no person has), and a socket in
    the folder for temporary files has a path that is short enough."""
    assert Path.home() == own_place.parent / "home"
    assert Path.home() != Path(pwd.getpwuid(os.geteuid()).pw_dir)
    assert len(str(own_place / "12345678" / "run" / "a-long-name-of-a-service.sock")) < 104
