"""The lines of services, from their rotated files: the last ones, those since a time, and what comes.

In: for each service the files that are written to now; older ones lie beside them as FILE.1 (the newest), FILE.2, …
Out: lines in the order of their times. A line without a time belongs to the one before it, those before the first time
of a file to that; a file without any has the time at which it was last written. So nothing is guessed beyond a file.
A file that is rotated meanwhile is read once: it is known by its inode, not by its name.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from blumeops.telemetry.log_times import time_of

CLOCKS = 0.1
"""Seconds by which a file's time may lie before that of its last line: file systems go by the kernel's ticks."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a service. `time`: seconds since 1970; `own`: it says so itself."""

    service: str
    text: str
    time: float
    own: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """Which lines: the last `count` (None: all), not before `since`, with `text` in them."""

    count: int | None = None
    since: float | None = None
    text: str = ""

    def fits(self, line: Line) -> bool:
        """Whether the line is wanted, wherever it stands."""
        return (self.since is None or line.time >= self.since) and self.text in line.text


class Log:
    """One file that a service writes to, and those that it was rotated to. Close it."""

    def __init__(self, service: str, path: Path) -> None:
        self.service, self.path = service, path
        self._file: BinaryIO | None = None
        self._rest = b""

    def last(self, wish: Wish, *, following: bool = False) -> list[Line]:
        """The lines that are there. `following`: a last one without its end is left for `news`."""
        found: list[Line] = []
        with ExitStack() as opened:
            for file, size in self._files(opened):
                status = os.fstat(file.fileno())
                if wish.since is not None and status.st_mtime + CLOCKS < wish.since:
                    break
                data = file.read(size)
                if file is self._file and following:
                    data, self._rest = _whole(data)
                elif data and not data.endswith(b"\n"):
                    data += b"\n"
                kept = [line for line in _timed(self.service, data, status.st_mtime) if wish.fits(line)]
                found = kept + found
                if wish.count is not None and len(found) >= wish.count:
                    break
        return found

    def news(self) -> list[str]:
        """What was added since it was asked last."""
        found = self._read()
        if not found and self._is_another():
            found = self._read()  # what came between the two looks
            self._open()
            found += self._read()
        return found

    def begin(self, at: int) -> None:
        """Let `news` begin with what stands behind the first `at` bytes; with all where it has fewer."""
        self._open()
        if self._file and os.fstat(self._file.fileno()).st_size >= at:
            self._file.seek(at)

    def rest(self) -> str:
        """What was read behind the last end of a line."""
        return self._rest.decode(errors="replace")

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _files(self, opened: ExitStack) -> Iterator[tuple[BinaryIO, int]]:
        """Newest first, each once, with the bytes that are there now. The first one stays open for `news`."""
        self._open()
        seen = set()
        if self._file:
            seen.add(_inode(self._file))
            yield self._file, os.fstat(self._file.fileno()).st_size
        for path in _older(self.path):
            with suppress(OSError):
                file = opened.enter_context(path.open("rb"))
                if _inode(file) not in seen:
                    seen.add(_inode(file))
                    yield file, os.fstat(file.fileno()).st_size

    def _open(self) -> None:
        self.close()
        with suppress(FileNotFoundError):
            self._file = self.path.open("rb")

    def _read(self) -> list[str]:
        if self._file is None:
            return []
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)  # somebody emptied it
        data, self._rest = _whole(self._rest + self._file.read())
        return _texts(data)

    def _is_another(self) -> bool:
        """Whether the name leads to another file than the one that is open."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return self._file is None or (status.st_dev, status.st_ino) != _inode(self._file)


def last_lines(logs: Sequence[Log], wish: Wish, *, following: bool = False) -> list[Line]:
    """The lines of all of them together, in the order of their times; `following`: `follow` tells the rest."""
    merged = list(heapq.merge(*(log.last(wish, following=following) for log in logs), key=lambda line: line.time))
    return merged if wish.count is None else merged[max(0, len(merged) - wish.count) :]


def follow(logs: Sequence[Log], text: str, wait: Callable[[], None]) -> Iterator[Line]:
    """What comes, with `text` in it; `wait` is called when nothing did. Without an end."""
    while True:
        news = [(log.service, line, time_of(line)) for log in logs for line in log.news()]
        yield from (Line(name, line, time or 0.0, time is not None) for name, line, time in news if text in line)
        if not news:
            wait()


def _timed(service: str, data: bytes, written: float) -> list[Line]:
    """The lines of one file with their times; `written`: when it was written to last."""
    texts = _texts(data)
    own = [time_of(text) for text in texts]
    now = next((time for time in own if time is not None), written)
    lines = []
    for text, time in zip(texts, own, strict=True):
        now = now if time is None else time
        lines.append(Line(service, text, now, time is not None))
    return lines


def _texts(data: bytes) -> list[str]:
    return [line.removesuffix("\r") for line in data.decode(errors="replace").split("\n")[:-1]] if data else []


def _whole(data: bytes) -> tuple[bytes, bytes]:
    """Up to the last end of a line, and what stands behind it."""
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def _older(path: Path) -> Iterable[Path]:
    """What it was rotated to, the newest first."""
    found = [(int(each.suffix[1:]), each) for each in path.parent.glob(f"{path.name}.*") if each.suffix[1:].isdigit()]
    return [each for _, each in sorted(found)]


def _inode(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino
