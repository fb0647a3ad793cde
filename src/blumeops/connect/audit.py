"""Who was refused, who changed what: one line of JSON each, in a private file and for whoever watches. No value ever.

And how often somebody may be wrong: `Attempts` counts by address and claimed token, so that a guesser bars nobody else.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from blumeops.base.files import PRIVATE, cannot_write, private_folder

LARGEST = 5 << 20
"""Bytes of the file, of which there are two at most: this one and the one before it."""
_LONGEST = 200


class Audit:
    """Appends to the file `path`, and tells `say` the same line."""

    def __init__(self, path: Path, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self.path = path
        self._say = say
        self._clock = clock
        self._lock = Lock()
        private_folder(path.parent)

    def __call__(self, **told: object) -> None:
        """One line; what a client wrote is shortened, and escaped by JSON. Raises EngineError `BLU903`: what cannot be
        written down is not done."""
        when = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = json.dumps({"time": when, **{name: _shortened(value) for name, value in told.items()}})
        with self._lock:
            try:
                if self.path.exists() and self.path.stat().st_size > LARGEST:
                    os.replace(self.path, self.path.with_suffix(".1.log"))
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, PRIVATE)
                with os.fdopen(descriptor, "w") as file:
                    file.write(line + "\n")
            except OSError as error:
                raise cannot_write(self.path, error) from error
        self._say(line)


def _shortened(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    if isinstance(value, Mapping):
        return {str(name): _shortened(each) for name, each in value.items()}
    return [_shortened(each) for each in value] if isinstance(value, (list, tuple)) else value


class Attempts:
    """How often a key failed lately: `most` times within `seconds`, then it has to wait."""

    def __init__(self, clock: Callable[[], float], most: int = 10, seconds: float = 60.0, keys: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._keys = keys
        self._failed: OrderedDict[object, list[float]] = OrderedDict()
        self._lock = Lock()

    def wait(self, key: object) -> int:
        """Seconds until `key` may try again; 0: now."""
        with self._lock:
            recent = self._recent(key)
            return max(1, round(recent[0] + self._seconds - self._clock())) if len(recent) >= self._most else 0

    def failed(self, key: object) -> None:
        """Count one. The keys that failed longest ago are forgotten when there are too many."""
        with self._lock:
            self._failed[key] = [*self._recent(key), self._clock()][-self._most :]
            self._failed.move_to_end(key)
            while len(self._failed) > self._keys:
                self._failed.popitem(last=False)

    def _recent(self, key: object) -> list[float]:
        since = self._clock() - self._seconds
        return [when for when in self._failed.get(key, ()) if when > since]
