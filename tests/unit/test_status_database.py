"""The status file: readers beside a writer, damage, kills and full disks."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from blumeops.base.errors import EngineError, Unavailable
from blumeops.status import database as module
from blumeops.status.database import FILE, Database, open_database, read_database
from blumeops.status.records import (
    Site,
    Unit,
    begin,
    end,
    history,
    mark_interrupted,
    put_site,
    put_unit,
    put_units,
    site,
    step,
    units,
)


def unit(name: str, revision: str = "r1") -> Unit:
    """A unit in good health."""
    return Unit(name, "service", "indri", "running", "healthy", "", revision, 1.0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new one."""
    opened = open_database(tmp_path)
    yield opened
    opened.close()


def test_what_was_written_is_there_after_closing(tmp_path: Path) -> None:
    """Closed and opened again: same records, nothing set aside, a private file in WAL mode, no log left."""
    opened = open_database(tmp_path)
    put_unit(opened, unit("miniflux"))
    with opened.transaction() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    opened.close()
    assert os.listdir(tmp_path) == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    again = open_database(tmp_path)
    assert units(again) == [unit("miniflux")]
    assert again.set_aside is None
    again.close()


def test_a_reader_of_what_is_not_there_gets_none(tmp_path: Path) -> None:
    """No folder, no file, a file that the controller is just making: None, and nothing is made."""
    assert read_database(tmp_path / "none") is None
    assert read_database(tmp_path) is None
    assert os.listdir(tmp_path) == []
    (tmp_path / FILE).touch()
    assert read_database(tmp_path) is None


def test_a_reader_works_when_no_controller_runs(tmp_path: Path) -> None:
    """After a clean end of the controller its records are read, in a folder whose name needs quoting."""
    folder = tmp_path / "a ?b#c%20"
    folder.mkdir()
    opened = open_database(folder)
    put_unit(opened, unit("miniflux"))
    opened.close()
    reader = read_database(folder)
    assert reader
    assert units(reader) == [unit("miniflux")]
    with pytest.raises(EngineError) as caught:
        put_unit(reader, unit("caddy"))
    assert caught.value.code == "BLU903"
    reader.close()


def test_readers_see_whole_transactions_while_a_writer_writes(tmp_path: Path, database: Database) -> None:
    """Two threads read as a third writes 300 revisions of three units: never a mixture, never an error, and always
    what was committed before they looked."""
    names = ("a", "b", "c")
    put_units(database, [unit(name, "0") for name in names])
    done, written, faults, looks = threading.Event(), [0], [], [0, 0]

    def read(me: int) -> None:
        reader = read_database(tmp_path)
        assert reader
        while not done.is_set() or not looks[me]:
            least = written[0]
            seen = {unit.revision for unit in units(reader)}
            looks[me] += 1
            if len(seen) != 1 or int(seen.pop()) < least:
                faults.append(seen)
        reader.close()

    threads = [threading.Thread(target=read, args=[me]) for me in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, 301):
        put_units(database, [unit(name, str(number)) for name in names])
        written[0] = number
    done.set()
    for thread in threads:
        thread.join(10)
    assert faults == []
    assert min(looks) > 1


def test_threads_share_a_database(database: Database) -> None:
    """Eight threads with their own runs and steps: each step is in its run, none is lost."""

    def work(name: str) -> None:
        run = begin(database, name, 1.0)
        for number in range(20):
            step(database, run, name, "start", 0.1, "done", str(number))
        end(database, run, "applied", "", 2.0)

    threads = [threading.Thread(target=work, args=[f"r{number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    runs = history(database)
    assert sorted(run.revision for run in runs) == [f"r{number}" for number in range(8)]
    assert all([step.message for step in run.steps] == [str(n) for n in range(20)] for run in runs)
    assert all(step.unit == run.revision for run in runs for step in run.steps)


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    """Functions inside one block are undone together."""

    def half() -> None:
        with database.transaction(write=True):
            put_site(database, Site("here", "r1", "r1"))
            put_unit(database, unit("miniflux"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert (site(database), units(database)) == (Site(), [])


@pytest.mark.parametrize("damage", ["garbage", "short garbage", "truncated", "garbage inside", "empty header"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: str) -> None:
    """The controller begins anew and knows where the old file went; a reader says that it is damaged."""
    opened = open_database(tmp_path)
    put_units(opened, [unit(f"unit-{number}") for number in range(500)])
    opened.close()
    path = tmp_path / FILE
    sound = path.read_bytes()
    assert len(sound) > 10 * 4096
    path.write_bytes(
        {
            "garbage": os.urandom(len(sound)),
            "short garbage": b"not a database",
            "truncated": sound[: len(sound) // 2],
            "garbage inside": sound[:4096] + os.urandom(len(sound) - 4096),
            "empty header": bytes(200) + sound[200:],
        }[damage]
    )
    damaged = path.read_bytes()

    def read() -> None:
        """Some damage shows on opening, some on reading only."""
        reader = read_database(tmp_path)
        assert reader
        with closing(reader):
            units(reader)

    with pytest.raises(EngineError, match="is damaged"):
        read()
    again = open_database(tmp_path)
    assert again.set_aside == tmp_path / f"{FILE}.corrupt-1"
    assert again.set_aside.read_bytes() == damaged
    assert units(again) == []
    put_unit(again, unit("miniflux"))
    again.close()


def test_each_damaged_file_gets_the_next_number(tmp_path: Path) -> None:
    """Nothing that was set aside is written over."""
    for number in (1, 2):
        (tmp_path / FILE).write_bytes(b"garbage" * 1000)
        opened = open_database(tmp_path)
        assert opened.set_aside == tmp_path / f"{FILE}.corrupt-{number}"
        opened.close()
    assert {f"{FILE}.corrupt-1", f"{FILE}.corrupt-2"} <= set(os.listdir(tmp_path))


def test_a_stale_log_never_meets_the_new_file(tmp_path: Path) -> None:
    """A reader that is open keeps the log of the damaged file alive: it is set aside too."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    opened = open_database(first)
    put_units(opened, [unit(f"unit-{number}") for number in range(500)])
    opened.close()
    opened = open_database(first)
    put_unit(opened, unit("only in the log"))
    main = (first / FILE).read_bytes()
    (second / FILE).write_bytes(main[:8192] + os.urandom(len(main) - 8192))
    (second / f"{FILE}-wal").write_bytes((first / f"{FILE}-wal").read_bytes())
    opened.close()
    reader = read_database(second)
    assert reader
    with closing(reader):
        opened = open_database(second)
        with closing(opened):
            assert opened.set_aside
            assert (second / f"{opened.set_aside.name}-wal").exists()
            assert units(opened) == []
            put_unit(opened, unit("miniflux"))
    again = open_database(second)
    assert (units(again), again.set_aside) == ([unit("miniflux")], None)
    again.close()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """Neither written nor set aside nor read."""
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (tmp_path / FILE).read_bytes()
    for attempt in (open_database, read_database):
        with pytest.raises(EngineError, match="newer BlumeOps") as caught:
            attempt(tmp_path)
        assert caught.value.code == "BLU911"
    assert (tmp_path / FILE).read_bytes() == before
    assert os.listdir(tmp_path) == [FILE]


WRITER = """
import sys
from pathlib import Path
from blumeops.status.database import open_database
from blumeops.status.records import *
database = open_database(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    run = begin(database, f"r{number}", float(number), ["+ miniflux"])
    with database.transaction(write=True):
        for name in "abc":
            put_unit(database, Unit(name, "service", "indri", "running", "healthy", "", f"r{number}", 1.0))
        step(database, run, "a", "start", 0.1, "done", "")
    print(number, flush=True)
    end(database, run, "applied", "", number + 0.5)
"""


@pytest.mark.parametrize("after", [1, 40, 137])
def test_a_killed_writer_loses_nothing_that_it_had_told(tmp_path: Path, after: int) -> None:
    """SIGKILL in the middle of writing: what was committed is there, whole; at most one run is open."""
    argv = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        told = 0
        try:
            while told < after:
                told = int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGKILL)
        told = int((process.stdout.read().split() or [b"%d" % told])[-1])
    reader = read_database(tmp_path)
    assert reader
    assert len(units(reader)) == 3, "a reader works on what the killed one left"
    reader.close()
    opened = open_database(tmp_path)
    assert opened.set_aside is None
    interrupted = mark_interrupted(opened, 9999.0)
    runs = history(opened, 1000)
    assert len(interrupted) <= 1
    assert {run.outcome for run in runs} <= {"applied", "interrupted"}
    assert len(runs) >= told
    assert len({unit.revision for unit in units(opened)}) == 1
    assert all(len(run.steps) == 1 for run in runs if run.outcome == "applied")
    assert mark_interrupted(opened, 9999.0) == []
    opened.close()


def test_a_file_held_by_another_process_is_told(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the patience is over, the error says who is to blame."""
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    second = open_database(tmp_path)
    with database.transaction(write=True), pytest.raises(Unavailable, match="held by another process"):
        put_unit(second, unit("miniflux"))
    second.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The state folder is the caller's to make."""
    with pytest.raises(EngineError, match="cannot be written"):
        open_database(tmp_path / "none")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, where this machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # lazily: a failed test may hold the file


def test_a_full_disk_is_one_clear_error(small_disk: Path) -> None:
    """The error names the file; what was committed before is there, and work goes on when there is space."""
    opened = open_database(small_disk)
    put_unit(opened, unit("miniflux"))
    filler = small_disk / "filler"
    free = os.statvfs(small_disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize))
    with pytest.raises(EngineError) as caught:
        put_units(opened, [unit(f"unit-{number}") for number in range(500)])
    assert (caught.value.code, caught.value.subject) == ("BLU903", str(small_disk / FILE))
    assert "free some space" in caught.value.hint
    assert units(opened) == [unit("miniflux")]
    filler.unlink()
    put_unit(opened, unit("caddy"))
    assert len(units(opened)) == 2
    opened.close()


def test_a_disk_that_became_read_only_can_be_read(small_disk: Path) -> None:
    """`status` still answers; the controller says that it cannot write, and sets nothing aside."""
    opened = open_database(small_disk)
    put_unit(opened, unit("miniflux"))
    opened.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    reader = read_database(small_disk)
    assert reader
    assert units(reader) == [unit("miniflux")]
    reader.close()
    with pytest.raises(EngineError) as caught:
        open_database(small_disk)
    assert (caught.value.code, caught.value.hint) == ("BLU903", "choose another folder with --state")
    assert os.listdir(small_disk) == [FILE]
