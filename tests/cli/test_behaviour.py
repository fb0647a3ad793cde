"""What every command promises whatever it does: streams, colours, pipes, interruption, bugs, help."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from array import array
from pathlib import Path

import pytest

from tests.cli.test_transcripts import PROGRAM, REPO, run

BAD = "REPO/tests/golden/checks/three-mistakes-in-three-files/bad"
COMMANDS = [
    "init",
    "schema",
    "doctor",
    "check",
    "show",
    "plan",
    "preview",
    "comment",
    "render",
    "up",
    "down",
    "sync",
    "rollback",
    "run",
    "status",
    "logs",
    "history",
    "op",
    "op read",
    "op item get",
    "op shim",
    "connect serve",
    "connect token create",
    "completion",
]


def clean(folder: Path, **more: str) -> dict[str, str]:
    """An environment with nothing in it."""
    return {"PATH": f"{PROGRAM.parent}:/usr/bin:/bin", "HOME": str(folder), **more}


def test_findings_as_json_are_as_promised(tmp_path: Path) -> None:
    """One object with a version, and for each finding the same fields; nothing else on standard output."""
    done = run(f"blumeops check --json --lab {BAD}", tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert list(found) == ["version", "findings"]
    assert found["version"] == 1
    assert len(found["findings"]) == 3
    for finding in found["findings"]:
        assert list(finding) == ["code", "severity", "file", "line", "column", "subject", "message", "hint"]
        assert re.fullmatch(r"BLU\d{3}", finding["code"])
        assert finding["severity"] in ("error", "warning")
        assert finding["line"] >= 1


def test_a_plan_as_json_is_as_promised(tmp_path: Path) -> None:
    """Changes with their effects and diffs; no command that only looks makes a folder."""
    done = run("blumeops plan --json --exit-code --lab REPO/labs/first --state TMP/state", tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 3
    assert list(found) == ["version", "from", "to", "changes", "exposure"]
    assert [change["unit"] for change in found["changes"]] == ["caddy", "postgresql", "miniflux"]
    assert list(found["changes"][0]) == ["unit", "action", "why", "effects", "diff"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    """Help goes to standard output, within the width of a terminal, and is a success."""
    done = run(f"blumeops {command} --help", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: blumeops {command} [-h]")
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "check --nonsense",
        "check extra",
        "render",
        "render --out x --site moon",
        "logs",
        "op",
        "completion ksh",
    ],
)
def test_a_wrong_use_is_refused_with_2(line: str, tmp_path: Path) -> None:
    """And says how it is used."""
    done = run(f"blumeops {line}", tmp_path)
    assert done.returncode == 2
    assert "usage: blumeops" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell: str, tmp_path: Path) -> None:
    """A completion that offers only --help is none."""
    script = run(f"blumeops completion {shell}", tmp_path).stdout
    assert [command for command in COMMANDS if command.split()[0] not in script] == []


@pytest.mark.parametrize(
    ("shell", "words"), [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "-n", "/dev/stdin"])]
)
def test_completion_is_a_script_that_the_shell_reads(shell: str, words: list[str], tmp_path: Path) -> None:
    """It does no harm to a shell that is started with it."""
    script = run(f"blumeops completion {shell}", tmp_path).stdout
    assert len(script.splitlines()) > 20
    try:
        done = subprocess.run(words, input=script, capture_output=True, text=True, check=False, timeout=20)
    except FileNotFoundError:
        pytest.skip(f"there is no {shell} on this machine")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", [f"check --lab {BAD}", "plan --lab REPO/labs/first", "completion bash", "--help"])
def test_a_reader_may_go_away(line: str, tmp_path: Path) -> None:
    """`| head -1` takes its line; nothing is said of the broken pipe."""
    command = f"blumeops {line}".replace("REPO", str(REPO))
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1"],
        env=clean(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert not re.search("Traceback|BrokenPipe|Exception", done.stderr)


def test_ctrl_c_stops_with_130(tmp_path: Path) -> None:
    """One line, and no traceback."""
    reading, writing = os.pipe()
    words = [str(PROGRAM), "credential", "--state", str(tmp_path), "get"]
    with subprocess.Popen(words, stdin=reading, env=clean(tmp_path), stderr=subprocess.PIPE, text=True) as process:
        try:
            os.close(reading)
            os.write(writing, b"x\n")
            deadline, left = time.monotonic() + 20, array("i", [1])
            while left[0] and time.monotonic() < deadline:  # until it has read: then it waits for more
                fcntl.ioctl(writing, termios.FIONREAD, left)
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
            os.close(writing)
    assert process.returncode == 130
    assert err == "blumeops: stopped\n"


def test_a_bug_is_one_line_and_70(tmp_path: Path) -> None:
    """Its text may hold anything, so only its kind is said; `--traceback` is for those who mend it."""
    program = (
        "import sys, blumeops.cli.describe as room\n"
        "def boom(folder): raise ZeroDivisionError('canary')\n"
        "room.check_folder = boom\n"
        "from blumeops.cli.main import main\n"
        f"main(['check', '--lab', {str(REPO / 'labs' / 'first')!r}, *sys.argv[1:]])\n"
    )

    def broken(*more: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", program, *more]
        return subprocess.run(words, env=clean(tmp_path), capture_output=True, text=True, check=False, timeout=20)

    done = broken()
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr.startswith("blumeops: BLU999 ")
    assert len(done.stderr.splitlines()) == 1
    assert "canary" not in done.stderr
    assert "Traceback" in broken("--traceback").stderr


def in_terminal(line: list[str], **environment: str) -> bytes:
    """What a command writes to a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen([PROGRAM, *line], stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        found = b""
        try:
            while more := os.read(master, 65536):
                found += more
        except OSError:  # EIO: the last writer is gone
            pass
        process.wait(20)
    os.close(master)
    return found


def test_colour_is_for_terminals_that_want_it(tmp_path: Path) -> None:
    """A terminal has it, unless NO_COLOR is set or it is a dumb one."""
    line = ["plan", "--lab", str(REPO / "labs" / "first"), "--state", str(tmp_path / "s")]
    assert b"\x1b[" in in_terminal(line, **clean(tmp_path, TERM="xterm"))
    assert b"\x1b[" not in in_terminal(line, **clean(tmp_path, TERM="xterm", NO_COLOR="1"))
    assert b"\x1b[" not in in_terminal(line, **clean(tmp_path, TERM="dumb"))


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    """What could not be written is told; it is no bug of ours."""
    if not Path("/dev/full").exists():
        pytest.skip("this platform has no /dev/full")
    command = f"blumeops check --json --lab {REPO}/labs/first > /dev/full"
    done = subprocess.run(
        ["bash", "-c", command], env=clean(tmp_path), capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode not in (0, 70)
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
