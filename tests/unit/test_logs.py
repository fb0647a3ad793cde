"""Lines of services: their times, by every format that we know, and which of them are shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blumeops.telemetry.log_times import time_of
from blumeops.telemetry.logs import Log, Wish, follow, last_lines

AT = datetime(2026, 11, 25, 10, 0, 0, tzinfo=UTC).timestamp()
HERE = datetime(2026, 11, 25, 10, 0, 0).astimezone().timestamp()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("2026-11-25T10:00:00Z started", AT),
        ("2026-11-25T10:00:00.250Z started", AT + 0.25),
        ("2026-11-25T11:30:00+01:30 started", AT),
        ("2026-11-25 05:00:00.5 -0500 started", AT + 0.5),
        ("2026-11-25 11:00:00+01 [7] LOG", AT),
        ("2026-11-25 10:00:00.000 UTC [123] LOG:  database system is ready", AT),
        ("2026-11-25 10:00:00.000 GMT [123] LOG:  ready", AT),
        ("2026-11-25 10:00:00,250 INFO our own controller", HERE + 0.25),
        ("2026/11/25 10:00:00 Go's log", HERE),
        ("2026/11/25 10:00:00.500\tinfo\tadmin\tCaddy's console", HERE + 0.5),
        ("[2026-11-25 10:00:00] in brackets", HERE),
        ("\x1b[90m2026-11-25T10:00:00Z\x1b[0m in colour", AT),
        ("time=2026-11-25T10:00:00.250Z level=INFO msg=x", AT + 0.25),
        ('time="2026-11-25T10:00:00Z" level=info msg=x', AT),
        ("level=info ts=2026-11-25T10:00:00.000Z caller=main.go:1", AT),
        (f"level=info ts={AT:.3f} msg=x", AT),
        (f'{{"level":"info","ts":{AT + 0.5},"msg":"Caddy"}}', AT + 0.5),
        (f'{{"level":"info","time":{int(AT * 1000)},"msg":"milliseconds"}}', AT),
        (f'{{"t":{int(AT) * 10**9}}}', AT),
        ('{"time": "2026-11-25T10:00:00Z", "ts": "later"}', AT),
        ('{"msg": "no time"}', None),
        ("2026-13-45T99:00:00Z no such day", None),
        ("2026-11-25T10:00:00+99:99 no such zone", None),
        ("a word, then 2026-11-25T10:00:00Z", None),
        ("time=soon", None),
        ("downtime=2026-11-25T10:00:00Z", None),
        ("", None),
        ("    at main.py:7", None),
        ("9" * 100_000, None),
        ("x " * 50_000, None),
        ('{"' + "ts" * 50_000, None),
    ],
)
def test_the_time_of_a_line(line: str, wanted: float | None) -> None:
    """What stands in the line, in its zone or else in ours; nothing is guessed, and no line takes long."""
    found = time_of(line)
    assert found == (wanted if wanted is None else pytest.approx(wanted, abs=1e-3))


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Callable[..., list[Log]]]:
    """Makes the logs of files in the test's folder; closes them."""
    with ExitStack() as opened:

        def make(*names: str, service: str = "web") -> list[Log]:
            made = [Log(service, tmp_path / name) for name in names]
            for log in made:
                opened.callback(log.close)
            return made

        yield make


def stamp(second: int) -> str:
    """RFC 3339, so many seconds after ten."""
    return datetime.fromtimestamp(AT + second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(path: Path, *lines: str, at: float = AT) -> None:
    """A file of lines, last written at that time."""
    path.write_text("".join(f"{line}\n" for line in lines))
    os.utime(path, (at, at))


def texts(logs: list[Log], **wish: object) -> list[str]:
    """The texts of the lines that fit."""
    return [line.text for line in last_lines(logs, Wish(**wish))]  # type: ignore[arg-type]  # the fields are of several types


def test_the_last_lines_are_found_in_older_files_too(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """As many as are asked for, oldest first, however often the file was rotated."""
    for number, name in enumerate(("a.log.10", "a.log.2", "a.log.1", "a.log")):
        write(tmp_path / name, f"{stamp(number)} line {number * 2}", f"line {number * 2 + 1}")
    found = logs("a.log")
    assert [text.split()[-1] for text in texts(found, count=5)] == ["3", "4", "5", "6", "7"]
    assert [text.split()[-1] for text in texts(found)] == [*"01234567"]
    assert texts(found, count=0) == []


def test_two_slots_are_one_log(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """Updates go to and fro between two files: lines come in the order of their times, each with what follows it."""
    write(tmp_path / "a.log", f"{stamp(0)} first", "  of it", f"{stamp(20)} third", at=AT + 20)
    write(tmp_path / "b.log", "before any time", f"{stamp(10)} second", at=AT + 10)
    assert [text.split()[-1] for text in texts(logs("a.log", "b.log"))] == ["first", "it", "time", "second", "third"]


def test_since_leaves_out_what_is_older(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """By each line's own time; one without belongs to the one before. A file that ended before is not even read."""
    write(tmp_path / "a.log.1", f"{stamp(0)} old", at=AT)
    write(tmp_path / "a.log", f"{stamp(5)} old", "  of it", f"{stamp(10)} new", "  of it too", at=AT + 10)
    found = logs("a.log")
    assert texts(found, since=AT + 10) == [f"{stamp(10)} new", "  of it too"]
    assert texts(found, since=AT + 10, count=1) == ["  of it too"]
    assert texts(found, since=AT + 11) == []


def test_a_file_whose_time_is_just_before_its_last_line_is_read(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """The kernel stamps files by its ticks: a line can be a few milliseconds newer than the file that it is in."""
    write(tmp_path / "a.log", f"{stamp(10)} new", at=AT + 9.99)
    assert texts(logs("a.log"), since=AT + 10) == [f"{stamp(10)} new"]


def test_a_program_that_tells_no_time_has_that_of_its_file(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """Then a file is told whole, or not at all: there is nothing better to know."""
    write(tmp_path / "a.log.1", "one", "two", at=AT)
    write(tmp_path / "a.log", "three", at=AT + 100)
    assert texts(logs("a.log"), since=AT + 50) == ["three"]
    assert texts(logs("a.log"), since=AT) == ["one", "two", "three"]


def test_the_last_lines_with_a_text(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """N lines that have it, not those among the last N."""
    write(tmp_path / "a.log", *(f"{'yes' if number % 10 == 0 else 'no'} {number}" for number in range(100)))
    assert texts(logs("a.log"), text="yes", count=2) == ["yes 80", "yes 90"]


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """They are replaced; a last line without its end is a line; carriage returns go, other breaks do not split."""
    (tmp_path / "a.log").write_bytes(b"\xff\xfe\r\nform\x0cfeed\xe2\x80\xa8same\nhalf")
    assert texts(logs("a.log")) == ["\ufffd\ufffd", "form\x0cfeed\u2028same", "half"]


def test_following_goes_over_rotations_and_updates(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """Each line once, in whole: over a rotation in the middle of a line, a file that appears, one that is emptied."""
    a, b = tmp_path / "a.log", tmp_path / "b.log"
    write(a, "old")
    with a.open("a") as file:
        file.write("ha")
    every = logs("a.log", "b.log")
    assert [line.text for line in last_lines(every, Wish(count=5), following=True)] == ["old"]

    def rotate() -> None:
        with a.open("a") as file:
            file.write("lf\nlast of the old file\ncut ")
        a.rename(tmp_path / "a.log.1")
        a.write_text("in two\n")

    def update() -> None:
        b.write_text("from the other slot\n")

    def emptied() -> None:
        b.write_text("anew\n")

    acts = iter([rotate, update, emptied])
    found = []

    class Over(Exception):
        """Nothing more happens."""

    def wait() -> None:
        act = next(acts, None)
        if act is None:
            raise Over
        act()

    with pytest.raises(Over):
        for line in follow(every, "", wait):
            found.append(line.text)
    assert found == ["half", "last of the old file", "cut in two", "from the other slot", "anew"]


def test_a_rotation_while_it_is_read_doubles_nothing(tmp_path: Path, logs: Callable[..., list[Log]]) -> None:
    """A file is known by its inode: under its new name it is not read again."""
    write(tmp_path / "a.log", "one")
    (log,) = logs("a.log")
    files = log._files

    def meanwhile(opened: ExitStack) -> Iterator[object]:
        every = files(opened)
        yield next(every)
        (tmp_path / "a.log").rename(tmp_path / "a.log.1")
        write(tmp_path / "a.log", "two")
        yield from every

    log._files = meanwhile  # type: ignore[method-assign, assignment]  # something happens between two of its steps
    assert [line.text for line in log.last(Wish())] == ["one"]
    assert log.news() == ["two"]
