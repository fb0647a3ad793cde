"""How far something long has come, in lines that a terminal may write over: each ends with a carriage return.

What takes less than `EVERY` seconds says nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = 1.0
"""Seconds between two lines."""
PASSING = "\r"
"""At the end of a line that the next one replaces."""


def megabytes(count: int) -> str:
    """Bytes in a person's words: "0.4 MB", "12.3 MB"."""
    return f"{count / 1e6:,.1f} MB"


class Progress:
    """Bytes of `what` that have come, of `total` (0: nobody knows)."""

    def __init__(
        self, what: str, total: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._total, self._say, self._clock = what, total, say, clock
        self._last = clock()

    def at(self, count: int, more: str = "") -> None:
        """So many have come; `more` is said behind it."""
        now = self._clock()
        if now - self._last < EVERY:
            return
        self._last = now
        if self._total:
            share = min(100, 100 * count // self._total)
            words = f"{share} % of {megabytes(self._total)}"
        else:
            words = f"{megabytes(count)} so far"
        self._say(f"{self._what}: {words}{more}{PASSING}")


@contextmanager
def watched(folder: Path, files: int, progress: Progress) -> Iterator[None]:
    """Tell of the files that another program downloads into `folder`, until the end of the block."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(EVERY / 2):
            sizes = [_size(path) for path in folder.iterdir()]
            progress.at(sum(sizes), f", file {min(files, max(1, len(sizes)))} of {files}")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # renamed meanwhile
        return 0
